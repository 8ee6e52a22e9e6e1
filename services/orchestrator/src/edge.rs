//! The leader's view of what hosts enforce, written to the bucket `edge`.
//!
//! Each document is drawn from the folded state and says which place in the log it reflects, so it is written after the
//! decision that changed it is folded, and again at the beginning of a term, in case the last leader died in between.
//! Writing is a task of its own: only the newest drawing of a key matters, and the loop never waits for a bucket.
//!
//! The place in the log is also what fences: a paused leader that wakes up finds a later place in the bucket, or loses
//! the comparison of revisions to whoever wrote meanwhile, and leaves the document alone.

use anyhow::Context as _;
use bytes::Bytes;
use muster_bus::kv::{Bucket, KvError};
use muster_domain::fleet::Fleet;
use muster_domain::time::Timestamp;
use muster_runtime::drain::Drain;
use muster_runtime::health::Condition;
use muster_wire::edge::{self, Head, Mark};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::watch;

/// Pause after the bucket did not take a document.
const RETRY: Duration = Duration::from_millis(500);

/// A document of the bucket: where the log last changed it, and how it is drawn.
struct Document {
    key: &'static str,
    changed_seq: fn(&Fleet) -> u64,
    draw: fn(&Fleet, Head) -> serde_json::Result<Vec<u8>>,
}

/// Every document.
const DOCUMENTS: &[Document] = &[
    Document {
        key: edge::HOLDS,
        changed_seq: |fleet| fleet.holds().changed_seq(),
        draw: |fleet, head| json(&holds(fleet, head)),
    },
    Document {
        key: edge::CIRCUITS,
        changed_seq: |fleet| fleet.circuits().changed_seq(),
        draw: |fleet, head| json(&edge::Circuits::of(fleet.circuits(), &fleet.settings().circuits, head)),
    },
    Document {
        key: edge::POLICY,
        changed_seq: |fleet| fleet.policy().changed_seq(),
        draw: |fleet, head| json(&policy(fleet, head)),
    },
];

fn json(document: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(document)
}

fn holds(fleet: &Fleet, head: Head) -> edge::Holds {
    let holds = fleet.holds().in_force().map(|hold| edge::Hold {
        id: hold.id,
        mode: hold.order.mode,
        selector: hold.order.selector.clone(),
        reason: hold.order.reason.clone(),
        by: hold.order.by.to_string(),
        expires_at: hold.order.expires_at,
    });
    edge::Holds {
        head,
        holds: holds.collect(),
    }
}

fn policy(fleet: &Fleet, head: Head) -> edge::Policy {
    let active = fleet.policy().active();
    let activation = active.map(|active| &active.activation);
    edge::Policy {
        head,
        version: activation.map_or(0, |activation| activation.version),
        fingerprint: activation.map_or_else(String::new, |activation| activation.fingerprint.to_string()),
        sources: activation.map_or_else(Vec::new, |activation| {
            activation.sources.iter().map(edge::Source::from).collect()
        }),
        activated_at: active.map(|active| active.at),
        by: activation.map(|activation| activation.by.to_string()),
    }
}

/// A document as it shall stand.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Drawing {
    mark: Mark,
    value: Bytes,
}

/// What shall stand in the bucket; nothing is written while this instance does not lead.
type Drawings = Option<BTreeMap<&'static str, Drawing>>;

/// The loop's end: draws what changed.
pub(crate) struct Projector {
    drawings: watch::Sender<Drawings>,
    leading: bool,
}

impl Projector {
    /// A projector, and the end that writes.
    pub(crate) fn new() -> (Self, Writer) {
        let (drawings, wanted) = watch::channel(None);
        let projector = Self {
            drawings,
            leading: false,
        };
        (projector, Writer { wanted })
    }

    /// Draws what the fold changed since the last call, while leading on the log that was created then; everything when
    /// that has just begun.
    pub(crate) fn project(&mut self, fleet: &Fleet, leading_on: Option<Timestamp>) {
        let Some(stream_created) = leading_on else {
            if std::mem::take(&mut self.leading) {
                self.drawings.send_replace(None);
            }
            return;
        };
        let begins = !std::mem::replace(&mut self.leading, true);
        let changed: Vec<&Document> = {
            let drawn = self.drawings.borrow();
            let seq = |key| drawn.as_ref().and_then(|drawn| Some(drawn.get(key)?.mark.seq));
            let stale = |document: &&Document| begins || seq(document.key) != Some((document.changed_seq)(fleet));
            DOCUMENTS.iter().filter(stale).collect()
        };
        if changed.is_empty() {
            return;
        }
        self.drawings.send_modify(|drawn| {
            let drawn = drawn.get_or_insert_default();
            for document in changed {
                let mark = Mark {
                    stream_created,
                    seq: (document.changed_seq)(fleet),
                };
                match (document.draw)(fleet, Head::new(mark)) {
                    Ok(value) => {
                        let value = value.into();
                        drawn.insert(document.key, Drawing { mark, value });
                    }
                    Err(error) => tracing::error!(key = document.key, %error, "a rule could not be written down"),
                }
            }
        });
    }
}

/// The task's end: makes the bucket say what was drawn.
pub(crate) struct Writer {
    wanted: watch::Receiver<Drawings>,
}

impl Writer {
    /// Writes until the service drains.
    pub(crate) async fn run(mut self, bucket: Bucket, condition: Condition, drain: Drain) -> anyhow::Result<()> {
        condition.set_ok();
        // What is known to stand, so that a key is not written again because another one changed.
        let mut standing: BTreeMap<&'static str, Drawing> = BTreeMap::new();
        loop {
            let wanted = self.wanted.borrow_and_update().clone();
            if wanted.is_none() {
                // Another leader writes now, and what stands is unknown.
                standing.clear();
            }
            let mut failed = None;
            for (key, drawing) in wanted.into_iter().flatten() {
                if standing.get(key) == Some(&drawing) {
                    continue;
                }
                match stand(&bucket, key, &drawing).await {
                    Ok(()) => {
                        standing.insert(key, drawing);
                    }
                    Err(error) => failed = Some(error.context(format!("writing {key} for the hosts"))),
                }
            }
            let pause = async {
                match &failed {
                    Some(_) => tokio::time::sleep(RETRY).await,
                    None => std::future::pending().await,
                }
            };
            match &failed {
                Some(error) => condition.set_degraded(format!("{error:#}")),
                None => condition.set_ok(),
            }
            tokio::select! {
                () = drain.requested() => return Ok(()),
                changed = self.wanted.changed() => if changed.is_err() {
                    // The loop ended; so will the drain.
                    drain.requested().await;
                    return Ok(());
                },
                () = pause => {}
            }
        }
    }
}

/// Makes one key stand as drawn, unless what stands is of a later place in the log. Losing a comparison is a failure that
/// passes: the next attempt reads who won.
async fn stand(bucket: &Bucket, key: &'static str, drawing: &Drawing) -> anyhow::Result<()> {
    let before = bucket.get(key).await?;
    let written = match before {
        None => bucket.create(key, drawing.value.clone()).await,
        Some((value, _)) if value == drawing.value => return Ok(()),
        Some((value, revision)) => {
            // What cannot be read was written by nobody who leads now.
            let stands = serde_json::from_slice::<Head>(&value).ok().map(|head| head.mark);
            if let Some(stands) = stands.filter(|stands| *stands > drawing.mark) {
                tracing::warn!(
                    key,
                    stands = stands.seq,
                    ours = drawing.mark.seq,
                    "a later leader wrote this rule; it is left alone"
                );
                return Ok(());
            }
            bucket.update(key, drawing.value.clone(), revision).await
        }
    };
    match written {
        Ok(revision) => {
            tracing::info!(key, revision, seq = drawing.mark.seq, "rules written for the hosts");
            Ok(())
        }
        Err(error @ KvError::Conflict { .. }) => Err(error).context("somebody wrote at the same time"),
        Err(error) => Err(error.into()),
    }
}
