//! One client of the stream.

use super::asked::{Asked, Begin};
use super::follow::{Ended, Follower, Viewer};
use super::frame::{Frame, about, hello};
use super::outlet::{Gone, Outlet};
use super::tail::Epoch;
use crate::fleet::Fleet;
use muster_bus::read::Start;
use muster_wire::Filter;
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;

/// A client's wish, and the way to it.
pub(crate) struct Client {
    pub(crate) follower: Follower,
    pub(crate) fleet: Fleet,
    pub(crate) asked: Asked,
    pub(crate) outlet: Outlet,
}

impl Client {
    /// Streams until the client is gone.
    pub(crate) async fn run(mut self) {
        // The only end there is, so there is nothing to say about it.
        let Err(Gone) = self.serve().await;
    }

    async fn serve(&mut self) -> Result<Infallible, Gone> {
        let (mut epoch, mut start) = self.greet().await?;
        loop {
            let mut viewer = Wanted {
                asked: &self.asked,
                outlet: &mut self.outlet,
            };
            let Err(ended) = self.follower.follow(&mut viewer, &epoch, start).await;
            match ended {
                Ended::Gone => return Err(Gone),
                Ended::Replaced => {}
            }
            epoch = self.follower.present().await?;
            start = self.reset(&epoch, "the log was created anew").await?;
        }
    }

    /// The first frames: where the stream begins, and why not where it was asked to.
    async fn greet(&mut self) -> Result<(Arc<Epoch>, Start), Gone> {
        let epoch = self.follower.present().await?;
        let after = match self.asked.from {
            Begin::Now => Err(Start::Seq(epoch.next())),
            Begin::Time(at) => Err(Start::Time(at)),
            Begin::Seq(0) => Err(Start::First),
            // A sequence that the log does not have yet is as much of another log as an id is.
            Begin::Seq(seq) => Ok(epoch.place(seq - 1)),
            Begin::After(place) => Ok(place),
        };
        let start = match after {
            Err(start) => start,
            Ok(place) => match self.follower.unknown(&epoch, place).await {
                None => Start::Seq(place.seq + 1),
                Some(reason) => {
                    self.hello(&epoch, None).await?;
                    let start = self.reset(&epoch, reason).await?;
                    return Ok((epoch, start));
                }
            },
        };
        let from_seq = match start {
            Start::Seq(seq) => Some(seq),
            Start::First | Start::Time(_) | Start::New | Start::Last => None,
        };
        self.hello(&epoch, from_seq).await?;
        Ok((epoch, start))
    }

    async fn hello(&mut self, epoch: &Epoch, from_seq: Option<u64>) -> Result<(), Gone> {
        self.outlet.send(hello(epoch.incarnation(), from_seq)).await
    }

    /// Tells the client to forget what it knew, and gives it the state to go on from. Without an orchestrator there is no
    /// state to give; the log is then told from its oldest event, so that nothing is missing either way.
    async fn reset(&mut self, epoch: &Epoch, reason: &str) -> Result<Start, Gone> {
        let snapshot = self
            .fleet
            .snapshot()
            .await
            .ok()
            .filter(|snapshot| snapshot.stream_created == epoch.created);
        let reset = json!({
            "reason": reason,
            "incarnation": epoch.incarnation().to_string(),
            "snapshot": snapshot.is_some(),
        });
        self.outlet.send(about(Some(epoch.place(0)), "reset", &reset)).await?;
        let Some(snapshot) = snapshot else {
            return Ok(Start::First);
        };
        self.outlet
            .send(about(Some(epoch.place(snapshot.seq)), "snapshot", &snapshot))
            .await?;
        Ok(Start::Seq(snapshot.seq + 1))
    }
}

/// A client that is shown what it asked for.
struct Wanted<'a> {
    asked: &'a Asked,
    outlet: &'a mut Outlet,
}

impl Viewer for Wanted<'_> {
    fn filters(&self) -> Vec<Filter> {
        self.asked.selection.filters()
    }

    async fn consider(&mut self, frame: &Frame) -> Result<(), Gone> {
        if self.asked.selection.wants(frame.subject.as_ref(), || frame.head()) {
            self.outlet.send(frame.text()).await?;
        }
        Ok(())
    }

    async fn gap(&mut self, epoch: &Epoch, first: u64, last: u64) -> Result<(), Gone> {
        let data = json!({ "first_missing": first, "last_missing": last });
        self.outlet.send(about(Some(epoch.place(last)), "gap", &data)).await
    }

    fn outlet(&mut self) -> Option<&mut Outlet> {
        Some(self.outlet)
    }
}
