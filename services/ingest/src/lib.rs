//! The ingest service: from what agents say to observations that cannot be lost.
#![expect(dead_code, reason = "its parts are put together below")]

mod agents;
mod json;
mod observation;
mod optimize;
mod redact;
mod reject;
pub mod spool;
mod translate;
