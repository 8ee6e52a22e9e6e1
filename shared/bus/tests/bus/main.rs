//! The hub and its client, the real ones, in every trouble that the crate promises to come through.
#![cfg(test)]

mod bucket;
mod cluster;
mod consume;
mod fence;
mod hub;
mod migrate;
mod objects;
mod publish;
mod read;
mod rights;
mod service;
