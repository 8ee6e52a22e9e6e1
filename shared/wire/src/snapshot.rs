//! The folded state as bytes: one line that says what it is, then the state.
//!
//! A snapshot belongs to one incarnation of the stream and to one position in it. The state's inner shape is the domain's
//! own affair and may change with any version: then [`SCHEMA`] changes, older snapshots are passed over, and the log is
//! folded again.

use crate::canonical::Hashing;
use crate::time;
use muster_domain::fleet::Fleet;
use muster_domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// The shape of the state in snapshots written by this version.
pub const SCHEMA: u32 = 1;

/// What a snapshot is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`SCHEMA`] of whoever wrote it.
    pub schema: u32,
    /// The stream it was folded from.
    pub stream: String,
    /// When that stream was made: tells it from a later one of the same name.
    #[serde(with = "time")]
    pub stream_created: Timestamp,
    /// The last log sequence that is in it.
    pub last_seq: u64,
    /// SHA-256 of the state's bytes, in hexadecimal.
    pub sha256: String,
}

/// Why bytes are no usable snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// No header line.
    #[error("the snapshot has no header line")]
    Headless,
    /// The header or the state is not the JSON it should be.
    #[error("the snapshot cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Written by a version with another shape.
    #[error("the snapshot has schema {found}; this version reads {SCHEMA}")]
    Schema {
        /// Its schema.
        found: u32,
    },
    /// The bytes are not those that were written.
    #[error("the snapshot is damaged: its checksum does not match")]
    Damaged,
}

/// The snapshot of a state that was folded from this stream.
///
/// # Errors
/// Only when memory for it cannot be had.
pub fn encode(fleet: &Fleet, stream: &str, stream_created: Timestamp) -> Result<Vec<u8>, serde_json::Error> {
    let state = serde_json::to_vec(fleet)?;
    let header = Header {
        schema: SCHEMA,
        stream: stream.to_owned(),
        stream_created,
        last_seq: fleet.watermark(),
        sha256: hex(Sha256::digest(&state).as_slice()),
    };
    let mut bytes = serde_json::to_vec(&header)?;
    bytes.reserve_exact(1 + state.len());
    bytes.push(b'\n');
    bytes.extend_from_slice(&state);
    Ok(bytes)
}

/// What a snapshot is of, without reading the state.
///
/// # Errors
/// [`SnapshotError`] when there is no header, or one of another schema.
pub fn header(bytes: &[u8]) -> Result<Header, SnapshotError> {
    split(bytes).map(|(header, _)| header)
}

/// The state in a snapshot.
///
/// # Errors
/// [`SnapshotError`] says why it cannot be used.
pub fn decode(bytes: &[u8]) -> Result<(Header, Fleet), SnapshotError> {
    let (header, state) = split(bytes)?;
    if hex(Sha256::digest(state).as_slice()) != header.sha256 {
        return Err(SnapshotError::Damaged);
    }
    Ok((header, serde_json::from_slice(state)?))
}

fn split(bytes: &[u8]) -> Result<(Header, &[u8]), SnapshotError> {
    let end = bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .ok_or(SnapshotError::Headless)?;
    let header: Header = serde_json::from_slice(&bytes[..end])?;
    if header.schema != SCHEMA {
        return Err(SnapshotError::Schema { found: header.schema });
    }
    Ok((header, &bytes[end + 1..]))
}

/// SHA-256 over a state, in hexadecimal: equal on every replica that folded the same log, live or again.
///
/// # Errors
/// Only when the state holds what JSON cannot, which would be a defect of the domain.
pub fn digest(fleet: &Fleet) -> Result<String, serde_json::Error> {
    let mut hash = Hashing::default();
    serde_json::to_writer(&mut hash, fleet)?;
    Ok(hex(hash.0.finalize().as_slice()))
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}
