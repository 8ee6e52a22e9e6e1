//! The ingest service: from what agents say to observations that cannot be lost.
#![expect(dead_code, reason = "its parts are put together below")]

mod agents;
mod cap;
pub mod config;
mod json;
mod observation;
pub mod optimize;
mod prepare;
mod redact;
mod reject;
pub mod spool;
mod translate;
