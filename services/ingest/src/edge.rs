//! What this host enforces: the documents of the bucket `edge`, followed, and kept on disk.
//!
//! A hook is judged by what was last seen, without a round trip, so rules hold while the hub is away and from the first
//! hook after a restart. A document that cannot be read changes nothing: the one before stays in force, and what this host
//! reports in `presence` shows that it did not follow.

mod cache;

use crate::gate::InForce;
use cache::{Cache, Kept};
use muster_bus::kv::{Bucket, Entry, Op, Watched};
use muster_runtime::health::Condition;
use muster_wire::edge::{self, Applied, Circuits, Head, Holds, Mark};
use muster_wire::time;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Pause before the bucket is asked for again.
const RETRY: Duration = Duration::from_secs(1);

/// Everything in force on this host.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules {
    pub(crate) holds: Option<Holds>,
    pub(crate) circuits: Option<Circuits>,
    pub(crate) policy: Option<Arc<InForce>>,
    /// The bucket's revision and the place in the log of each document in force.
    documents: BTreeMap<String, (u64, Mark)>,
}

/// A handle on what is in force.
#[derive(Clone)]
pub(crate) struct Edge {
    rules: Arc<RwLock<Arc<Rules>>>,
    applied: watch::Sender<Applied>,
    file: PathBuf,
}

impl Edge {
    /// Takes up what was in force when this host last saw the hub.
    pub(crate) fn open(dir: &Path) -> (Self, Follower) {
        let file = dir.join("edge.json");
        let mut rules = Rules::default();
        let unread = || Some(Arc::new(InForce::Unread));
        let cache = cache::load(&file).unwrap_or_else(|error| {
            let error = format!("{error:#}");
            tracing::error!(
                error,
                "the rules on disk cannot be read: until the hub's are known, what destroys is asked about"
            );
            rules.policy = unread();
            Cache::default()
        });
        for (key, kept) in &cache.documents {
            match rules.with(key, kept) {
                Ok(next) => rules = next,
                Err(error) => {
                    tracing::error!(key, error = format!("{error:#}"), "a cached rule cannot be read");
                    if key == edge::POLICY {
                        rules.policy = unread();
                    }
                }
            }
        }
        let edge = Self {
            applied: watch::Sender::new(rules.applied()),
            rules: Arc::new(RwLock::new(Arc::new(rules))),
            file,
        };
        let follower = Follower {
            edge: edge.clone(),
            cache,
        };
        (edge, follower)
    }

    #[cfg(test)]
    pub(crate) fn enforcing(rules: Rules) -> Self {
        Self {
            applied: watch::Sender::new(rules.applied()),
            rules: Arc::new(RwLock::new(Arc::new(rules))),
            file: PathBuf::new(),
        }
    }

    /// What is in force now.
    pub(crate) fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What this host can say that it enforces.
    pub(crate) fn applied(&self) -> watch::Receiver<Applied> {
        self.applied.subscribe()
    }

    fn enforce(&self, rules: Rules) {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }
}

/// The part that follows the bucket.
pub(crate) struct Follower {
    edge: Edge,
    cache: Cache,
}

impl Follower {
    /// Follows until `stop`.
    pub(crate) async fn run(
        mut self,
        bucket: Bucket,
        condition: Condition,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        condition.set_degraded(self.unconfirmed());
        let mut watch = bucket.watch(">");
        loop {
            let watched = tokio::select! {
                watched = watch.next() => watched,
                () = stop.cancelled() => return Ok(()),
            };
            match watched {
                Ok(Watched::Current) => condition.set_ok(),
                Ok(Watched::Entry(entry)) => self.take(entry).await,
                Err(error) => {
                    condition.set_degraded(format!("the rules of the hub cannot be read: {error}"));
                    tokio::select! {
                        () = tokio::time::sleep(RETRY) => {}
                        () = stop.cancelled() => return Ok(()),
                    }
                }
            }
        }
    }

    fn unconfirmed(&self) -> String {
        self.cache.saved_at.map_or_else(
            || "no rules of the hub are known yet".to_owned(),
            |at| format!("enforcing the rules known at {}", time::format(at)),
        )
    }

    /// Enforces a document, keeps it, and only then says so.
    async fn take(&mut self, entry: Entry) {
        let key = entry.key;
        let rules = self.edge.rules();
        let next = match (entry.op, entry.value) {
            (Op::Put, Some(value)) => {
                let document = match serde_json::from_slice(&value) {
                    Ok(document) => document,
                    Err(error) => {
                        tracing::error!(key, %error, "a rule of the hub is no JSON, and is not applied");
                        return;
                    }
                };
                let kept = Kept {
                    revision: entry.revision,
                    document,
                };
                let next = rules.with(&key, &kept);
                if next.is_ok() {
                    self.cache.documents.insert(key.clone(), kept);
                }
                next
            }
            // A bucket that was lost says nothing about what held in it; a leader writes it again.
            (Op::Expired | Op::Put, _) => return,
            (Op::Deleted, _) => {
                self.cache.documents.remove(&key);
                Ok(rules.without(&key))
            }
        };
        match next {
            Ok(next) => {
                let applied = next.applied();
                self.edge.enforce(next);
                self.cache.saved_at = Some(time::from_system(SystemTime::now()));
                if let Err(error) = self.save().await {
                    tracing::error!(error = format!("{error:#}"), "the rules in force are not on disk");
                }
                tracing::info!(key, revision = applied.edge_revision, "rules applied");
                self.edge.applied.send_replace(applied);
            }
            Err(error) => {
                tracing::error!(key, error = format!("{error:#}"), "a rule of the hub is not applied");
                if key == edge::POLICY && rules.policy.is_none() {
                    let mut next = Rules::clone(&rules);
                    next.policy = Some(Arc::new(InForce::Unread));
                    self.edge.enforce(next);
                }
            }
        }
    }

    async fn save(&self) -> anyhow::Result<()> {
        let (file, bytes) = (self.edge.file.clone(), serde_json::to_vec(&self.cache)?);
        tokio::task::spawn_blocking(move || cache::save(&file, &bytes)).await?
    }
}

impl Rules {
    /// These rules with another document in place of the one of its key.
    fn with(&self, key: &str, kept: &Kept) -> anyhow::Result<Self> {
        let head: Head = read(kept)?;
        anyhow::ensure!(
            head.schema <= edge::SCHEMA,
            "it is of schema {}, and this version reads up to {}: upgrade this host",
            head.schema,
            edge::SCHEMA
        );
        let mut next = self.clone();
        match key {
            edge::HOLDS => next.holds = Some(read(kept)?),
            edge::CIRCUITS => next.circuits = Some(read(kept)?),
            edge::POLICY => next.policy = Some(Arc::new(InForce::read(&read(kept)?)?)),
            // What is not enforced is not reported either.
            _ => anyhow::bail!("this version does not enforce it: upgrade this host"),
        }
        next.documents.insert(key.to_owned(), (kept.revision, head.mark));
        Ok(next)
    }

    fn without(&self, key: &str) -> Self {
        let mut next = self.clone();
        match key {
            edge::HOLDS => next.holds = None,
            edge::CIRCUITS => next.circuits = None,
            edge::POLICY => next.policy = None,
            _ => {}
        }
        next.documents.remove(key);
        next
    }

    fn applied(&self) -> Applied {
        let revisions = self.documents.values().map(|(revision, _)| *revision);
        Applied {
            edge_revision: revisions.max().unwrap_or(0),
            edge: self
                .documents
                .iter()
                .map(|(key, (_, mark))| (key.clone(), *mark))
                .collect(),
        }
    }
}

fn read<T: DeserializeOwned>(kept: &Kept) -> serde_json::Result<T> {
    serde_json::from_str(kept.document.get())
}

#[cfg(test)]
mod tests;
