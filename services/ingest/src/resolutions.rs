//! What was decided about this host's asks: followed in the log, remembered for a while, handed to whoever waits. What this
//! host shall do comes the same way, and goes to `effects`.
//!
//! Remembered, because an answer may come while its hook is between two connections. Beyond that memory the leader knows.

use crate::answers::Decision;
use crate::effects::Effects;
use crate::presence::Standing;
use muster_bus::consume::Delivery;
use muster_bus::migrate::{self, MigrateError};
use muster_bus::read::ReadError;
use muster_bus::{Bus, Stored};
use muster_domain::approval::{By, Fallback, Outcome, Scope};
use muster_domain::family::{EffectKind, EventType};
use muster_domain::ids::EventId;
use muster_runtime::health::Condition;
use muster_wire::Envelope;
use muster_wire::data::approval::{ApprovalResolved, ResolutionData};
use muster_wire::topology::HostConsumer;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

/// How long an answer is remembered: longer than any hook is held.
const REMEMBERED: Duration = Duration::from_mins(15);
/// Answers remembered at most: about 1 MiB, if each has a reason of a few lines.
const ANSWERS_MAX: usize = 1024;
/// Deliveries read ahead.
const IN_FLIGHT: usize = 16;
/// What comes after at least this long a wait, on a connection that stayed, was not there before.
const WAITED: Duration = Duration::from_millis(200);
/// How soon a hub that does not let us follow is asked again.
const RETRY: Duration = Duration::from_secs(5);

/// What the agent is told; nothing where its own dialog decides, or did.
pub(crate) fn decision(said: &ResolutionData) -> Option<Decision> {
    let deny = |reason: String| Decision::Deny {
        reason,
        interrupt: said.interrupt,
    };
    match said.outcome {
        Outcome::Approved => Some(Decision::Approve {
            for_session: said.scope == Scope::Session,
            updated_input: said
                .updated_input
                .as_ref()
                .and_then(|raw| serde_json::from_str(raw.get()).ok()),
        }),
        Outcome::Denied => Some(deny(said.reason.clone().unwrap_or_else(|| denied(&said.by)))),
        Outcome::Expired if said.fallback == Some(Fallback::Deny) => {
            Some(deny("Nobody approved this in time.".to_owned()))
        }
        Outcome::Expired | Outcome::AnsweredElsewhere | Outcome::Withdrawn => None,
    }
}

fn denied(by: &By) -> String {
    match by {
        By::Operator(name) => format!("Denied by {name}."),
        By::Policy(name) => format!("Denied by the rule {name}."),
        By::Terminal | By::Deadline | By::Host | By::SessionOver => "Denied.".to_owned(),
    }
}

/// Answers by ask.
#[derive(Default)]
pub(crate) struct Resolutions(Mutex<Known>);

#[derive(Default)]
struct Known {
    answers: HashMap<EventId, Arc<ResolutionData>>,
    since: VecDeque<(Instant, EventId)>,
    waiting: HashMap<EventId, Vec<oneshot::Sender<Arc<ResolutionData>>>>,
}

/// A place in the wait for one answer.
pub(crate) struct Ticket {
    ask: EventId,
    answer: oneshot::Receiver<Arc<ResolutionData>>,
    resolutions: Arc<Resolutions>,
}

impl Resolutions {
    /// Waits for the answer to `ask`, which may be known already.
    pub(crate) fn ticket(self: &Arc<Self>, ask: EventId) -> Ticket {
        let (sender, answer) = oneshot::channel();
        let mut known = self.known();
        match known.answers.get(&ask) {
            // The receiver is right here.
            Some(answer) => _ = sender.send(Arc::clone(answer)),
            None => known.waiting.entry(ask).or_default().push(sender),
        }
        drop(known);
        Ticket {
            ask,
            answer,
            resolutions: Arc::clone(self),
        }
    }

    /// Takes an answer; the first to an ask stays.
    pub(crate) fn take(&self, ask: EventId, answer: ResolutionData) {
        let mut known = self.known();
        known.forget(Instant::now());
        if known.answers.contains_key(&ask) {
            return;
        }
        let answer = Arc::new(answer);
        known.answers.insert(ask, Arc::clone(&answer));
        known.since.push_back((Instant::now(), ask));
        for waiting in known.waiting.remove(&ask).into_iter().flatten() {
            // Whoever went meanwhile need not be told.
            let _ = waiting.send(Arc::clone(&answer));
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn forget(&mut self, now: Instant) {
        while let Some((since, ask)) = self.since.front()
            && (self.since.len() >= ANSWERS_MAX || now.duration_since(*since) > REMEMBERED)
        {
            self.answers.remove(ask);
            self.since.pop_front();
        }
    }
}

impl Ticket {
    /// The answer, however long it takes.
    pub(crate) async fn answer(&mut self) -> Arc<ResolutionData> {
        match (&mut self.answer).await {
            Ok(answer) => answer,
            // Only when there are no resolutions any more.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.answer.close();
        let mut known = self.resolutions.known();
        if let Some(waiting) = known.waiting.get_mut(&self.ask) {
            waiting.retain(|sender| !sender.is_closed());
            if waiting.is_empty() {
                known.waiting.remove(&self.ask);
            }
        }
    }
}

/// Why the log cannot be followed.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Making(#[from] MigrateError),
    #[error(transparent)]
    Reading(#[from] ReadError),
}

/// The part that follows the log.
pub(crate) struct Follow {
    pub(crate) bus: Bus,
    pub(crate) consumer: HostConsumer,
    pub(crate) resolutions: Arc<Resolutions>,
    pub(crate) effects: Effects,
    pub(crate) condition: Condition,
    pub(crate) standing: watch::Receiver<Standing>,
}

impl Follow {
    /// Follows until `stop`. Only under a name that is ours: two ingests of one name would take each other's answers.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        tokio::select! {
            () = self.follow() => Ok(()),
            () = stop.cancelled() => Ok(()),
        }
    }

    async fn follow(&mut self) {
        self.condition
            .set_degraded("the hub is away; nobody elsewhere can answer");
        loop {
            // Both senders live as long as the service.
            let _ = self.standing.wait_for(|standing| *standing == Standing::Held).await;
            let _ = self.bus.state().wait_for(|state| state.connected).await;
            if let Err(why) = self.held().await {
                self.condition.set_degraded(format!(
                    "answers to approvals come late, because the hub does not hand them over ({why}); \
                     run `muster host add` for this host"
                ));
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    /// Follows while the name is ours.
    async fn held(&mut self) -> Result<(), FollowError> {
        migrate::host_consumer(&self.bus, &self.consumer).await?;
        self.condition.set_ok();
        let HostConsumer { stream, name, .. } = &self.consumer;
        let mut deliveries = self.bus.consume(stream, name, IN_FLIGHT);
        let mut connection = self.bus.state();
        loop {
            connection.mark_unchanged();
            let waiting = Instant::now();
            let delivery = tokio::select! {
                delivery = deliveries.next() => delivery,
                _ = self.standing.wait_for(|standing| *standing == Standing::Refused) => {
                    return Ok(());
                }
            };
            let delivery = delivery?;
            let here = waiting.elapsed() >= WAITED && !connection.has_changed().unwrap_or(true);
            let fresh = here && delivery.attempt == 1;
            self.take(delivery, fresh).await;
        }
    }

    async fn take(&self, delivery: Delivery, fresh: bool) {
        match read(&delivery.stored) {
            Ok(Said::Answer(ask, answer)) => self.resolutions.take(ask, *answer),
            Ok(Said::Effect(kind, envelope)) => return self.effects.take(kind, &envelope, delivery, fresh).await,
            Ok(Said::Other) => {}
            Err(error) => tracing::warn!(seq = delivery.stored.seq, %error, "an answer cannot be read"),
        }
        // Handed out again otherwise, which changes nothing.
        if let Err(error) = delivery.ack().await {
            tracing::debug!(%error, "an answer was not acknowledged");
        }
    }
}

/// What an event says to this host.
enum Said {
    Answer(EventId, Box<ResolutionData>),
    Effect(EffectKind, Box<Envelope>),
    Other,
}

fn read(stored: &Stored) -> anyhow::Result<Said> {
    let envelope = stored.envelope()?;
    if let EventType::Effect(kind) = envelope.event_type {
        return Ok(Said::Effect(kind, Box::new(envelope)));
    }
    if !matches!(envelope.event_type, EventType::ApprovalResolved(_)) {
        return Ok(Said::Other);
    }
    let said: ApprovalResolved = serde_json::from_str(envelope.data.get())?;
    Ok(Said::Answer(said.approval_id.event(), Box::new(said.resolution)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn ask(n: u128) -> EventId {
        EventId::from_uuid(Uuid::from_u128(n))
    }

    fn answer(said: serde_json::Value) -> ResolutionData {
        let mut whole = serde_json::json!({"outcome": "denied", "by": {"kind": "operator", "name": "anna"}});
        whole.as_object_mut().unwrap().extend(said.as_object().unwrap().clone());
        serde_json::from_value(whole).unwrap()
    }

    fn denied(reason: &str) -> ResolutionData {
        answer(serde_json::json!({ "reason": reason }))
    }

    fn reason(said: &ResolutionData) -> Option<String> {
        match decision(said)? {
            Decision::Deny { reason, .. } => Some(reason),
            Decision::Approve { .. } => None,
        }
    }

    #[tokio::test]
    async fn the_first_answer_reaches_whoever_waits_and_whoever_comes_later() {
        let resolutions = Arc::new(Resolutions::default());
        let mut early = resolutions.ticket(ask(1));
        resolutions.take(ask(1), denied("not now"));
        resolutions.take(ask(1), denied("never"));
        let mut late = resolutions.ticket(ask(1));
        for ticket in [&mut early, &mut late] {
            assert_eq!(reason(&*ticket.answer().await).as_deref(), Some("not now"));
        }
    }

    #[test]
    fn nobody_who_left_is_kept() {
        let resolutions = Arc::new(Resolutions::default());
        let first = resolutions.ticket(ask(1));
        let second = resolutions.ticket(ask(1));
        drop(first);
        assert_eq!(resolutions.known().waiting[&ask(1)].len(), 1);
        drop(second);
        assert!(resolutions.known().waiting.is_empty());
        for n in 0..2 * ANSWERS_MAX as u128 {
            resolutions.take(ask(n), denied("R"));
        }
        assert_eq!(resolutions.known().answers.len(), ANSWERS_MAX);
        assert_eq!(resolutions.known().since.len(), ANSWERS_MAX);
    }

    #[test]
    fn only_a_decision_is_told() {
        let said = |said| decision(&answer(said));
        assert_eq!(said(serde_json::json!({"outcome": "answered_elsewhere"})), None);
        assert_eq!(said(serde_json::json!({"outcome": "withdrawn"})), None);
        assert_eq!(
            said(serde_json::json!({"outcome": "expired", "fallback": "agent"})),
            None
        );
        let expired = serde_json::json!({"outcome": "expired", "fallback": "deny"});
        assert!(matches!(said(expired), Some(Decision::Deny { .. })));
        assert_eq!(
            reason(&answer(serde_json::json!({}))).as_deref(),
            Some("Denied by anna.")
        );
    }
}
