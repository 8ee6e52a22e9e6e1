//! The hub as the services see it: what was said is stored once, in order, or it is known that it was not.
//!
//! The only crate that names `async-nats`. Callers hand in and get back the types of `muster-wire` and `muster-domain`.
//!
//! - [`connect`]: one connection, restored for ever; its state can be watched.
//! - [`publish`]: one publish or one batch in flight per producer and stream, and an outcome that says what is known.
//! - [`fence`]: who leads, and writing so that whoever led before cannot.
//! - [`read`]: the log in order, across outages, without a skip or a repeat.
//! - [`consume`]: work handed out until it is acknowledged.
//! - [`kv`], [`objects`]: current values, and bytes too large for a message.
//! - [`service`]: questions to the leader; [`operator`]: the proof that an operator asks.
//! - [`migrate`]: the one place that creates and changes streams; everyone else only compares.
//! - [`server`]: a `nats-server` of our own as a child process.
#![deny(missing_docs)]

mod ask;
pub mod connect;
pub mod consume;
pub mod fence;
pub mod kv;
pub mod migrate;
pub mod msg_id;
pub mod objects;
pub mod operator;
pub mod publish;
pub mod read;
mod resume;
mod secret_file;
pub mod server;
pub mod service;

pub use ask::{Away, Refusal, Unanswered};
pub use connect::{Bus, ConnectError, ConnectionState, Options, StreamState};
pub use publish::Outgoing;
pub use read::Stored;
