//! The service as a process of its own, against a real hub: what it took is in the log, whatever was killed meanwhile.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod approvals;
mod bad_input;
mod capability;
mod carriers;
mod circuits;
mod client;
mod displaced;
mod effects;
mod forwarding;
mod full;
mod holds;
mod large;
mod policy;
mod presence;
mod processes;
mod rig;
mod spool_copies;
mod surfaces;
