//! What every service does the same way, so that it is decided once: configuration, start, health, HTTP, drain, exit.
//!
//! A service is a list of parts that run under one [`drain::Drain`]. Configuration is parsed completely before anything
//! starts; the first part that fails takes the service down through the same orderly way that a signal does; and the
//! exit code tells a supervisor which of the two it was, and whether a restart can help.

pub mod config;
pub mod drain;
pub mod exit;
pub mod health;
pub mod http;
pub mod paths;
pub mod service;
pub mod signal;
