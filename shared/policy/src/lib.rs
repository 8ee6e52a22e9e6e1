//! Policy: who may do what, evaluated where it is enforced.
//!
//! Rules are [Cedar](https://www.cedarpolicy.com) policies in plain files. This crate is the only one that names Cedar: it
//! reads the texts ([`Policies::parse`]), classes a tool call ([`classify`]) and says what the rules come to
//! ([`Policies::evaluate`]). It is pure: the same texts and the same call give the same verdict on every host, whether its
//! hub is there or not. Without a rule that applies there is no verdict, and nothing changes for anybody.

mod budget;
mod class;
mod evaluate;
mod facts;
mod rules;
mod shell;
mod source;
mod vocabulary;

pub use class::{Classed, classify};
pub use evaluate::{Examined, FAILED_CLOSED, Unevaluated, Verdict};
pub use facts::Facts;
pub use rules::{Policies, Rule};
pub use source::{Fault, PolicyError, SOURCES_BYTES_MAX, Source, fingerprint};
