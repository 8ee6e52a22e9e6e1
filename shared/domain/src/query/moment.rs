//! Moments as queries write them: RFC 3339, or a date alone, which is its first moment in UTC.
//!
//! The core reads no clock and depends on no calendar but this one: Gregorian, proleptic, days counted from 1970.

use crate::time::Timestamp;

const DAY_MS: i64 = 86_400_000;
/// Days from 0000-03-01 to 1970-01-01: years are counted from March, so that a leap day ends one.
const EPOCH_DAYS: i64 = 719_468;

/// Reads a moment of the years 0 to 9999; what is below a millisecond is dropped.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let (date, rest) = text.split_at_checked(10)?;
    let day = days(date)? * DAY_MS;
    if rest.is_empty() {
        return Some(Timestamp::from_millis(day));
    }
    let clock = rest.strip_prefix(['T', 't'])?;
    let (clock, zone) = clock.split_at_checked(8)?;
    let [b0, b1, b':', b3, b4, b':', b6, b7] = *clock.as_bytes() else {
        return None;
    };
    let (hour, minute, second) = (two(b0, b1)?, two(b3, b4)?, two(b6, b7)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (millis, zone) = fraction(zone)?;
    let ms = ((hour * 60 + minute) * 60 + second) * 1000 + millis;
    Some(Timestamp::from_millis(day + ms - offset(zone)?))
}

/// Milliseconds of a fraction of a second, and what follows it.
fn fraction(text: &str) -> Option<(i64, &str)> {
    let Some(digits) = text.strip_prefix('.') else {
        return Some((0, text));
    };
    let end = digits.find(|c: char| !c.is_ascii_digit())?;
    let millis = digits[..end].bytes().chain(*b"00").take(3);
    let millis = millis.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    (end > 0).then_some((millis, &digits[end..]))
}

/// Milliseconds that a zone is ahead of UTC.
fn offset(zone: &str) -> Option<i64> {
    match *zone.as_bytes() {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h0, h1, b':', m0, m1] => {
            let (hours, minutes) = (two(h0, h1)?, two(m0, m1)?);
            let ahead = (hours * 60 + minutes) * 60_000;
            let known = hours <= 23 && minutes <= 59;
            known.then_some(if sign == b'+' { ahead } else { -ahead })
        }
        _ => None,
    }
}

fn days(date: &str) -> Option<i64> {
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = *date.as_bytes() else {
        return None;
    };
    let (year, month, day) = (two(y0, y1)? * 100 + two(y2, y3)?, two(m0, m1)?, two(d0, d1)?);
    let days = from_civil(year, month, day);
    // The 30th of February is another day's name.
    (to_civil(days) == (year, month, day)).then_some(days)
}

fn two(tens: u8, ones: u8) -> Option<i64> {
    let digits = tens.is_ascii_digit() && ones.is_ascii_digit();
    digits.then(|| i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
}

const fn from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let from_march = (month + 9) % 12;
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leaps + of_year - EPOCH_DAYS
}

fn to_civil(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH_DAYS;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = (from_march + 2) % 12 + 1;
    let year = year + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Writes a moment so that [`parse`] reads the same one.
pub(super) fn format(at: Timestamp) -> String {
    let ms = at.as_millis();
    let (year, month, day) = to_civil(ms.div_euclid(DAY_MS));
    let of_day = ms.rem_euclid(DAY_MS);
    let (seconds, millis) = (of_day / 1000, of_day % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let fraction = if millis == 0 {
        String::new()
    } else {
        format!(".{millis:03}")
    };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(text: &str) -> Option<i64> {
        parse(text).map(Timestamp::as_millis)
    }

    #[test]
    fn moments_are_read_as_rfc_3339_writes_them() {
        assert_eq!(ms("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(ms("2026-11-21T12:00:00Z"), Some(1_795_262_400_000));
        assert_eq!(ms("2026-11-21"), Some(1_795_219_200_000));
        assert_eq!(ms("2026-11-21T13:00:00.1239+01:00"), Some(1_795_262_400_123));
        assert_eq!(ms("2000-02-29"), Some(951_782_400_000));
        for none in [
            "2026-02-30",
            "1900-02-29",
            "2026-11-21T24:00:00Z",
            "2026-11-21T12:00:00",
            "2026-11-21T12:00:00.Z",
            "2026-11-21T12:00:00+1:00",
            "2026-13-01",
            "yesterday!",
        ] {
            assert_eq!(ms(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn a_moment_is_written_as_it_is_read(at in -62_167_219_200_000..253_402_300_799_999_i64) {
            let at = Timestamp::from_millis(at);
            prop_assert_eq!(parse(&format(at)), Some(at));
        }

        #[test]
        fn no_text_is_too_much(text in "\\PC*") {
            let _ = parse(&text);
        }
    }
}
