//! What the writer does when nobody waits: trimming what was kept long enough, saving watermarks, checkpoints, and giving
//! space back. Each comes in small pieces, so that an append waits for one of them at most.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use super::{super::store::PAGE_BYTES, Lane, Writer};

/// About 1 ms of work, sync included.
const TRIM_CHUNK: u64 = 512;
const WATERMARK_INTERVAL: Duration = Duration::from_secs(1);
/// 4 MiB of log before it is copied into the file; SQLite's own default of 1000 pages.
pub(super) const CHECKPOINT_BYTES: u64 = 1000 * PAGE_BYTES;
/// Free space kept for the next burst; beyond it, and beyond half of the file, it goes back to the file system.
const FREE_KEPT_BYTES: u64 = 8 << 20;
const SHRINK_CHUNK_BYTES: u64 = 1 << 20;
/// Acks are noted at most this often per retention time: a bounded list, and a record stays at most 1/16 too long.
const MARKS_PER_RETENTION: u32 = 16;

impl Writer {
    /// One small piece of each thing that may wait. True when there is more to do at once.
    pub(super) fn upkeep(&mut self) -> bool {
        match self.tidy() {
            Ok(more) => {
                self.upkeep_failed = false;
                more
            }
            Err(error) => {
                if !self.upkeep_failed {
                    tracing::warn!(%error, "the spool cannot tidy up: check space and health of the disk under it");
                }
                self.upkeep_failed = true;
                false
            }
        }
    }

    fn tidy(&mut self) -> rusqlite::Result<bool> {
        let now = Instant::now();
        let acked = self.acked();
        let mut more = false;
        if self.logged_bytes >= CHECKPOINT_BYTES {
            self.store.checkpoint()?;
            self.logged_bytes = 0;
        }
        for lane in Lane::ALL {
            if let Some(seq) = self.due(lane, acked[lane.index()], now) {
                let chunk_end = seq.min(self.view.borrow().lane(lane).first + TRIM_CHUNK - 1);
                more |= chunk_end < seq;
                self.remove(lane, chunk_end, acked)?;
            }
        }
        if acked != self.saved_acked && now.duration_since(self.saved_at) >= WATERMARK_INTERVAL {
            self.store.save_watermarks(acked)?;
            (self.saved_acked, self.saved_at) = (acked, now);
        }
        if self.free_bytes > FREE_KEPT_BYTES.max(self.shared.used_bytes.load(Ordering::Relaxed)) {
            self.store.shrink(SHRINK_CHUNK_BYTES)?;
            self.measure(SHRINK_CHUNK_BYTES)?;
            more = true;
        }
        Ok(more)
    }

    /// Notes the watermark and says up to where retention has passed, if anything is left to remove there.
    fn due(&mut self, lane: Lane, acked: u64, now: Instant) -> Option<u64> {
        let first = self.view.borrow().lane(lane).first;
        let marks = &mut self.marks[lane.index()];
        let spacing = self.options.retain_after_ack / MARKS_PER_RETENTION;
        if marks.back().map_or(acked >= first, |(seq, at)| {
            acked > *seq && now.duration_since(*at) >= spacing
        }) {
            marks.push_back((acked, now));
        }
        let ripe = |at: Instant| now.duration_since(at) >= self.options.retain_after_ack;
        while marks.front().is_some_and(|(seq, _)| *seq < first) || marks.get(1).is_some_and(|(_, at)| ripe(*at)) {
            marks.pop_front();
        }
        marks.front().filter(|(_, at)| ripe(*at)).map(|(seq, _)| *seq)
    }

    fn remove(&mut self, lane: Lane, seq: u64, acked: [u64; 2]) -> rusqlite::Result<()> {
        self.store.trim(lane, seq, acked)?;
        (self.saved_acked, self.saved_at) = (acked, Instant::now());
        self.view.send_modify(|view| view.lanes[lane.index()].first = seq + 1);
        self.measure(8 * PAGE_BYTES)
    }

    pub(in crate::spool) fn trim(&mut self, lane: Lane, seq: u64) -> rusqlite::Result<u64> {
        let acked = self.acked();
        let start = self.view.borrow().lane(lane).first;
        let end = seq.min(acked[lane.index()]);
        let mut first = start;
        while first <= end {
            let chunk_end = end.min(first + TRIM_CHUNK - 1);
            self.remove(lane, chunk_end, acked)?;
            first = chunk_end + 1;
        }
        Ok(first - start)
    }

    pub(in crate::spool) fn rewind(&mut self, lane: Lane, seq: u64) -> u64 {
        let acked = &self.shared.acked[lane.index()];
        let lowest = self.view.borrow().lane(lane).first - 1;
        let rewound = seq.max(lowest).min(acked.load(Ordering::Acquire));
        acked.store(rewound, Ordering::Release);
        self.marks[lane.index()].clear();
        rewound
    }
}
