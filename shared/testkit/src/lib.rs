//! For tests: the real things, started fast, one per test, gone with it.
//!
//! There is no stand-in for NATS here: what goes wrong between a client and a server goes wrong between the real ones.
//! A test that needs a server and finds none fails; it is never skipped. The one thing that is played is a language
//! model, because a real one costs money and never says the same thing twice ([`model`]); the agent that talks to it is
//! the real program ([`claude`]).
//!
//! Everything that is started here shows its output when the test panics, and is killed when its guard is dropped.

mod bare;
pub mod claude;
mod cluster;
mod eventually;
mod lock;
pub mod model;
pub mod nats;
pub mod process;
pub mod tmux;

pub use bare::{Bare, Heard};
pub use cluster::Cluster;
pub use eventually::eventually;
pub use nats::TestServer;
pub use process::{Spawned, bin, free_port};
