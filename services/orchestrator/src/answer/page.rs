//! Pages: as many rows as were asked for, and as fit into an answer.
//!
//! Rows are counted and weighed. A list names the last row of a page for the next one to go on after, so that rows which come
//! and go in between neither repeat nor hide others.

use muster_domain::time::Timestamp;
use serde::Serialize;
use std::cmp::Reverse;

/// Bytes of one page: a message to the hub may have 1 MiB, and what is said around the rows has to fit too.
const BYTES_MAX: usize = 448 * 1024;

/// What one answer still has room for.
pub(super) struct Room {
    bytes: usize,
}

/// Rows, and whether there are more.
pub(super) struct Page<R> {
    pub(super) rows: Vec<R>,
    pub(super) more: bool,
}

impl Room {
    pub(super) const fn new() -> Self {
        Self { bytes: 0 }
    }

    /// Whether this fits too. The first always does: nothing that is shown alone is as large.
    pub(super) fn takes(&mut self, row: &impl Serialize) -> bool {
        let bytes = serde_json::to_vec(row).map_or(0, |text| text.len());
        let fits = self.bytes == 0 || self.bytes + bytes <= BYTES_MAX;
        self.bytes += if fits { bytes } else { 0 };
        fits
    }

    /// The first of these rows.
    pub(super) fn page<R: Serialize>(&mut self, rows: impl IntoIterator<Item = R>, limit: usize) -> Page<R> {
        let mut page = Page {
            rows: Vec::new(),
            more: false,
        };
        for row in rows {
            if page.rows.len() == limit || !self.takes(&row) {
                page.more = true;
                break;
            }
            page.rows.push(row);
        }
        page
    }
}

/// One page of these rows.
pub(super) fn of<R: Serialize>(rows: impl IntoIterator<Item = R>, limit: usize) -> Page<R> {
    Room::new().page(rows, limit)
}

impl<R> Page<R> {
    /// What the last row is called, where there are more.
    pub(super) fn next<I>(&self, name: impl FnOnce(&R) -> I) -> Option<I> {
        self.rows.last().filter(|_| self.more).map(name)
    }
}

/// Where rows that come the latest first begin or go on.
pub(super) type Place<I> = (Reverse<Timestamp>, I);

/// One page of what is known, the latest first; `after` is where the page before ended.
pub(super) fn latest<'a, I: Copy + Ord, V: 'a, R: Serialize>(
    all: impl Iterator<Item = (I, &'a V)>,
    at: impl Fn(&V) -> Timestamp,
    after: Option<Place<I>>,
    row: impl Fn(I, &V) -> R,
    limit: usize,
) -> Page<R> {
    let placed = all.map(|(id, one)| ((Reverse(at(one)), id), one));
    let mut rest: Vec<_> = placed
        .filter(|(place, _)| after.is_none_or(|after| *place > after))
        .collect();
    rest.sort_unstable_by_key(|(place, _)| *place);
    of(rest.into_iter().map(|((_, id), one)| row(id, one)), limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_with_what_was_asked_for_or_fits_and_has_one_row_at_least() {
        let small = of(vec!["x"; 10], 3);
        assert_eq!((small.rows.len(), small.more), (3, true));
        let all = of(vec!["x"; 3], 3);
        assert_eq!((all.rows.len(), all.more), (3, false));
        let large = "x".repeat(BYTES_MAX / 2);
        let page = of(vec![large; 5], 5);
        assert_eq!((page.rows.len(), page.more), (1, true), "quotes count too");
        let huge = of(vec!["x".repeat(BYTES_MAX + 1)], 5);
        assert_eq!((huge.rows.len(), huge.more), (1, false));
    }

    #[test]
    fn the_latest_come_first_and_each_once() {
        let all: Vec<(u32, i64)> = (0..10).map(|n| (n, i64::from(n / 3))).collect();
        let (mut seen, mut after): (Vec<u32>, _) = (Vec::new(), None);
        loop {
            let rows = all.iter().map(|(id, at)| (*id, at));
            let page = latest(rows, |at| Timestamp::from_millis(*at), after, |id, _| id, 4);
            seen.extend(&page.rows);
            let Some(last) = page.next(|id| *id) else { break };
            after = Some((Reverse(Timestamp::from_millis(i64::from(last / 3))), last));
        }
        assert_eq!(seen, [9, 6, 7, 8, 3, 4, 5, 0, 1, 2]);
    }
}
