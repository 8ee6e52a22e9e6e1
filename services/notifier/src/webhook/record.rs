//! One delivery as the ledger holds it: everything that is needed to make it, by whichever notifier.
//!
//! The event is kept with it until it is closed, so that a retry needs nothing but the ledger, also when the log has aged.

use bytes::Bytes;
use muster_domain::time::Timestamp;
use muster_wire::time;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// To be told, from `due` on. While somebody works on it, `due` is when their claim lapses.
    Open,
    /// The receiver has it.
    Delivered,
    /// Given up, with a reason.
    Parked,
}

/// One delivery.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) state: State,
    /// Attempts that were begun.
    pub(crate) attempt: u32,
    #[serde(with = "time")]
    pub(crate) due: Timestamp,
    /// The event's place in the log.
    pub(crate) seq: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) traceparent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// The envelope, byte for byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) event: Option<Box<RawValue>>,
}

impl Record {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    pub(crate) fn to_bytes(&self) -> Bytes {
        serde_json::to_vec(self)
            .expect("invariant: a record has text keys only")
            .into()
    }

    /// As claimed until `lapses`, for one more attempt.
    pub(crate) fn claimed(self, lapses: Timestamp) -> Self {
        Self {
            attempt: self.attempt + 1,
            due: lapses,
            ..self
        }
    }
}

/// What the queue needs of a record.
#[derive(Debug, Deserialize)]
pub(crate) struct Place {
    pub(crate) state: State,
    #[serde(with = "time")]
    pub(crate) due: Timestamp,
    pub(crate) seq: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_keeps_its_event_byte_for_byte() {
        let text = "{ \"b\": 1.50, \"a\": \"\\u00e9\" }";
        let record = Record {
            state: State::Open,
            attempt: 0,
            due: Timestamp::from_millis(0),
            seq: 7,
            traceparent: None,
            reason: None,
            event: Some(RawValue::from_string(text.to_owned()).unwrap()),
        };
        let claimed = Record::read(&record.claimed(Timestamp::from_millis(5)).to_bytes()).unwrap();
        assert_eq!(claimed.event.as_ref().map(|event| event.get()), Some(text));
        assert_eq!((claimed.attempt, claimed.due), (1, Timestamp::from_millis(5)));
        let place: Place = serde_json::from_slice(&claimed.to_bytes()).unwrap();
        assert_eq!((place.state, place.seq), (State::Open, 7));
    }
}
