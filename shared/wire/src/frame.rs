//! What is said on ingest's Unix socket: JSON objects with a `type`, each behind its length.
//!
//! A connection begins with `hello`; after it, any number of requests follow one another. Where a request says
//! `payload_follows`, the next frame is the agent's payload as it came, and the answer is followed by a frame with what the
//! agent shall read. A hook that offers to wait may hear `hold` first: its answer is then a person's, and comes when it comes.
//! After `carry` a connection is a carrier's (`carry`).
//! Nothing here reads or writes; both ends share the shapes and the cap.

mod carry;

pub use carry::{Carry, CarryOrder, CarryReceipt, OfEffect};

use crate::envelope::RawData;
use crate::limits::FRAME_BYTES_MAX;
use muster_domain::ids::EventId;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Bytes of the length before each frame: a big-endian `u32`.
pub const HEADER_BYTES: usize = 4;

/// A frame over the cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {size_bytes} bytes is over the limit of {FRAME_BYTES_MAX}")]
pub struct TooLarge {
    /// Its size, as announced.
    pub size_bytes: usize,
}

/// The bytes before a frame of this length.
///
/// # Errors
/// [`TooLarge`] when no reader would take it.
pub fn header(size_bytes: usize) -> Result<[u8; HEADER_BYTES], TooLarge> {
    match u32::try_from(size_bytes) {
        Ok(length) if size_bytes <= FRAME_BYTES_MAX => Ok(length.to_be_bytes()),
        Ok(_) | Err(_) => Err(TooLarge { size_bytes }),
    }
}

/// The length of the frame after these bytes.
///
/// # Errors
/// [`TooLarge`] when it must not be read.
pub fn length(header: [u8; HEADER_BYTES]) -> Result<usize, TooLarge> {
    let size_bytes = usize::try_from(u32::from_be_bytes(header)).unwrap_or(usize::MAX);
    if size_bytes > FRAME_BYTES_MAX {
        return Err(TooLarge { size_bytes });
    }
    Ok(size_bytes)
}

/// Why a frame was not understood.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// Not JSON, or without what its type needs.
    #[error("not a frame: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A type that this version does not know.
    #[error("unknown frame type {0:?}")]
    UnknownType(String),
}

/// What a client says.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientFrame {
    /// Always first.
    Hello(Hello),
    /// How is ingest?
    Status,
    /// An agent's hook.
    IngestHook(Box<IngestHook>),
    /// Events, as the HTTP surface takes them.
    IngestEvents(IngestEvents),
    /// Forwarded to the orchestrator: its request for the list of sessions.
    ListSessions(Forwarded),
    /// Forwarded to the orchestrator: its request for one session.
    GetSessionDetail(Forwarded),
    /// From here on, this connection is a carrier's.
    Carry(Carry),
    /// What became of an order.
    Receipt(CarryReceipt),
}

/// Events, as the HTTP surface takes them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct IngestEvents {
    /// Each `{"kind", "session", "agent", "time"?, "id"?, "data"}`.
    pub events: Vec<RawData>,
}

/// A request that ingest hands on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Forwarded {
    /// Its body; without one, everything at its default.
    #[serde(default)]
    pub request: Option<RawData>,
}

/// Who is there, and which versions it speaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Oldest version it speaks.
    pub proto_min: u32,
    /// Newest version it speaks.
    pub proto_max: u32,
    /// What it is: `hook`, `cli`, `run`, …
    #[serde(default)]
    pub client: String,
    /// The token, where ingest asks for one.
    #[serde(default)]
    pub token: Option<String>,
}

/// A hook, and what only its process could find out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct IngestHook {
    /// The product that runs.
    pub agent: String,
    /// Names this request; the same key again is the same observation.
    #[serde(default)]
    pub key: Option<String>,
    /// The hook's name, where the payload may lack it.
    #[serde(default)]
    pub event_hint: Option<String>,
    /// The payload, unless it follows in a frame of its own.
    #[serde(default)]
    pub payload: Option<RawData>,
    /// Whether the payload is the next frame.
    #[serde(default)]
    pub payload_follows: bool,
    /// Whether the payload was cut at the limit, and so is no JSON.
    #[serde(default)]
    pub truncated: bool,
    /// Environment of the hook, as far as it is forwarded.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The agent's process.
    #[serde(default)]
    pub pid: Option<u32>,
    /// Its start in clock ticks since boot.
    #[serde(default)]
    pub pid_start: Option<u64>,
    /// The boot it belongs to.
    #[serde(default)]
    pub boot_id: Option<String>,
    /// The pid namespace its number is valid in.
    #[serde(default)]
    pub pid_ns: Option<String>,
    /// For how many milliseconds the hook would wait for an answer; one that does not say so is answered at once.
    #[serde(default)]
    pub wait_ms: Option<u64>,
}

/// What ingest says.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerFrame {
    /// The connection is open.
    Hello(HelloReply),
    /// How ingest is.
    Status(Status),
    /// Taken, and on this host's disk.
    Ack(Ack),
    /// A hook was taken, and its answer is waited for.
    Hold(Hold),
    /// A hook was taken.
    HookAnswer(HookAnswer),
    /// The orchestrator's answer.
    Reply(Reply),
    /// Orders come from here on.
    Carrying,
    /// A carrier shall do something.
    Order(CarryOrder),
    /// It shall not any more, if it has not begun.
    Withdrawn(OfEffect),
    /// A receipt is on this host's disk.
    Noted(OfEffect),
    /// It did not work. After an error in `hello` the connection is closed.
    Error(Error),
}

/// The type of a frame: its payloads are kept as they came, so it is read before the rest is.
#[derive(Deserialize)]
struct Tag<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
}

impl ClientFrame {
    /// Reads a frame.
    ///
    /// # Errors
    /// [`FrameError`] says what is wrong with it.
    pub fn read(bytes: &[u8]) -> Result<Self, FrameError> {
        let tag: Tag<'_> = serde_json::from_slice(bytes)?;
        Ok(match &*tag.kind {
            "hello" => Self::Hello(serde_json::from_slice(bytes)?),
            "status" => Self::Status,
            "ingest_hook" => Self::IngestHook(serde_json::from_slice(bytes)?),
            "ingest_events" => Self::IngestEvents(serde_json::from_slice(bytes)?),
            "list_sessions" => Self::ListSessions(serde_json::from_slice(bytes)?),
            "get_session_detail" => Self::GetSessionDetail(serde_json::from_slice(bytes)?),
            "carry" => Self::Carry(serde_json::from_slice(bytes)?),
            "receipt" => Self::Receipt(serde_json::from_slice(bytes)?),
            _ => return Err(FrameError::UnknownType(tag.kind.into_owned())),
        })
    }
}

impl ServerFrame {
    /// Reads a frame.
    ///
    /// # Errors
    /// [`FrameError`] says what is wrong with it.
    pub fn read(bytes: &[u8]) -> Result<Self, FrameError> {
        let tag: Tag<'_> = serde_json::from_slice(bytes)?;
        Ok(match &*tag.kind {
            "hello" => Self::Hello(serde_json::from_slice(bytes)?),
            "status" => Self::Status(serde_json::from_slice(bytes)?),
            "ack" => Self::Ack(serde_json::from_slice(bytes)?),
            "hold" => Self::Hold(serde_json::from_slice(bytes)?),
            "hook_answer" => Self::HookAnswer(serde_json::from_slice(bytes)?),
            "reply" => Self::Reply(serde_json::from_slice(bytes)?),
            "carrying" => Self::Carrying,
            "order" => Self::Order(serde_json::from_slice(bytes)?),
            "withdrawn" => Self::Withdrawn(serde_json::from_slice(bytes)?),
            "noted" => Self::Noted(serde_json::from_slice(bytes)?),
            "error" => Self::Error(serde_json::from_slice(bytes)?),
            _ => return Err(FrameError::UnknownType(tag.kind.into_owned())),
        })
    }
}

/// What became of events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// What was taken.
    pub accepted: Vec<Accepted>,
    /// What was not.
    pub rejected: Vec<Rejected>,
}

/// A hook was taken, and its answer is waited for. It comes on this connection; when that breaks, asking again under the same
/// key goes on with the same wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The event it became.
    pub event_id: EventId,
    /// How long it is held at most.
    pub wait_ms: u64,
    /// How long to go on where ingest is gone: less than `wait_ms` where the person at the agent sees nothing meanwhile.
    pub alone_ms: u64,
}

/// A hook was taken; where its payload came in a frame of its own, what the agent shall read follows in one too.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HookAnswer {
    /// The event it became; none where it was not taken and the agent shall go on all the same.
    pub event_id: Option<EventId>,
    /// The status with which the hook's process shall exit.
    pub exit_code: u8,
    /// What the agent shall read, unless it follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<RawData>,
}

/// The orchestrator's answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Reply {
    /// Its body.
    pub body: RawData,
}

/// The connection is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelloReply {
    /// The version that both speak from here on.
    pub proto: u32,
    /// Oldest version ingest speaks.
    pub proto_min: u32,
    /// Newest version ingest speaks.
    pub proto_max: u32,
    /// Ingest's version.
    pub version: String,
    /// The host it runs on.
    pub host: String,
}

/// How ingest is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Process id.
    pub pid: u32,
    /// Milliseconds since its start.
    pub uptime_ms: u64,
    /// Observations that wait for the hub.
    pub queue_depth: u64,
    /// Whether the hub is connected.
    pub hub_connected: bool,
    /// What went wrong last.
    pub last_error: Option<String>,
}

/// An event that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Its id.
    pub id: EventId,
    /// Its place in the producer's count.
    pub seq: u64,
}

/// An event that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// Which of those sent, from 0.
    pub index: usize,
    /// What kind of mistake.
    #[serde(rename = "type")]
    pub kind: String,
    /// In words.
    pub detail: String,
}

/// It did not work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    /// What kind of failure, for programs.
    pub code: String,
    /// In words.
    pub detail: String,
    /// Oldest version ingest speaks.
    pub supported_min: u32,
    /// Newest version ingest speaks.
    pub supported_max: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_over_the_cap_is_refused_before_it_is_read() {
        assert_eq!(length([0, 0, 1, 0]), Ok(256));
        assert_eq!(
            length([0xff; 4]),
            Err(TooLarge {
                size_bytes: 0xffff_ffff
            })
        );
        assert_eq!(header(256), Ok([0, 0, 1, 0]));
        assert!(header(FRAME_BYTES_MAX + 1).is_err());
        assert_eq!(length(header(FRAME_BYTES_MAX).unwrap()), Ok(FRAME_BYTES_MAX));
    }

    #[test]
    fn the_hooks_words_are_understood() {
        let hello = br#"{"type":"hello","proto_min":1,"proto_max":1,"client":"hook","token":null}"#;
        assert!(matches!(
            ClientFrame::read(hello).unwrap(),
            ClientFrame::Hello(Hello { proto_max: 1, .. })
        ));
        let hook = br#"{"type":"ingest_hook","agent":"claude-code","key":"1-a-b","event_hint":null,"payload_follows":true,"truncated":false,"env":{"CLAUDE_PID":"123"},"pid":123,"pid_start":456789,"boot_id":null,"pid_ns":"pid:[4026531836]"}"#;
        let ClientFrame::IngestHook(hook) = ClientFrame::read(hook).unwrap() else {
            panic!("another frame");
        };
        assert!(hook.payload_follows && hook.payload.is_none());
        assert_eq!((hook.pid, hook.pid_start), (Some(123), Some(456_789)));
    }

    #[test]
    fn an_inline_payload_is_kept_as_it_came() {
        let text = br#"{"agent":"a","payload":{"b": [1 ,2]},"type":"ingest_hook"}"#;
        let frame = ClientFrame::read(text).unwrap();
        let again = serde_json::to_vec(&frame).unwrap();
        assert!(again.starts_with(br#"{"type":"ingest_hook","#));
        let ClientFrame::IngestHook(hook) = ClientFrame::read(&again).unwrap() else {
            panic!("another frame");
        };
        assert_eq!(
            hook.payload.map(|raw| raw.get().to_owned()).as_deref(),
            Some(r#"{"b": [1 ,2]}"#)
        );
    }

    #[test]
    fn what_a_carrier_says_and_hears_reads_back() {
        let order =
            br#"{"type":"order","effect_id":"0198f3c2-0000-7000-8000-00000000000a","action":{"kind":"compact"}}"#;
        let ServerFrame::Order(order) = ServerFrame::read(order).unwrap() else {
            panic!("another frame");
        };
        let receipt = CarryReceipt {
            effect_id: order.effect_id,
            kind: order.action.kind(),
            failed: Some("interrupted".to_owned()),
            detail: None,
        };
        let written = serde_json::to_vec(&ClientFrame::Receipt(receipt.clone())).unwrap();
        assert!(matches!(ClientFrame::read(&written).unwrap(), ClientFrame::Receipt(read) if read == receipt));
        let carry = br#"{"type":"carry","run":"r","session":"s"}"#;
        assert!(matches!(ClientFrame::read(carry).unwrap(), ClientFrame::Carry(carry) if carry.holds.is_empty()));
        assert!(matches!(
            ServerFrame::read(br#"{"type":"carrying"}"#),
            Ok(ServerFrame::Carrying)
        ));
    }

    #[test]
    fn an_unknown_frame_is_named() {
        let error = ClientFrame::read(br#"{"type":"stop"}"#).unwrap_err();
        assert_eq!(error.to_string(), "unknown frame type \"stop\"");
        assert!(matches!(ServerFrame::read(b"{}"), Err(FrameError::Malformed(_))));
    }

    #[test]
    fn every_answer_reads_back() {
        let answer = ServerFrame::HookAnswer(HookAnswer {
            event_id: None,
            exit_code: 0,
            answer: None,
        });
        let text = serde_json::to_string(&answer).unwrap();
        assert_eq!(text, r#"{"type":"hook_answer","event_id":null,"exit_code":0}"#);
        let hold = Hold {
            event_id: "0198f3c2-0000-7000-8000-00000000000a".parse().unwrap(),
            wait_ms: 570_000,
            alone_ms: 30_000,
        };
        let read = ServerFrame::read(&serde_json::to_vec(&ServerFrame::Hold(hold)).unwrap()).unwrap();
        assert!(matches!(read, ServerFrame::Hold(read) if read == hold));
        assert!(matches!(
            ServerFrame::read(text.as_bytes()),
            Ok(ServerFrame::HookAnswer(_))
        ));
    }
}
