//! The orchestrator on a real hub: what hosts report goes in, and only what anyone could see is looked at.
#![cfg(test)]

mod alerts;
mod bounds;
mod circuits;
mod delegations;
mod edge;
mod effects;
mod evaluations;
mod experiments;
mod guards;
mod holds;
mod host;
mod hosts;
mod hub;
mod leadership;
mod leases;
mod log;
mod memory;
mod messages;
mod policy;
mod raw;
mod requests;
mod reviews;
mod search;
mod sessions;
mod snapshots;
mod stats;
mod work_memory;
