//! Policy: what may be done, as far as the core needs to know.
//!
//! Rules are text to the core. Which of them is in force is state; what they say is read where they are enforced, on
//! every host, so that a host without its hub still has them.

mod family;

pub use family::{ActionFamily, Ruling, UnknownFamily};
