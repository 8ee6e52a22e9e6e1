//! The command as its users meet it: real processes, a real nats-server, folders of their own.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod answering;
mod asking;
mod demo;
mod experiments;
mod leases;
mod mcp;
mod messages;
mod place;
mod racing;
mod refusals;
mod reviews;
mod rights;
mod run;
mod searching;
mod turns;
mod up;
mod watched;
mod watching;
mod work_memory;
