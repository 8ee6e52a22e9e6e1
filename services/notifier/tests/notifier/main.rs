//! The notifier against a real hub, as its clients see it.
#![expect(clippy::unwrap_used, reason = "a test's helpers fail as the test does")]

mod approvals;
mod harness;
mod observers;
mod receiver;
mod rest;
mod socket;
mod sse;
mod stream;
mod webhook;
