//! A `nats-server` run as a child process: found or fetched, configured, started, stopped, and found again.
//!
//! The server holds the log, so it must be able to outlive whoever started it. It therefore runs in a process group of
//! its own (a Ctrl-C at the terminal does not reach it), logs to a file rather than to a pipe that would break, and
//! leaves in its state folder all that is needed to recognize it later: its configuration, whose path is on its command
//! line, its pid file and its ports file. A starter that was killed adopts the orphan instead of fighting it for the
//! store ([`Server::adopt_or_start`]).
//!
//! Nothing here speaks the NATS protocol: readiness is the ports file, facts come from the monitoring port.

pub mod config;
mod fetch;
pub mod holder;
pub mod locate;
pub mod monitor;
mod process;
pub mod running;
pub mod users;

pub use config::ServerConfig;
pub use holder::{Holder, port_holder};
pub use locate::{Supply, SupplyError, find};
pub use monitor::{MonitorError, get_json, sync_always};
pub use process::{Server, StartError};
pub use running::Running;
pub use users::{Users, UsersError};
