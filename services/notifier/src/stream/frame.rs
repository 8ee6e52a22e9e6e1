//! One event as it goes to clients: written out once, shared by all of them.

use bytes::Bytes;
use muster_bus::Stored;
use muster_wire::Subject;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::OnceLock;

/// A place in one incarnation of the log, as an event id of the stream: `<created, Unix seconds>-<sequence>`. Sequences
/// begin anew with a new stream, so a sequence alone would point to another event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) incarnation: i64,
    pub(crate) seq: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.incarnation, self.seq)
    }
}

/// The text is no event id of this stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an event id is <stream created, Unix seconds>-<sequence>")]
pub(crate) struct NoPlace;

impl FromStr for Place {
    type Err = NoPlace;
    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let (incarnation, seq) = text.split_once('-').ok_or(NoPlace)?;
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(incarnation) || !digits(seq) {
            return Err(NoPlace);
        }
        Ok(Self {
            incarnation: incarnation.parse().map_err(|_| NoPlace)?,
            seq: seq.parse().map_err(|_| NoPlace)?,
        })
    }
}

/// What the envelope says that the subject does not.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Head {
    #[serde(default)]
    pub(crate) agent: Option<String>,
    #[serde(default)]
    pub(crate) profile: Option<String>,
}

/// An event, written out.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) seq: u64,
    pub(crate) subject: Option<Subject>,
    text: Bytes,
    data: Range<usize>,
    /// Read at most once, whoever asks first.
    head: OnceLock<Head>,
}

impl Frame {
    pub(crate) fn new(incarnation: i64, stored: &Stored) -> Self {
        let subject = stored.subject().ok();
        let name = subject
            .as_ref()
            .map_or_else(|| "unknown".to_owned(), |subject| subject.event_type.to_string());
        let place = Place {
            incarnation,
            seq: stored.seq,
        };
        let (text, data) = write(Some(place), &name, &stored.payload);
        Self {
            seq: stored.seq,
            subject,
            text,
            data,
            head: OnceLock::new(),
        }
    }

    pub(crate) fn text(&self) -> Bytes {
        self.text.clone()
    }

    pub(crate) fn head(&self) -> &Head {
        self.head
            .get_or_init(|| serde_json::from_slice(&self.text[self.data.clone()]).unwrap_or_default())
    }
}

/// A frame about the stream itself.
pub(crate) fn about(place: Option<Place>, name: &str, data: &impl Serialize) -> Bytes {
    let data = serde_json::to_vec(data).expect("invariant: what is said about the stream has text keys only");
    write(place, name, &data).0
}

/// The first frame: which log, and where in it the stream begins, where that is known.
pub(crate) fn hello(incarnation: i64, from_seq: Option<u64>) -> Bytes {
    let place = from_seq.map(|seq| Place {
        incarnation,
        seq: seq.saturating_sub(1),
    });
    let data = json!({ "incarnation": incarnation.to_string(), "from_seq": from_seq });
    about(place, "hello", &data)
}

/// A comment that keeps proxies from closing a quiet stream, and an id without an event: the client's place moves on past
/// what its filters held back, so that it need not be read again after a reconnection.
pub(crate) fn alive(place: Option<Place>) -> Bytes {
    match place {
        Some(place) => format!(": keep-alive\nid: {place}\n\n").into(),
        None => Bytes::from_static(b": keep-alive\n\n"),
    }
}

fn write(place: Option<Place>, name: &str, json: &[u8]) -> (Bytes, Range<usize>) {
    let mut text = Vec::with_capacity(json.len() + name.len() + 64);
    if let Some(place) = place {
        text.extend_from_slice(format!("id: {place}\n").as_bytes());
    }
    text.extend_from_slice(format!("event: {name}\ndata: ").as_bytes());
    let start = text.len();
    // Only white space between JSON's tokens can be a line break, so nothing that is said changes.
    text.extend(
        json.iter()
            .map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }),
    );
    let data = start..text.len();
    text.extend_from_slice(b"\n\n");
    (text.into(), data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_its_text_and_nothing_else_is_one() {
        let place = Place {
            incarnation: 1_763_731_200,
            seq: 42,
        };
        assert_eq!(place.to_string(), "1763731200-42");
        assert_eq!("1763731200-42".parse(), Ok(place));
        for text in [
            "",
            "42",
            "-",
            "1763731200-",
            "-42",
            "a-b",
            "1-2-3",
            "1--2",
            "+1-2",
            "99999999999999999999-1",
        ] {
            assert_eq!(text.parse::<Place>(), Err(NoPlace), "{text:?}");
        }
    }

    #[test]
    fn a_frame_is_one_line_of_data_whatever_the_payload_looks_like() {
        let (text, data) = write(
            Some(Place { incarnation: 1, seq: 2 }),
            "agent.hook.stop",
            b"{\n  \"a\": 1\r\n}",
        );
        assert_eq!(&*text, b"id: 1-2\nevent: agent.hook.stop\ndata: {   \"a\": 1  }\n\n");
        assert_eq!(&text[data], b"{   \"a\": 1  }");
    }

    #[test]
    fn frames_about_the_stream_need_no_id() {
        assert_eq!(
            &*about(None, "gap", &json!({"first_missing": 1})),
            b"event: gap\ndata: {\"first_missing\":1}\n\n"
        );
        assert_eq!(
            &*alive(Some(Place { incarnation: 1, seq: 2 })),
            b": keep-alive\nid: 1-2\n\n"
        );
    }
}
