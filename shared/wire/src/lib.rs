//! The contract: what travels between hosts, services and observers, and what is stored.
//!
//! To change this crate is to change the protocol. Stored shapes only grow; a shape that has to break gets a new number in
//! its `dataschema`, and every number ever written still decodes. Domain types may be renamed at will: what is stored is
//! written from the shapes here.
//!
//! - [`subject`]: [`Subject`] can be published to, [`Filter`] can be subscribed to; nothing else spells a subject.
//! - [`envelope`]: the CloudEvents envelope around every event.
//! - [`decode`]: envelopes into the domain's facts; [`data`]: payloads that muster writes itself.
//! - [`words`]: what events say to a reader, for search.
//! - [`agent_call`]: which subagent a tool call starts, read alike by host and hub.
//! - [`incoming`] and [`stream`]: what agents say, as hooks and as printed lines.
//! - [`frame`]: ingest's socket; [`api`]: requests to the orchestrator and their answers; [`schema`]: those requests, for programs.
//! - [`decision`]: conclusions as events; [`snapshot`]: the folded state as bytes.
//! - [`edge`]: what hosts enforce.
//! - [`topology`]: streams, buckets and consumers, as data.
//! - [`limits`]: every number both sides must agree on.
#![deny(missing_docs)]

pub mod agent_call;
pub mod api;
pub mod call;
pub mod canonical;
pub mod data;
pub mod decision;
pub mod decode;
pub mod edge;
pub mod envelope;
pub mod frame;
pub mod incoming;
pub mod limits;
mod members;
pub mod schema;
pub mod snapshot;
pub mod stream;
pub mod subject;
mod text;
pub mod time;
pub mod token;
pub mod topology;
pub mod words;

pub use envelope::{Envelope, RawData};
pub use subject::{Filter, Request, Subject};
