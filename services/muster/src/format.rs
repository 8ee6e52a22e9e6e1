//! How figures look to people: short, and never more exact than they are worth.
//!
//! Text that agents wrote may hold anything; it becomes one line here, with what does not show itself escaped, so that
//! widths count what is seen.

use crate::escape;
use muster_domain::time::Timestamp;
use std::time::Duration;

/// How long something took.
pub(crate) fn duration(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        _ if ms < 1000 => format!("{ms}ms"),
        0..60 => format!("{seconds}.{}s", ms % 1000 / 100),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// How long ago something was, to the second.
pub(crate) fn age(now: Timestamp, then: Timestamp) -> String {
    let seconds = now.since(then).as_secs();
    if seconds < 60 {
        format!("{seconds}s")
    } else {
        duration(seconds * 1000)
    }
}

/// A count, with a suffix where it is long.
pub(crate) fn count(n: u64) -> String {
    match n {
        0..1000 => n.to_string(),
        1000..1_000_000 => format!("{:.1}k", n as f64 / 1e3),
        _ => format!("{:.1}M", n as f64 / 1e6),
    }
}

/// Money.
pub(crate) fn usd(amount: Option<f64>) -> String {
    match amount {
        None => "-".to_owned(),
        Some(amount) if amount > 0.0 && amount < 0.01 => format!("${amount:.4}"),
        Some(amount) => format!("${amount:.2}"),
    }
}

/// One line of at most `width` characters, each of which shows itself.
pub(crate) fn shorten(text: &str, width: usize) -> String {
    let mut line = text.split_whitespace().fold(String::new(), |mut line, word| {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&escape::unsafe_characters(word));
        line
    });
    cut(&mut line, width);
    line
}

/// Shortens a line to `width` characters, the last of which says so.
pub(crate) fn cut(line: &mut String, width: usize) {
    if let Some((end, _)) = line.char_indices().nth(width) {
        line.truncate(end);
        line.pop();
        line.push('…');
    }
}

/// The clock's time in UTC, as in `12:00:00.123`.
pub(crate) fn clock(at: Timestamp) -> String {
    let whole = muster_wire::time::format(at);
    whole.get(11..23).unwrap_or(&whole).to_owned()
}

/// Rows under a header, in columns as wide as their widest cell; the last column ends each line unpadded.
pub(crate) fn table<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> String {
    let rows: Vec<[String; N]> = rows
        .iter()
        .map(|row| row.each_ref().map(|cell| escape::unsafe_characters(cell).into_owned()))
        .collect();
    let mut widths = header.map(|cell| cell.chars().count());
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: [&str; N]| {
        let padded: Vec<String> = cells
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(header)];
    lines.extend(rows.iter().map(|row| line(row.each_ref().map(String::as_str))));
    lines.join("\n")
}

/// Why a text is no moment.
#[derive(Debug, thiserror::Error)]
#[error("give a time as in 2026-11-21T12:00:00Z, or an age as in 15m")]
pub(crate) struct NoMoment;

/// Reads an age before `now`, or a time.
pub(crate) fn moment(text: &str, now: Timestamp) -> Result<Timestamp, NoMoment> {
    if let Some(at) = muster_wire::time::parse(text) {
        return Ok(at);
    }
    let age: Duration = span(text).ok_or(NoMoment)?;
    let ms = i64::try_from(age.as_millis()).map_err(|_| NoMoment)?;
    Ok(Timestamp::from_millis(now.as_millis().saturating_sub(ms)))
}

pub(crate) fn span(text: &str) -> Option<Duration> {
    let quoted = serde_json::Value::String(text.to_owned());
    serde_json::from_value::<muster_runtime::config::HumanDuration>(quoted)
        .ok()
        .map(|span| span.get())
}

/// A text that is no duration.
#[derive(Debug, thiserror::Error)]
#[error("a duration is a number and a unit, as in 30m or 2h")]
pub(crate) struct NoSpan;

/// For clap: [`span`].
pub(crate) fn span_arg(text: &str) -> Result<Duration, NoSpan> {
    span(text).ok_or(NoSpan)
}

/// Now, by this machine's clock.
pub(crate) fn now() -> Timestamp {
    muster_wire::time::from_system(std::time::SystemTime::now())
}

/// For clap: [`moment`] as of now.
pub(crate) fn moment_arg(text: &str) -> Result<Timestamp, NoMoment> {
    moment(text, now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short() {
        let shown = [0, 340, 1250, 59_999, 192_000, 7_500_000, 180_000_000].map(duration);
        assert_eq!(shown, ["0ms", "340ms", "1.2s", "59.9s", "3m12s", "2h05m", "2d02h"]);
        assert_eq!(age(Timestamp::from_millis(9000), Timestamp::from_millis(1500)), "7s");
        assert_eq!(age(Timestamp::from_millis(0), Timestamp::from_millis(1500)), "0s");
    }

    #[test]
    fn counts_and_money_are_rounded() {
        assert_eq!([999, 1200, 3_400_000].map(count), ["999", "1.2k", "3.4M"]);
        assert_eq!(
            [None, Some(0.0), Some(0.0012), Some(1.234)].map(usd),
            ["-", "$0.00", "$0.0012", "$1.23"]
        );
    }

    #[test]
    fn a_line_cannot_move_the_cursor_or_hide_what_it_holds() {
        assert_eq!(shorten("a\u{1b}[2J b\n\tc\u{2028}d", 80), "a\\u{1b}[2J b c d");
        assert_eq!(shorten("a\u{202e}b", 80), "a\\u{202e}b");
        assert_eq!(shorten("abcdef", 4), "abc…");
        assert_eq!(shorten("abcd", 4), "abcd");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a".to_owned(), "1".to_owned()], ["long".to_owned(), String::new()]];
        assert_eq!(table(["X", "Y"], &rows), "X     Y\na     1\nlong");
        let rows = [["a\u{202e}".to_owned(), "1".to_owned()]];
        assert_eq!(table(["X", "Y"], &rows), "X          Y\na\\u{202e}  1");
    }

    #[test]
    fn a_moment_is_an_age_or_a_time() {
        let now = muster_wire::time::parse("2026-11-21T12:15:00Z").unwrap();
        let noon = muster_wire::time::parse("2026-11-21T12:00:00Z").unwrap();
        assert_eq!(moment("15m", now).unwrap(), noon);
        assert_eq!(moment("2026-11-21T13:00:00+01:00", now).unwrap(), noon);
        assert!(moment("yesterday", now).is_err());
    }
}
