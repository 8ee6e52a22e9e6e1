//! Which approval is meant: by any part that its id begins or ends with.
//!
//! Ids begin with the time, so what is asked within the same minute begins alike; their ends tell them apart.

use super::{about, fetch};
use crate::ask::{AskError, ask};
use muster_bus::Bus;
use muster_domain::approval::ApprovalId;
use muster_wire::api::{
    ApiError, ApprovalAnswer, ApprovalRequest, ApprovalRow, ApprovalState, ApprovalsListRequest, ErrorKind,
};
use muster_wire::subject::Operation;
use std::collections::BTreeSet;

/// Fewer characters of an id are a slip rather than a choice.
const CHARS_MIN: usize = 4;
/// Characters that are shown of an id, unless more are needed.
const CHARS: usize = 6;

/// The approval whose id is, begins or ends like this: one that waits before one that ended.
pub(super) async fn find(bus: &Bus, given: &str) -> Result<ApprovalRow, AskError> {
    if let Ok(id) = given.parse::<ApprovalId>() {
        let (_, answer): (_, ApprovalAnswer) = ask(bus, Operation::ApprovalsGet, &ApprovalRequest { id }).await?;
        return Ok(answer.approval);
    }
    let filter = ApprovalsListRequest {
        state: ApprovalState::All,
        ..ApprovalsListRequest::default()
    };
    let (_, known) = fetch(bus, filter).await?;
    pick(given, known).map_err(AskError::Refused)
}

/// The one that waits, while it is the only one.
pub(super) async fn latest(bus: &Bus) -> Result<ApprovalRow, AskError> {
    let (_, waiting) = fetch(bus, ApprovalsListRequest::default()).await?;
    only(waiting, "more than one waits", "nothing waits for an answer").map_err(AskError::Refused)
}

fn pick(given: &str, known: Vec<ApprovalRow>) -> Result<ApprovalRow, ApiError> {
    let part: String = given.chars().filter(|c| *c != '-').collect::<String>().to_lowercase();
    if part.len() < CHARS_MIN {
        let detail = format!("give at least {CHARS_MIN} characters of an approval's id");
        return Err(ApiError::new(ErrorKind::BadRequest, detail));
    }
    let meant = |row: &ApprovalRow| {
        let id = digits(row.id);
        id.starts_with(&part) || id.ends_with(&part)
    };
    let mut meant: Vec<ApprovalRow> = known.into_iter().filter(meant).collect();
    if meant.iter().any(|row| row.resolution.is_none()) {
        meant.retain(|row| row.resolution.is_none());
    }
    let several = format!("{given:?} is not one approval");
    let none = format!("no approval's id begins or ends with {given:?}");
    only(meant, &several, &none)
}

fn only(mut rows: Vec<ApprovalRow>, several: &str, none: &str) -> Result<ApprovalRow, ApiError> {
    if let [_] = rows[..] {
        return Ok(rows.remove(0));
    }
    if rows.is_empty() {
        return Err(ApiError::new(ErrorKind::NotFound, none));
    }
    // Few enough to read, the newest of them.
    let chars = distinct(&rows);
    let list: Vec<String> = rows
        .iter()
        .rev()
        .take(10)
        .map(|row| format!("\n  {}  {}", short(row.id, chars), about(row)))
        .collect();
    let more = rows.len() - list.len();
    let more = if more == 0 {
        String::new()
    } else {
        format!("\n  and {more} more")
    };
    let detail = format!("{several}; give the end of its id:{}{more}", list.concat());
    Err(ApiError::new(ErrorKind::Ambiguous, detail))
}

/// How many characters of their ids tell these apart.
pub(super) fn distinct(rows: &[ApprovalRow]) -> usize {
    let cut = |chars| {
        rows.iter()
            .map(|row| short(row.id, chars))
            .collect::<BTreeSet<_>>()
            .len()
    };
    let all: BTreeSet<_> = rows.iter().map(|row| row.id).collect();
    (CHARS..32).find(|chars| cut(*chars) == all.len()).unwrap_or(32)
}

/// The end of an id.
pub(super) fn short(id: ApprovalId, chars: usize) -> String {
    let digits = digits(id);
    digits[digits.len().saturating_sub(chars)..].to_owned()
}

fn digits(id: ApprovalId) -> String {
    id.to_string().chars().filter(|c| *c != '-').collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{answered, row};
    use super::*;

    const ONE: &str = "0198f3c2-0000-7000-8000-00000000aaaa";
    const TWO: &str = "0198f3c2-0000-7000-8000-00000001aaaa";
    const THREE: &str = "0198f3c2-1111-7000-8000-0000000bbbbb";

    fn picked(given: &str) -> Result<String, ApiError> {
        let known = vec![row(ONE), answered(TWO), row(THREE)];
        pick(given, known).map(|row| row.id.to_string())
    }

    #[test]
    fn either_end_of_an_id_names_an_approval_while_it_is_the_only_one() {
        assert_eq!(picked("bbbb").unwrap(), THREE);
        assert_eq!(picked("0198F3C2-1111").unwrap(), THREE);
        assert_eq!(picked("1aaaa").unwrap(), TWO);
        assert_eq!(picked("aaaa").unwrap(), ONE, "who waits comes before who was answered");
        let both = picked("0198f3c2").unwrap_err();
        assert_eq!(both.kind, ErrorKind::Ambiguous);
        assert!(
            both.detail.contains("00aaaa") && both.detail.contains("0bbbbb"),
            "{both}"
        );
        assert_eq!(picked("cccc").unwrap_err().kind, ErrorKind::NotFound);
        assert_eq!(picked("a").unwrap_err().kind, ErrorKind::BadRequest);
    }

    #[test]
    fn shown_ids_are_long_enough_to_differ() {
        assert_eq!(distinct(&[row(ONE), row(THREE)]), 6);
        assert_eq!(short(row(ONE).id, 6), "00aaaa");
        let near = "0198f3c2-0000-7000-8000-00100000aaaa";
        assert_eq!(distinct(&[row(ONE), row(near)]), 10);
    }
}
