//! Timestamps as text: RFC 3339, UTC, milliseconds.

use muster_domain::time::Timestamp;
use serde::{Deserialize, Deserializer, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The first millisecond of the year 0 and the last of the year 9999: what RFC 3339 can say.
const SAYABLE_MS: (i64, i64) = (-62_167_219_200_000, 253_402_300_799_999);

/// `2026-11-21T12:00:00.123Z`. A moment outside the years 0–9999 is shown as the nearest one inside.
pub fn format(at: Timestamp) -> String {
    let ms = at.as_millis().clamp(SAYABLE_MS.0, SAYABLE_MS.1);
    let nanos = i128::from(ms) * 1_000_000;
    let moment = OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (date, clock) = (moment.date(), moment.time());
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        date.year(),
        u8::from(date.month()),
        date.day(),
        clock.hour(),
        clock.minute(),
        clock.second(),
        clock.millisecond()
    )
}

/// Reads RFC 3339 with any offset; `None` when it is none.
pub fn parse(text: &str) -> Option<Timestamp> {
    let nanos = OffsetDateTime::parse(text, &Rfc3339).ok()?.unix_timestamp_nanos();
    i64::try_from(nanos.div_euclid(1_000_000))
        .ok()
        .map(Timestamp::from_millis)
}

/// The moment a reader of the system's clock sees.
pub fn from_system(now: std::time::SystemTime) -> Timestamp {
    let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Serde: a moment as text.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*at))
}

/// Serde: a moment from text.
///
/// # Errors
/// When the text is no RFC 3339 timestamp.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    parse(&text).ok_or_else(|| serde::de::Error::custom("expected an RFC 3339 timestamp"))
}

/// Serde: a moment that may be missing.
pub mod optional {
    use super::{Deserialize, Deserializer, Serializer, Timestamp};

    /// Serde: a moment as text, or null.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => super::serialize(at, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Serde: a moment from text, or null.
    ///
    /// # Errors
    /// When there is a text and it is no RFC 3339 timestamp.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.map(|text| super::parse(&text).ok_or_else(|| serde::de::Error::custom("expected an RFC 3339 timestamp")))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn offsets_are_read_and_utc_is_written() {
        let at = parse("2026-11-21T13:00:00.123456+01:00").unwrap();
        assert_eq!(format(at), "2026-11-21T12:00:00.123Z");
        assert_eq!(parse("yesterday"), None);
    }

    #[test]
    fn what_cannot_be_said_becomes_the_nearest_moment_that_can() {
        assert_eq!(format(Timestamp::from_millis(i64::MAX)), "9999-12-31T23:59:59.999Z");
        assert_eq!(format(Timestamp::from_millis(i64::MIN)), "0000-01-01T00:00:00.000Z");
    }

    proptest! {
        #[test]
        fn every_moment_comes_back(ms in 0..253_402_300_799_999_i64) {
            prop_assert_eq!(parse(&format(Timestamp::from_millis(ms))), Some(Timestamp::from_millis(ms)));
        }
    }
}
