//! The ingest service: from what agents of this host say to observations that cannot be lost.
//!
//! Whatever the surface ([`http`], [`socket`]), input becomes an observation ([`translate`]) or a typed refusal
//! ([`reject`]); secrets are taken out and sizes capped ([`prepare`]); then it is numbered and written to the spool, and
//! only then answered ([`intake`], [`hooks`], [`answers`]). Before a tool runs, the rules that this host follows ([`edge`])
//! are asked ([`gate`]). A request for permission is held until a person's answer comes from the log ([`approvals`],
//! [`resolutions`]); what this host shall do comes the same way, and is handed to whoever carries it out ([`effects`]).
//! From the spool all goes to the hub in order ([`forward`]). This service holds no state of
//! sessions and decides nothing by itself: it knows what was said, not what it means.

mod agents;
mod answers;
mod app;
mod approvals;
mod budget;
mod cap;
mod config;
mod edge;
mod effects;
mod forward;
mod gate;
mod hooks;
mod http;
mod intake;
mod json;
mod metrics;
mod observation;
mod optimize;
mod overflow;
mod peer;
mod prepare;
mod presence;
mod recent;
mod redact;
mod reject;
mod report;
mod resolutions;
mod socket;
pub mod spool;
mod trace;
mod translate;
mod watch;

pub use app::App;
pub use config::{Config, DEFAULTS, SERVICE};
