//! Counting: every event of the log is offered to every observer that wants it, once, whoever reads or does not.
//!
//! It never waits for a client, so a client that is slow or away is told truly what it missed, and holds up nobody.

use super::book::Book;
use super::observed::Observed;
use crate::stream::follow::{Ended, Follower, Viewer};
use crate::stream::frame::Frame;
use crate::stream::outlet::{Gone, Outlet};
use crate::stream::tail::Epoch;
use muster_bus::Bus;
use muster_bus::read::Start;
use muster_runtime::drain::Drain;
use muster_wire::Filter;
use muster_wire::topology::EVENTS;
use std::sync::Arc;
use tokio::sync::watch;

/// Counts for as long as the service runs.
pub(crate) struct Count {
    pub(crate) book: Arc<Book>,
    pub(crate) follower: Follower,
    /// Changes with each event that was counted for everybody.
    pub(crate) progress: watch::Sender<u64>,
}

impl Count {
    pub(crate) async fn run(mut self, drain: Drain) -> anyhow::Result<()> {
        tokio::select! {
            () = drain.requested() => {}
            Err(Gone) = self.count() => drain.requested().await,
        }
        Ok(())
    }

    async fn count(&mut self) -> Result<std::convert::Infallible, Gone> {
        let book = Arc::clone(&self.book);
        loop {
            let epoch = self.follower.present().await?;
            for observed in book.all() {
                on_log(&self.follower.bus, &observed, &epoch).await;
            }
            let counted = book.all().iter().filter_map(|observed| observed.counted()).min();
            let Some(counted) = counted else {
                tokio::select! {
                    () = book.recount.notified() => {}
                    changed = self.follower.epochs.changed() => changed.map_err(|_| Gone)?,
                }
                continue;
            };
            self.progress.send_replace(counted);
            let mut tally = Tally {
                book: &book,
                progress: &self.progress,
            };
            tokio::select! {
                biased;
                () = book.recount.notified() => {}
                Err(ended) = self.follower.follow(&mut tally, &epoch, Start::Seq(counted + 1)) => match ended {
                    Ended::Gone => return Err(Gone),
                    Ended::Replaced => {}
                },
            }
        }
    }
}

/// Has an observer's numbers be of the present log. Whoever comes first does it.
pub(crate) async fn on_log(bus: &Bus, observed: &Observed, epoch: &Epoch) {
    let another = observed.log() != epoch.created;
    // The tail may be a little behind of what another notifier wrote down; only the hub knows where the log ends.
    let beyond = !another
        && observed.settled() >= epoch.next()
        && matches!(bus.stream_state(EVENTS).await, Ok(state) if observed.settled() > state.last_seq);
    if another || beyond {
        observed.restart(epoch.created);
    }
}

/// Shown everything, for everybody.
struct Tally<'a> {
    book: &'a Book,
    progress: &'a watch::Sender<u64>,
}

impl Viewer for Tally<'_> {
    fn filters(&self) -> Vec<Filter> {
        Vec::new()
    }

    async fn consider(&mut self, frame: &Frame) -> Result<(), Gone> {
        self.book.each(|observed| observed.see(frame));
        self.progress.send_replace(frame.seq);
        Ok(())
    }

    async fn gap(&mut self, _: &Epoch, _: u64, last: u64) -> Result<(), Gone> {
        self.book.each(|observed| observed.discard(last + 1));
        self.progress.send_replace(last);
        Ok(())
    }

    fn outlet(&mut self) -> Option<&mut Outlet> {
        None
    }
}
