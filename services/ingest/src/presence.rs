//! This host's key in `presence`: renewed every few seconds, gone when this service is.
//!
//! One name belongs to one live ingest. Whoever finds the name taken stays on its spool and says so: forwarding waits
//! ([`Standing`]), because two machines under one name would be one host to everybody else. A key left by this very spool's
//! previous process (killed, same boot) is taken over at once, one left by anybody else when it expires.

use crate::config;
use crate::spool::Spool;
use crate::watch::Here;
use anyhow::Context as _;
use bytes::Bytes;
use muster_bus::kv::{self, Bucket, KvError};
use muster_bus::{Bus, ConnectionState};
use muster_domain::ids::InstanceId;
use muster_domain::names::HostName;
use muster_domain::time::Timestamp;
use muster_runtime::health::Condition;
use muster_wire::edge::Applied;
use muster_wire::limits::{PRESENCE_INTERVAL, PRESENCE_TTL};
use muster_wire::topology::PRESENCE;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How soon a name that is taken, or a hub that did not answer, is asked for again.
const RETRY: Duration = Duration::from_secs(1);

/// Whether this host's name is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Not known yet.
    Asking,
    /// It is: observations may be forwarded.
    Held,
    /// Another ingest has it.
    Refused,
}

/// Who a process is, and who used its spool before it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) instance: InstanceId,
    /// A clone of a machine has its files, but not its boot.
    boot: Option<String>,
    #[serde(skip)]
    predecessor: Option<InstanceId>,
}

impl Identity {
    /// A new identity, written down beside the spool that `dir` holds.
    pub(crate) fn mint(dir: &Path, here: &Here) -> anyhow::Result<Self> {
        let path = dir.join("instance.json");
        let before = std::fs::read(&path)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        let identity = Self {
            instance: InstanceId::from_uuid(uuid::Uuid::now_v7()),
            boot: here.boot.clone(),
            predecessor: before
                .filter(|before| before.boot.is_some() && before.boot == here.boot)
                .map(|before| before.instance),
        };
        std::fs::write(&path, serde_json::to_vec(&identity)?).with_context(|| format!("writing {}", path.display()))?;
        Ok(identity)
    }
}

/// What stands in the bucket.
#[derive(Debug, Serialize, Deserialize)]
struct Card {
    instance: InstanceId,
    version: String,
    hostname: String,
    #[serde(with = "muster_wire::time")]
    started: Timestamp,
    /// The rules this host enforces.
    #[serde(flatten)]
    applied: Applied,
    spool: SpoolCard,
}

#[derive(Debug, Serialize, Deserialize)]
struct SpoolCard {
    owed: u64,
    used_bytes: u64,
    max_bytes: u64,
}

/// The part that renews.
pub(crate) struct Presence {
    bucket: Bucket,
    connection: watch::Receiver<ConnectionState>,
    key: String,
    identity: Identity,
    started: Timestamp,
    spool: Spool,
    applied: watch::Receiver<Applied>,
    condition: Condition,
    standing: watch::Sender<Standing>,
    /// The revision of our own last write.
    revision: Option<u64>,
    /// The revision at which somebody else's card was first seen, and when.
    other: Option<(u64, Instant)>,
    /// Whether the log says already that the other lives, or that it may not.
    told: Option<bool>,
}

impl Presence {
    pub(crate) fn new(
        bus: &Bus,
        host: &HostName,
        identity: Identity,
        spool: Spool,
        applied: watch::Receiver<Applied>,
        condition: Condition,
    ) -> (Self, watch::Receiver<Standing>) {
        let (standing, receiver) = watch::channel(Standing::Asking);
        let presence = Self {
            bucket: bus.bucket(&PRESENCE),
            connection: bus.state(),
            key: kv::key(&[host.as_str()]),
            identity,
            started: muster_wire::time::from_system(SystemTime::now()),
            spool,
            applied,
            condition,
            standing,
            revision: None,
            other: None,
            told: None,
        };
        (presence, receiver)
    }

    /// Renews until `stop`, then gives the name back.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut connection = self.connection.clone();
        loop {
            let mut without_hub = !connection.borrow().connected;
            let pause = match self.renew().await {
                Ok(()) => {
                    without_hub = false;
                    if self.revision.is_some() {
                        PRESENCE_INTERVAL
                    } else {
                        RETRY
                    }
                }
                Err(error) => {
                    self.condition
                        .set_degraded(format!("presence is not renewed: {error:#}"));
                    RETRY
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                // What failed for want of a hub is tried again as soon as there is one.
                Ok(_) = connection.wait_for(|state| state.connected), if without_hub => {}
                // Whoever set a rule waits to see where it holds.
                Ok(()) = self.applied.changed(), if self.revision.is_some() => {}
                () = stop.cancelled() => break,
            }
        }
        if let Some(revision) = self.revision {
            // Without it the key expires by itself.
            let _ = self.bucket.delete_revision(&self.key, revision).await;
        }
        Ok(())
    }

    async fn renew(&mut self) -> anyhow::Result<()> {
        let card = self.card().await?;
        let expected = match self.revision {
            Some(revision) => Some(revision),
            None => match self.bucket.get(&self.key).await? {
                None => None,
                Some((value, revision)) => {
                    let holder = serde_json::from_slice::<Card>(&value).ok().map(|card| card.instance);
                    let ours = holder.is_some()
                        && (holder == self.identity.predecessor || holder == Some(self.identity.instance));
                    if !ours {
                        self.refused(holder, revision);
                        return Ok(());
                    }
                    Some(revision)
                }
            },
        };
        match self.bucket.put_with_ttl(&self.key, card, PRESENCE_TTL, expected).await {
            Ok(revision) => {
                self.revision = Some(revision);
                (self.other, self.told) = (None, None);
                self.condition.set_ok();
                self.standing.send_replace(Standing::Held);
                Ok(())
            }
            // Changed by somebody, expired, or our own write whose answer was lost: the next round reads who it is.
            Err(KvError::Conflict { .. } | KvError::Unknown(_)) => {
                self.revision = None;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A holder that has not renewed since it was first seen may be a process that was killed; only one that has is alive
    /// for sure.
    fn refused(&mut self, holder: Option<InstanceId>, revision: u64) {
        let (first_seen, since) = *self.other.get_or_insert((revision, Instant::now()));
        let lives = first_seen != revision || since.elapsed() > PRESENCE_TTL;
        let holder = holder.map_or_else(
            || "something that is no ingest".to_owned(),
            |instance| format!("instance {instance}"),
        );
        let (key, own) = (&self.key, self.identity.instance);
        let reason = if lives {
            format!("host name {key} is held by {holder}; this is instance {own}: give one of them another host.name")
        } else {
            format!(
                "host name {key} was held until a moment ago by {holder}; this is instance {own}: waiting up to {} s for it \
                 to expire; if two ingests share the name, give one of them another host.name",
                PRESENCE_TTL.as_secs()
            )
        };
        self.standing.send_replace(Standing::Refused);
        if self.told != Some(lives) {
            self.told = Some(lives);
            if lives {
                tracing::error!("{reason}");
            } else {
                tracing::warn!("{reason}");
            }
        }
        self.condition.set_degraded(reason);
    }

    async fn card(&mut self) -> anyhow::Result<Bytes> {
        let stats = self.spool.stats().await?;
        let card = Card {
            instance: self.identity.instance,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            hostname: config::machine(),
            started: self.started,
            applied: self.applied.borrow_and_update().clone(),
            spool: SpoolCard {
                owed: stats.events.owed + stats.transcript.owed,
                used_bytes: stats.used_bytes,
                max_bytes: stats.max_bytes,
            },
        };
        Ok(serde_json::to_vec(&card)?.into())
    }
}
