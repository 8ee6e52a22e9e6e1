//! Every number that more than one side must agree on, with its unit and its reason.

use std::time::Duration;

/// Largest body any surface takes, in bytes. Claude Code's largest hook (a whole file in a `Write`) stays well below.
pub const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Largest frame on ingest's socket, in bytes: a body and what is said around it.
pub const FRAME_BYTES_MAX: usize = BODY_BYTES_MAX + 64 * 1024;
/// Deepest nesting of JSON that is read. serde_json's own limit, so that nothing deeper is ever built.
pub const JSON_DEPTH_MAX: usize = 128;
/// Largest payload an event keeps inline, in bytes: with its envelope it stays far below NATS's default of 1 MiB a message,
/// and a thousand of them fit the server's write buffers. Larger ones go to the object store.
pub const DATA_BYTES_MAX: usize = 64 * 1024;
/// Largest decision, in bytes: half of what NATS takes by default, so that nothing that was decided fails to be stored, and
/// what is shown of it with other things around it still fits an answer.
pub const DECISION_BYTES_MAX: usize = 512 * 1024;
/// Longest id that a caller may give a request, in bytes.
pub const REQUEST_ID_BYTES_MAX: usize = 128;
/// Messages in one atomic batch: the server's limit (ADR-50).
pub const BATCH_MESSAGES_MAX: usize = 1000;
/// Bytes in one atomic batch: one batch is staged whole by the server, and is what a slow link must carry before an ack.
pub const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How often a host renews its presence.
pub const PRESENCE_INTERVAL: Duration = Duration::from_secs(5);
/// After how long without renewal a host's presence expires: three missed renewals.
pub const PRESENCE_TTL: Duration = Duration::from_secs(15);
/// How long a leader's lease lasts without renewal.
pub const LEASE_TTL: Duration = Duration::from_secs(2);
/// How often the leader renews it.
pub const LEASE_INTERVAL: Duration = Duration::from_millis(500);
/// After how long without a word a session that nobody watches becomes unknown.
pub const SILENCE: Duration = Duration::from_secs(15 * 60);
/// Rows in one page of any list, unless fewer are asked for.
pub const PAGE_ROWS_DEFAULT: usize = 100;
/// Rows in one page of any list at most: a page of sessions stays below NATS's 1 MiB a message.
pub const PAGE_ROWS_MAX: usize = 500;
/// Oldest protocol version of requests and of ingest's socket that is still answered.
pub const PROTOCOL_MIN: u32 = 1;
/// Newest protocol version of requests and of ingest's socket.
pub const PROTOCOL_MAX: u32 = 1;
