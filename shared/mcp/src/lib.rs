//! The Model Context Protocol face of muster's operations.
//!
//! One [`Server`] serves two programs: `muster mcp`, which an agent starts and speaks with over standard input and output,
//! and the orchestrator, which is called over HTTP. Both ask the leading orchestrator through the hub, as every other client
//! does, so an answer is the same whichever way the question came, and an agent can do over MCP what its role may do and
//! nothing more. What only the agent's own host can do (taking a hook, asking for a permission) is a [`Host`], which only
//! `muster mcp` has.
//!
//! The server keeps nothing between two calls: the protocol's revision 2026-07-28 has no connection state, and older ones
//! are served without any. The only crate that names `rmcp`.
#![deny(missing_docs)]

mod arguments;
mod asker;
mod call;
mod ccd;
mod host;
mod http;
mod server;
mod six;
mod stdio;
mod tools;

pub use asker::Asker;
pub use host::{Ask, Hook, Host, HostError, Pending, Verdict};
pub use http::{PATH, routes};
pub use server::Server;
pub use stdio::{StdioError, serve};
pub use tools::{Tool, tools};
