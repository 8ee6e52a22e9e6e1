//! What a client asks a stream for: which events, and from where on.

use super::frame::{NoPlace, Place};
use crate::select::{SelectError, Selection};
use muster_domain::time::Timestamp;
use muster_runtime::config::HumanDuration;
use muster_wire::time;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as ValueError, StrDeserializer};

/// Where the stream begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// After this place: a client that comes back.
    After(Place),
    /// With this sequence; 0 is the oldest kept.
    Seq(u64),
    /// With what was stored at this moment or later.
    Time(Timestamp),
    /// With what comes next.
    Now,
}

/// Why a query is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AskError {
    #[error(transparent)]
    Select(#[from] SelectError),
    #[error(transparent)]
    Place(#[from] NoPlace),
    #[error("from_seq is a sequence of the log, as in from_seq=4711")]
    Seq,
    #[error("since is a moment or a span, as in 2026-11-21T12:00:00Z or 15m")]
    Since,
    #[error(
        "no parameter {0:?}; there are family, kind, host, session, agent, profile, last_event_id, from_seq, since"
    )]
    Unknown(String),
}

/// One client's wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) selection: Selection,
    pub(crate) from: Begin,
}

impl Asked {
    /// Reads a query. The `Last-Event-ID` that a browser sends when it comes back outranks what the address says: that
    /// was where it began, not where it is.
    pub(crate) fn read(query: &[(String, String)], header: Option<&str>, now: Timestamp) -> Result<Self, AskError> {
        let mut selection = Selection::default();
        let (mut id, mut seq, mut since) = (None, None, None);
        for (key, value) in query {
            match key.as_str() {
                "last_event_id" => id = Some(value.parse()?),
                "from_seq" => seq = Some(value.parse().map_err(|_| AskError::Seq)?),
                "since" => since = Some(moment(value, now).ok_or(AskError::Since)?),
                key if selection.restrict(key, value)? => {}
                key => return Err(AskError::Unknown(key.to_owned())),
            }
        }
        if let Some(header) = header.filter(|header| !header.is_empty()) {
            id = Some(header.parse()?);
        }
        let from = match (id, seq, since) {
            (Some(place), _, _) => Begin::After(place),
            (None, Some(seq), _) => Begin::Seq(seq),
            // A moment to come is no place in the log; what comes next is the nearest.
            (None, None, Some(at)) if at < now => Begin::Time(at),
            (None, None, _) => Begin::Now,
        };
        Ok(Self { selection, from })
    }
}

/// A moment as RFC 3339, or a span before now.
pub(crate) fn moment(text: &str, now: Timestamp) -> Option<Timestamp> {
    if let Some(at) = time::parse(text) {
        return Some(at);
    }
    let text: StrDeserializer<'_, ValueError> = text.into_deserializer();
    let span = HumanDuration::deserialize(text).ok()?.get();
    let span = i64::try_from(span.as_millis()).ok()?;
    Some(Timestamp::from_millis(now.as_millis().saturating_sub(span)))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Query<'a> = &'a [(&'a str, &'a str)];

    fn read(query: Query<'_>, header: Option<&str>) -> Result<Asked, AskError> {
        let query: Vec<(String, String)> = query
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        Asked::read(&query, header, Timestamp::from_millis(1_000_000))
    }

    #[test]
    fn the_start_is_what_is_most_certain() {
        let place = |seq| Begin::After(Place { incarnation: 7, seq });
        let cases: &[(Query<'_>, Option<&str>, Begin)] = &[
            (&[], None, Begin::Now),
            (&[], Some(""), Begin::Now),
            (&[("since", "15m")], None, Begin::Time(Timestamp::from_millis(100_000))),
            (&[("since", "2999-01-01T00:00:00Z")], None, Begin::Now),
            (
                &[("since", "1970-01-01T00:00:05Z")],
                None,
                Begin::Time(Timestamp::from_millis(5_000)),
            ),
            (&[("since", "15m"), ("from_seq", "3")], None, Begin::Seq(3)),
            (&[("from_seq", "3"), ("last_event_id", "7-9")], None, place(9)),
            (&[("from_seq", "3"), ("last_event_id", "7-9")], Some("7-12"), place(12)),
        ];
        for (query, header, from) in cases {
            assert_eq!(read(query, *header).unwrap().from, *from, "{query:?} {header:?}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_rather_than_ignored() {
        let refused: &[(Query<'_>, Option<&str>)] = &[
            (&[("from_seq", "-1")], None),
            (&[("since", "yesterday")], None),
            (&[("last_event_id", "9")], None),
            (&[], Some("9")),
            (&[("family", "agent.hok")], None),
            (&[("hots", "web-01")], None),
        ];
        for (query, header) in refused {
            assert!(read(query, *header).is_err(), "{query:?} {header:?}");
        }
    }
}
