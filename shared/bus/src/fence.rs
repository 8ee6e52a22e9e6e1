//! One leader, and no write of an earlier one.
//!
//! A lease says who may lead now; it cannot stop a leader that was paused, kept its lease in memory and wakes up later.
//! What stops it is the log: a new leader announces itself with `runtime.leader.elected`, and every write of a leader is
//! conditional on that announcement still being the last one. Whoever was replaced is refused by the hub itself,
//! whatever it believes.
//!
//! The order is: take the lease, [`campaign`], fold up to [`FencedWriter::fence`], then write.

mod lease;
mod writer;

pub use lease::{Held, Lease, LeaseError};
pub use writer::{FencedWriter, WriteError, campaign};
