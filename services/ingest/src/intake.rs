//! The one way into the spool: whatever the surface, observations are prepared, named, made durable and only then answered.

mod rebuild;

use crate::metrics::Counts;
use crate::observation::Observation;
use crate::optimize::Saved;
use crate::overflow::{KeepError, Waiting};
use crate::prepare::{Prepared, Rules, Whole};
use crate::recent::{Accepted, Content, Held, Known, Name, Recent};
use crate::reject::Reject;
use crate::spool::{AppendError, Encode, Lane, Priority, Spool};
use crate::watch::{self, Sighting, Watcher};
use muster_domain::fact;
use muster_domain::ids::EventId;
use muster_domain::names::{HostName, Profile};
use muster_wire::{Envelope, time};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;
use uuid::Uuid;

/// Bytes of a refused input that are kept for inspection.
const PARKED_BYTES_MAX: usize = 64 * 1024;

/// A cheap handle.
#[derive(Clone)]
pub(crate) struct Intake(Arc<Inner>);

struct Inner {
    rules: Rules,
    profile: Profile,
    source: String,
    spool: Spool,
    waiting: Arc<Waiting>,
    recent: Recent,
    counts: Counts,
    watcher: Watcher,
}

/// An observation that is ready to be written.
struct Ready {
    lane: Lane,
    priority: Priority,
    envelope: Arc<Envelope>,
    redacted: u64,
    saved: Option<Saved>,
    sighting: Option<Sighting>,
}

impl Intake {
    /// Puts the parts together and reads back which names were answered before a restart.
    pub(crate) async fn open(
        rules: Rules,
        profile: Profile,
        spool: Spool,
        waiting: Arc<Waiting>,
        counts: Counts,
        watcher: Watcher,
    ) -> anyhow::Result<Self> {
        let recent = rebuild::recent(&spool).await?;
        let source = format!("/hosts/{}/ingest", rules.host);
        Ok(Self(Arc::new(Inner {
            rules,
            profile,
            source,
            spool,
            waiting,
            recent,
            counts,
            watcher,
        })))
    }

    pub(crate) fn host(&self) -> &HostName {
        &self.0.rules.host
    }

    pub(crate) fn spool(&self) -> &Spool {
        &self.0.spool
    }

    /// Makes one observation durable.
    ///
    /// # Errors
    /// [`Reject::Full`] and [`Reject::Disk`].
    pub(crate) async fn accept_one(&self, observation: Observation) -> Result<Accepted, Reject> {
        let mut results = self.accept(vec![Ok(observation)]).await;
        results
            .pop()
            .unwrap_or_else(|| Err(Reject::Disk("nothing was written".to_owned())))
    }

    /// Makes all that was understood durable, in one commit a lane, and answers each in its place.
    pub(crate) async fn accept(&self, items: Vec<Result<Observation, Reject>>) -> Vec<Result<Accepted, Reject>> {
        let names: Vec<Option<Name>> = items.iter().map(|item| item.as_ref().ok().and_then(name)).collect();
        let contents: Vec<Option<Content>> = items.iter().map(|item| item.as_ref().ok().map(Content::of)).collect();
        let mut held = self.0.recent.hold(names.iter().flatten().cloned().collect()).await;
        let mut results: Vec<Option<Result<Accepted, Reject>>> = Vec::with_capacity(items.len());
        let mut ready = BTreeMap::new();
        let mut first_of = BTreeMap::new();
        for (index, (item, name)) in items.into_iter().zip(&names).enumerate() {
            let known = name.as_ref().and_then(|name| **held.get(name)?);
            if let Some(known) = known {
                let result = repeated(name.as_ref(), &known, contents[index].as_ref());
                if result.is_ok() {
                    self.0.counts.repeated.add(1);
                }
                results.push(Some(result));
                continue;
            }
            // Twice in one request: the later one waits for the result of the earlier.
            if let Some(name) = name {
                let first = *first_of.entry(name).or_insert(index);
                if first != index {
                    let conflict = conflict(Some(name), contents[first].as_ref(), contents[index].as_ref());
                    results.push(conflict.map(Err));
                    continue;
                }
            }
            match self.ready(item).await {
                Ok(item) => {
                    ready.insert(index, item);
                    results.push(None);
                }
                Err(reject) => results.push(Some(Err(reject))),
            }
        }
        for lane in [Lane::Events, Lane::Transcript] {
            for (index, result) in self.append(lane, &ready).await {
                if result.is_ok()
                    && let Some(item) = ready.get_mut(&index)
                {
                    self.0.counts.accepted(item.redacted, item.saved);
                    item.sighting
                        .take()
                        .into_iter()
                        .for_each(|sighting| self.0.watcher.saw(sighting));
                }
                results[index] = Some(result);
            }
        }
        let results = settle(results, &names, &contents, &first_of, &mut held);
        for result in &results {
            if let Err(reject) = result {
                self.0.counts.rejected(reject);
            }
        }
        results
    }

    async fn ready(&self, item: Result<Observation, Reject>) -> Result<Ready, Reject> {
        let mut observation = item?;
        let lane = observation.lane();
        let priority = observation.priority();
        let profile = observation
            .notes
            .labels
            .get("profile")
            .and_then(|name| Profile::new(name).ok());
        // Before its data are taken.
        let sighting = watch::sighting(&observation);
        let prepared = self.0.rules.prepare(&mut observation);
        let Prepared {
            data,
            overflow,
            saved,
            redacted,
        } = prepared.map_err(|error| Reject::BrokenJson(error.to_string()))?;
        if let Some(whole) = overflow {
            self.keep(whole, priority).await?;
        }
        let envelope = Envelope {
            id: observation.id.unwrap_or_else(|| EventId::from_uuid(Uuid::now_v7())),
            source: self.0.source.clone(),
            event_type: observation.event_type,
            host: Some(self.0.rules.host.clone()),
            session: observation.session,
            time: observation.time.unwrap_or_else(|| time::from_system(SystemTime::now())),
            time_exact: observation.time.is_some(),
            agent: observation.agent,
            profile: Some(profile.unwrap_or_else(|| self.0.profile.clone())),
            origin: None,
            causation: None,
            correlation: None,
            traceparent: observation.traceparent,
            data,
        };
        Ok(Ready {
            lane,
            priority,
            envelope: Arc::new(envelope),
            redacted,
            saved,
            sighting,
        })
    }

    async fn keep(&self, whole: Whole, priority: Priority) -> Result<(), Reject> {
        let waiting = Arc::clone(&self.0.waiting);
        let kept = tokio::task::spawn_blocking(move || waiting.keep(&whole, priority)).await;
        match kept {
            Ok(Ok(())) => Ok(()),
            Ok(Err(KeepError::Full { .. })) => Err(Reject::Full),
            Ok(Err(KeepError::Io(error))) => Err(Reject::Disk(error.to_string())),
            Err(error) => Err(Reject::Disk(error.to_string())),
        }
    }

    /// Writes one lane's observations together. When there is no room for all of them, those that matter most still go.
    async fn append(&self, lane: Lane, ready: &BTreeMap<usize, Ready>) -> Vec<(usize, Result<Accepted, Reject>)> {
        let of_lane = ready.iter().filter(|(_, item)| item.lane == lane);
        let (high, low): (Vec<_>, Vec<_>) = of_lane.clone().partition(|(_, item)| item.priority == Priority::High);
        if low.is_empty() {
            return self.write(lane, Priority::High, &high).await;
        }
        let all: Vec<_> = of_lane.collect();
        let results = self.write(lane, Priority::Low, &all).await;
        if high.is_empty() || !results.iter().any(|(_, result)| matches!(result, Err(Reject::Full))) {
            return results;
        }
        let mut results = self.write(lane, Priority::High, &high).await;
        results.extend(low.into_iter().map(|(index, _)| (*index, Err(Reject::Full))));
        results
    }

    async fn write(
        &self,
        lane: Lane,
        priority: Priority,
        items: &[(&usize, &Ready)],
    ) -> Vec<(usize, Result<Accepted, Reject>)> {
        if items.is_empty() {
            return Vec::new();
        }
        let encode = items
            .iter()
            .map(|(_, item)| encode(Arc::clone(&item.envelope)))
            .collect();
        match self.0.spool.append_all(lane, priority, encode).await {
            Ok(origins) => {
                let accepted = items.iter().zip(origins).map(|((index, item), origin)| {
                    (
                        **index,
                        Ok(Accepted {
                            id: item.envelope.id,
                            seq: origin.seq,
                        }),
                    )
                });
                accepted.collect()
            }
            Err(error) => {
                let reject = match error {
                    AppendError::Full { .. } => Reject::Full,
                    AppendError::Store(error) => Reject::Disk(error.to_string()),
                };
                items.iter().map(|(index, _)| (**index, Err(reject.clone()))).collect()
            }
        }
    }

    /// Counts a refused input, and keeps its beginning for inspection where the input itself is at fault.
    pub(crate) async fn refused(&self, reject: &Reject, input: &[u8]) {
        self.0.counts.rejected(reject);
        self.park(reject, input).await;
    }

    /// Keeps the beginning of an input that was refused.
    pub(crate) async fn park(&self, reject: &Reject, input: &[u8]) {
        if reject.is_passing() || input.is_empty() {
            return;
        }
        let bytes = self.without_secrets(&input[..input.len().min(PARKED_BYTES_MAX)]);
        let reason = format!("{}: {reject}", reject.kind());
        if let Err(error) = self.0.spool.park_raw(reason, bytes).await {
            tracing::warn!(%error, "a refused input was not kept");
        }
    }

    /// The bytes as they came, unless they hold secrets: those are no more written here than anywhere else.
    fn without_secrets(&self, bytes: &[u8]) -> Vec<u8> {
        let mut text = Value::String(String::from_utf8_lossy(bytes).into_owned());
        match (self.0.rules.redactor.redact(&mut text), text) {
            (1.., Value::String(text)) => text.into_bytes(),
            _ => bytes.to_vec(),
        }
    }
}

/// What a request is called by its sender.
fn name(observation: &Observation) -> Option<Name> {
    let key = observation.notes.key.as_deref().map(|key| Name::Key(key.into()));
    key.or_else(|| observation.id.map(Name::Id))
}

/// The answer of the first time, unless an id was used for something else. A key names a request of this service's own
/// hook, which may add to it what it did not know the first time.
fn repeated(name: Option<&Name>, known: &Known, content: Option<&Content>) -> Result<Accepted, Reject> {
    conflict(name, known.content.as_ref(), content).map_or(Ok(known.accepted), Err)
}

fn conflict(name: Option<&Name>, first: Option<&Content>, second: Option<&Content>) -> Option<Reject> {
    match (name, first.zip(second)) {
        (Some(Name::Id(id)), Some((first, second))) if !first.agrees(second) => Some(Reject::IdConflict(*id)),
        _ => None,
    }
}

fn encode(envelope: Arc<Envelope>) -> Encode {
    Box::new(move |origin| {
        let mut envelope = Arc::unwrap_or_clone(envelope);
        envelope.origin = Some(fact::Origin {
            producer: origin.producer,
            seq: origin.seq,
        });
        envelope
            .encode()
            .expect("invariant: every field of an envelope serialises")
    })
}

/// Writes the results under their names, and gives repetitions within the request the result of the first.
fn settle(
    results: Vec<Option<Result<Accepted, Reject>>>,
    names: &[Option<Name>],
    contents: &[Option<Content>],
    first_of: &BTreeMap<&Name, usize>,
    held: &mut Held,
) -> Vec<Result<Accepted, Reject>> {
    for ((result, name), content) in results.iter().zip(names).zip(contents) {
        if let (Some(Ok(accepted)), Some(name)) = (result, name)
            && let Some(slot) = held.get_mut(name)
            && slot.is_none()
        {
            **slot = Some(Known {
                accepted: *accepted,
                content: *content,
            });
        }
    }
    let lost = || Err(Reject::Disk("nothing was written".to_owned()));
    let first = |index: usize| {
        let first = first_of.get(names.get(index)?.as_ref()?)?;
        results.get(*first)?.clone()
    };
    (0..results.len())
        .map(|index| results[index].clone().or_else(|| first(index)).unwrap_or_else(lost))
        .collect()
}
