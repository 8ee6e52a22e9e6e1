//! One attachment: an observer's events, as a stream of the same frames as everybody's, from where it left off.
//!
//! The account decides what is sent; this only reads the log and sends. What was handed over is known here alone until the
//! next time it is written down, so after a crash a client without a `Last-Event-ID` may get again what it got last.

use super::account::Gap;
use super::count::on_log;
use super::observed::{Observed, Standing};
use crate::stream::follow::{Ended, Follower, Viewer};
use crate::stream::frame::{Frame, Place, about, hello};
use crate::stream::outlet::{Gone, Outlet};
use crate::stream::tail::Epoch;
use bytes::Bytes;
use muster_bus::read::Start;
use muster_wire::Filter;
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::watch;
use uuid::Uuid;

/// A client that is attached.
pub(crate) struct Attachment {
    pub(crate) observed: Arc<Observed>,
    pub(crate) claim: Uuid,
    /// Where the client says that it is.
    pub(crate) after: Option<Place>,
    pub(crate) follower: Follower,
    pub(crate) progress: watch::Receiver<u64>,
    pub(crate) outlet: Outlet,
}

/// What is sent of what was counted already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Resume {
    /// Up to here it was handed over, and is sent again.
    again_until: u64,
    /// Up to here the client has it, and it counts as handed over.
    had_until: u64,
}

impl Attachment {
    /// Streams until the client is gone, or its claim is.
    pub(crate) async fn run(mut self) {
        // The only end there is, so there is nothing to say about it.
        let Err(Gone) = self.serve().await;
    }

    async fn serve(&mut self) -> Result<Infallible, Gone> {
        let mut greeted = false;
        loop {
            let epoch = self.follower.present().await?;
            on_log(&self.follower.bus, &self.observed, &epoch).await;
            self.be_counted(&epoch).await?;
            let after = self.after.take();
            let reset = self.reset_reason(&epoch, after).await?;
            let resume = match after.filter(|_| reset.is_none()) {
                Some(place) => self.resume(place.seq)?,
                None => Resume::default(),
            };
            let start = if resume.again_until > 0 {
                after.map_or(0, |place| place.seq) + 1
            } else {
                self.observed.settled() + 1
            };
            if !std::mem::replace(&mut greeted, true) {
                self.outlet.send(hello(epoch.incarnation(), Some(start))).await?;
            }
            if let Some(reason) = reset {
                let data = json!({
                    "reason": reason,
                    "incarnation": epoch.incarnation().to_string(),
                    "snapshot": false,
                });
                self.outlet
                    .send(about(Some(epoch.place(start - 1)), "reset", &data))
                    .await?;
            }
            let mut shown = Shown {
                observed: &self.observed,
                claim: self.claim,
                epoch: &epoch,
                resume,
                outlet: &mut self.outlet,
            };
            if resume.again_until == 0 {
                shown.tell().await?;
            }
            let Err(ended) = self.follower.follow(&mut shown, &epoch, Start::Seq(start)).await;
            match ended {
                Ended::Gone => return Err(Gone),
                Ended::Replaced => {}
            }
        }
    }

    /// Waits until it is known what waits: right after a start it is not.
    async fn be_counted(&mut self, epoch: &Epoch) -> Result<(), Gone> {
        let end = epoch.next();
        while self.observed.counted().is_some_and(|seq| seq + 1 < end) {
            tokio::select! {
                changed = self.progress.changed() => changed.map_err(|_| Gone)?,
                () = self.outlet.quiet() => self.outlet.alive(None).await?,
            }
        }
        Ok(())
    }

    /// Why the client has to forget what it knew.
    async fn reset_reason(&self, epoch: &Epoch, after: Option<Place>) -> Result<Option<&'static str>, Gone> {
        if self.observed.tell_replaced(self.claim)? {
            return Ok(Some("the log was created anew"));
        }
        match after {
            Some(place) => Ok(self.follower.unknown(epoch, place).await),
            None => Ok(None),
        }
    }

    fn resume(&self, seq: u64) -> Result<Resume, Gone> {
        let (handed, from_seq) = self.observed.acknowledge(self.claim, seq)?;
        let nothing = Resume::default();
        Ok(if seq >= handed {
            Resume {
                had_until: seq,
                ..nothing
            }
        } else if seq + 1 >= from_seq {
            Resume {
                again_until: handed,
                ..nothing
            }
        } else {
            nothing
        })
    }
}

/// A client that is shown what its observer is about.
struct Shown<'a> {
    observed: &'a Observed,
    claim: Uuid,
    epoch: &'a Epoch,
    resume: Resume,
    outlet: &'a mut Outlet,
}

impl Shown<'_> {
    /// Says what was missed, where that was not said yet.
    async fn tell(&mut self) -> Result<(), Gone> {
        let gap = self.observed.tell(self.claim)?;
        self.say(gap).await
    }

    async fn say(&mut self, gap: Option<Gap>) -> Result<(), Gone> {
        let Some(gap) = gap else { return Ok(()) };
        self.outlet
            .send(about(Some(self.epoch.place(gap.last)), "gap", &gap))
            .await?;
        self.observed.told(self.claim)
    }
}

impl Viewer for Shown<'_> {
    fn filters(&self) -> Vec<Filter> {
        self.observed.selection.filters()
    }

    async fn consider(&mut self, frame: &Frame) -> Result<(), Gone> {
        if !self.observed.selection.wants(frame.subject.as_ref(), || frame.head()) {
            return Ok(());
        }
        if frame.seq <= self.resume.again_until {
            return self.outlet.send(frame.text()).await;
        }
        let Some(taken) = self.observed.take(self.claim, frame.seq)? else {
            return Ok(());
        };
        self.say(taken.gap).await?;
        if frame.seq > self.resume.had_until {
            self.outlet.send(frame.text()).await?;
        }
        self.observed.hand_over(self.claim)
    }

    async fn gap(&mut self, _: &Epoch, _: u64, last: u64) -> Result<(), Gone> {
        self.observed.discard(last + 1);
        if last > self.resume.again_until {
            self.tell().await?;
        }
        Ok(())
    }

    fn outlet(&mut self) -> Option<&mut Outlet> {
        Some(self.outlet)
    }

    fn useful(&self, seq: u64) -> u64 {
        if seq <= self.resume.again_until {
            seq
        } else {
            seq.max(self.observed.settled() + 1)
        }
    }
}

/// The last frame of an attachment whose claim counts no more.
pub(crate) fn farewell(standing: Standing) -> Bytes {
    let (name, data) = match standing {
        Standing::Claimed(_) => ("stolen", json!({ "reason": "another client attached with steal=true" })),
        Standing::Free => ("stolen", json!({ "reason": "the attachment lapsed" })),
        Standing::Unregistered => ("gone", json!({ "reason": "unregistered" })),
        Standing::Expired => ("gone", json!({ "reason": "expired" })),
    };
    about(None, name, &data)
}
