//! The way orders take from ingest to the loop, and receipts back.
//!
//! It outlives every connection: what was ordered is remembered with what became of it, so that after ingest was away
//! nothing is done twice and no receipt is lost.

use crate::socket::{Connection, Saying, SocketError};
use muster_domain::effect::{Action, ActionKind};
use muster_domain::ids::EffectId;
use muster_domain::names::{RunId, SessionId};
use muster_wire::frame::{Carry, CarryOrder, CarryReceipt, ClientFrame, OfEffect, ServerFrame};
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

/// Orders and receipts under way between the loop and here.
const UNDER_WAY_MAX: usize = 128;
/// Orders that are over and remembered, in case one comes again.
const OVER_MAX: usize = 1024;
/// Between two attempts to reach ingest: it is back within a second or two of a restart.
const AGAIN: Duration = Duration::from_millis(250);
/// The same where another process carries the session: that runs for a while.
const AGAIN_REFUSED: Duration = Duration::from_secs(2);
/// How long the last receipts are offered.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// What ingest wants of the loop.
#[derive(Debug)]
pub(super) enum Wanted {
    Order(EffectId, Action),
    Withdrawn(EffectId),
    /// Ingest takes this for the carrier, or does not any more, and why.
    Reached(Result<(), SocketError>),
}

/// What the loop says.
#[derive(Debug)]
enum Told {
    Carries(RunId, SessionId),
    Receipt(CarryReceipt),
}

/// The loop's end.
pub(super) struct Carrying {
    pub(super) wanted: Receiver<Wanted>,
    told: Sender<Told>,
    channel: JoinHandle<()>,
}

impl Carrying {
    pub(super) fn start(socket: Option<PathBuf>) -> Self {
        let (wants, wanted) = mpsc::channel(UNDER_WAY_MAX);
        let (told, tells) = mpsc::channel(UNDER_WAY_MAX);
        let channel = Channel {
            wants,
            tells,
            known: Known::default(),
            told: None,
        };
        Self {
            wanted,
            told,
            channel: TaskTracker::new().spawn(channel.run(socket)),
        }
    }

    /// Who carries from here on.
    pub(super) async fn carries(&self, run: &RunId, session: &SessionId) {
        // The channel ends only when this does.
        let _ = self.told.send(Told::Carries(run.clone(), session.clone())).await;
    }

    pub(super) async fn done(&self, effect: EffectId, kind: ActionKind, detail: Option<String>) {
        self.receipt(effect, kind, None, detail).await;
    }

    pub(super) async fn failed(&self, effect: EffectId, kind: ActionKind, reason: &str, detail: &str) {
        self.receipt(effect, kind, Some(reason.to_owned()), Some(detail.to_owned()))
            .await;
    }

    async fn receipt(&self, effect_id: EffectId, kind: ActionKind, failed: Option<String>, detail: Option<String>) {
        let receipt = CarryReceipt {
            effect_id,
            kind,
            failed,
            detail,
        };
        let _ = self.told.send(Told::Receipt(receipt)).await;
    }

    /// Lets the last receipts go.
    pub(super) async fn finish(self) {
        drop((self.told, self.wanted));
        let mut channel = self.channel;
        if timeout(LAST_WORDS, &mut channel).await.is_err() {
            channel.abort();
        }
    }
}

/// Orders, and what became of them.
#[derive(Debug, Default)]
struct Known {
    /// Not noted by ingest yet.
    open: BTreeMap<EffectId, Option<CarryReceipt>>,
    over: VecDeque<CarryReceipt>,
}

impl Known {
    /// Whether an order is new. What became of one that is not, where that is known.
    fn order(&mut self, id: EffectId) -> Result<(), Option<CarryReceipt>> {
        if let Some(receipt) = self.open.get(&id) {
            return Err(receipt.clone());
        }
        if let Some(receipt) = self.over.iter().find(|receipt| receipt.effect_id == id) {
            return Err(Some(receipt.clone()));
        }
        self.open.insert(id, None);
        Ok(())
    }

    fn noted(&mut self, id: EffectId) {
        if let Some(receipt) = self.open.remove(&id).flatten() {
            self.over.push_back(receipt);
            if self.over.len() > OVER_MAX {
                self.over.pop_front();
            }
        }
    }

    fn receipts(&self) -> impl Iterator<Item = &CarryReceipt> {
        self.open.values().flatten()
    }
}

/// How this stands with ingest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Carries,
    Away,
    /// Another process carries the session.
    Refused,
}

struct Channel {
    wants: Sender<Wanted>,
    tells: Receiver<Told>,
    known: Known,
    /// How it stands, as the loop was told last.
    told: Option<Standing>,
}

/// Why a connection is over.
enum Over {
    Broken(SocketError),
    /// Another run, or session, carries now.
    Changed(RunId, SessionId),
    /// The loop is over, and everything is told.
    Finished,
}

impl Channel {
    async fn run(mut self, socket: Option<PathBuf>) {
        let mut carrier = None;
        let mut over = false;
        loop {
            let Some((run, session)) = &carrier else {
                match self.tells.recv().await {
                    Some(Told::Carries(run, session)) => carrier = Some((run, session)),
                    Some(Told::Receipt(receipt)) => self.keep(receipt),
                    None => return,
                }
                continue;
            };
            let carry = Carry {
                run: run.clone(),
                session: session.clone(),
                holds: self.known.open.keys().copied().collect(),
            };
            match self.connected(socket.as_deref(), carry, &mut over).await {
                Over::Finished => return,
                Over::Changed(run, session) => carrier = Some((run, session)),
                Over::Broken(error) => {
                    let (standing, again) = if matches!(error, SocketError::Refused(_)) {
                        (Standing::Refused, AGAIN_REFUSED)
                    } else {
                        (Standing::Away, AGAIN)
                    };
                    self.stands(standing, Err(error));
                    if over && self.known.receipts().next().is_none() {
                        return;
                    }
                    let mut pause = std::pin::pin!(sleep(again));
                    loop {
                        tokio::select! {
                            () = &mut pause => break,
                            told = self.tells.recv(), if !over => match told {
                                Some(Told::Carries(run, session)) => carrier = Some((run, session)),
                                Some(Told::Receipt(receipt)) => self.keep(receipt),
                                None => over = true,
                            },
                        }
                    }
                }
            }
        }
    }

    fn stands(&mut self, standing: Standing, reached: Result<(), SocketError>) {
        if self.told.replace(standing) != Some(standing) {
            // Whoever does not listen any more does not miss it.
            let _ = self.wants.try_send(Wanted::Reached(reached));
        }
    }

    fn keep(&mut self, receipt: CarryReceipt) {
        self.known.open.insert(receipt.effect_id, Some(receipt));
    }

    async fn connected(&mut self, socket: Option<&Path>, carry: Carry, over: &mut bool) -> Over {
        match self.exchange(socket, carry, over).await {
            Ok(over) => over,
            Err(error) => Over::Broken(error),
        }
    }

    async fn exchange(&mut self, socket: Option<&Path>, carry: Carry, over: &mut bool) -> Result<Over, SocketError> {
        let mut connection = Connection::open(socket.ok_or(SocketError::Unexpected)?, "run").await?;
        let ServerFrame::Carrying = connection.ask(&ClientFrame::Carry(carry)).await? else {
            return Err(SocketError::Unexpected);
        };
        self.stands(Standing::Carries, Ok(()));
        let (mut listening, mut saying) = connection.split();
        for receipt in self.known.receipts() {
            saying.say(&ClientFrame::Receipt(receipt.clone())).await?;
        }
        loop {
            if *over && self.known.receipts().next().is_none() {
                return Ok(Over::Finished);
            }
            tokio::select! {
                frame = listening.next() => self.heard(frame?, &mut saying).await?,
                told = self.tells.recv(), if !*over => match told {
                    Some(Told::Carries(run, session)) => return Ok(Over::Changed(run, session)),
                    Some(Told::Receipt(receipt)) => {
                        self.keep(receipt.clone());
                        saying.say(&ClientFrame::Receipt(receipt)).await?;
                    }
                    None => *over = true,
                },
            }
        }
    }

    async fn heard(&mut self, frame: ServerFrame, saying: &mut Saying) -> Result<(), SocketError> {
        match frame {
            ServerFrame::Order(CarryOrder { effect_id, action }) => match self.known.order(effect_id) {
                Ok(()) => {
                    let kind = action.kind();
                    if self.wants.try_send(Wanted::Order(effect_id, action)).is_err() {
                        let receipt = CarryReceipt {
                            effect_id,
                            kind,
                            failed: Some("refused".to_owned()),
                            detail: Some("the run is ending, or too much waits for it".to_owned()),
                        };
                        self.keep(receipt.clone());
                        saying.say(&ClientFrame::Receipt(receipt)).await?;
                    }
                }
                Err(Some(receipt)) => saying.say(&ClientFrame::Receipt(receipt)).await?,
                Err(None) => {}
            },
            ServerFrame::Withdrawn(OfEffect { effect_id }) => {
                // Where there is no room for it, it is as if it came too late.
                let _ = self.wants.try_send(Wanted::Withdrawn(effect_id));
            }
            ServerFrame::Noted(OfEffect { effect_id }) => self.known.noted(effect_id),
            ServerFrame::Hello(_)
            | ServerFrame::Status(_)
            | ServerFrame::Ack(_)
            | ServerFrame::Hold(_)
            | ServerFrame::HookAnswer(_)
            | ServerFrame::Reply(_)
            | ServerFrame::Carrying
            | ServerFrame::Error(_) => return Err(SocketError::Unexpected),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_domain::ids::EventId;
    use uuid::Uuid;

    #[test]
    fn an_order_that_comes_again_is_not_carried_out_again() {
        let mut known = Known::default();
        let id = EffectId::of(EventId::from_uuid(Uuid::from_u128(1)));
        assert_eq!(known.order(id), Ok(()));
        assert_eq!(known.order(id), Err(None));
        let receipt = CarryReceipt {
            effect_id: id,
            kind: ActionKind::Stop,
            failed: None,
            detail: None,
        };
        known.open.insert(id, Some(receipt.clone()));
        assert_eq!(known.order(id), Err(Some(receipt.clone())));
        known.noted(id);
        assert_eq!(known.order(id), Err(Some(receipt)));
        assert_eq!(known.receipts().count(), 0);
    }
}
