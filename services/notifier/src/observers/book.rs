//! Every registered observer: kept in the hub's bucket `observers`, known to every notifier.
//!
//! The hub has a record for each under `observer.<id>`, which expires there by itself, so nobody has to tidy up. Records are
//! changed by comparison. Which observer a `request_id` registered stands under `request.<request_id>`.

use super::observed::{Observed, Standing};
use super::record::{Claim, Record};
use super::registration::{Wish, WishError};
use super::{Settings, now};
use muster_bus::Bus;
use muster_bus::kv::{Bucket, Entry, KvError, Op, Watched, key};
use muster_bus::read::ReadError;
use muster_domain::time::Timestamp;
use muster_runtime::drain::Drain;
use muster_wire::topology::{EVENTS, OBSERVERS};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{Mutex, Notify, watch};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

/// Comparisons that may fail before somebody is told to come again: each means that somebody else wrote.
const ATTEMPTS: usize = 8;
/// Between them: reads may be a moment old.
const RETRY_AFTER: Duration = Duration::from_millis(25);
/// Between looks for a bucket that is missing: somebody has to migrate the hub first.
const MISSING_RETRY: Duration = Duration::from_secs(2);
/// How long a request waits for the list of observers after a start.
const LISTED_WITHIN: Duration = Duration::from_secs(3);

/// Why an observer is not as was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BookError {
    #[error(transparent)]
    Wish(#[from] WishError),
    #[error("no observer {0}; it may have expired")]
    Unknown(Uuid),
    #[error("request {0:?} registered another observer, or one that is no more; take another request_id")]
    Taken(String),
    #[error("{0} observers are registered, which is as many as observers.max allows; DELETE one, or let one expire")]
    Full(usize),
    #[error("{capacity} more events would be over observers.waiting_max: {left} of {max} are left")]
    Crowded { capacity: u64, left: u64, max: u64 },
    #[error("attached since {}; attach with steal=true to take it over", muster_wire::time::format(*.0))]
    Attached(Timestamp),
    #[error("the observers are not known yet; see /readyz")]
    NotListed,
    #[error(transparent)]
    Kv(#[from] KvError),
    #[error(transparent)]
    Log(#[from] ReadError),
}

/// Every observer.
pub(crate) struct Book {
    pub(crate) settings: Settings,
    bus: Bus,
    bucket: Bucket,
    notifier: Uuid,
    observers: RwLock<BTreeMap<Uuid, Arc<Observed>>>,
    listed: watch::Sender<bool>,
    /// Held while one is registered, so that those at the same time do not all find the last place free.
    registering: Mutex<()>,
    /// Somebody has to be counted again from an earlier place.
    pub(crate) recount: Notify,
}

impl Book {
    pub(crate) fn new(bus: &Bus, settings: Settings) -> Self {
        Self {
            settings,
            bus: bus.clone(),
            bucket: bus.bucket(&OBSERVERS),
            notifier: Uuid::new_v4(),
            observers: RwLock::default(),
            listed: watch::Sender::new(false),
            registering: Mutex::new(()),
            recount: Notify::new(),
        }
    }

    /// Hears of every change, for as long as the service runs.
    pub(crate) async fn listen(self: Arc<Self>, drain: Drain) -> anyhow::Result<()> {
        let mut watch = self.bucket.watch(&key_of("*"));
        loop {
            let watched = tokio::select! {
                () = drain.requested() => return Ok(()),
                watched = watch.next() => watched,
            };
            match watched {
                Ok(Watched::Entry(entry)) => self.hear(&entry),
                Ok(Watched::Current) => {
                    self.listed.send_replace(true);
                    self.recount.notify_one();
                }
                Err(error) => {
                    tracing::warn!(%error, "the list of observers is not there");
                    sleep(MISSING_RETRY).await;
                }
            }
        }
    }

    fn hear(&self, entry: &Entry) {
        let Some(id) = entry.key.rsplit_once('.').and_then(|(_, id)| id.parse().ok()) else {
            return;
        };
        match (&entry.value, entry.op) {
            (Some(value), _) => {
                self.read(value, entry.revision);
            }
            (None, Op::Put | Op::Expired) => self.forget(id, Standing::Expired),
            (None, Op::Deleted) => self.forget(id, Standing::Unregistered),
        }
    }

    /// Knows an observer as the hub has it.
    fn read(&self, value: &[u8], revision: u64) -> Option<Arc<Observed>> {
        let record = match Record::read(value) {
            Ok(record) => record,
            Err(error) => {
                tracing::warn!(%error, "an observer of another version is left alone");
                return None;
            }
        };
        let id = record.id;
        if record.unregistered {
            self.forget(id, Standing::Unregistered);
            return None;
        }
        let mut observers = self.observers.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = observers.get(&id).cloned() {
            drop(observers);
            if known.adopt(record, revision) {
                self.recount.notify_one();
            }
            return Some(known);
        }
        match Observed::new(record, revision, self.notifier) {
            Ok(observed) => {
                let observed = Arc::new(observed);
                observers.insert(id, Arc::clone(&observed));
                drop(observers);
                self.recount.notify_one();
                Some(observed)
            }
            Err(error) => {
                tracing::warn!(%error, "an observer asks for what this version does not know");
                None
            }
        }
    }

    fn forget(&self, id: Uuid, why: Standing) {
        let gone = self
            .observers
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id);
        if let Some(gone) = gone {
            gone.end(why);
        }
    }

    /// All that are known, by id.
    pub(crate) fn all(&self) -> Vec<Arc<Observed>> {
        let observers = self.observers.read().unwrap_or_else(PoisonError::into_inner);
        observers.values().cloned().collect()
    }

    /// Each that is known, in turn.
    pub(crate) fn each(&self, mut visit: impl FnMut(&Observed)) {
        let observers = self.observers.read().unwrap_or_else(PoisonError::into_inner);
        observers.values().for_each(|observed| visit(observed));
    }

    /// Some of them, from the one after `cursor` on, and where to go on.
    pub(crate) async fn page(
        &self,
        cursor: Option<Uuid>,
        limit: usize,
    ) -> Result<(Vec<Arc<Observed>>, Option<Uuid>), BookError> {
        self.listed().await?;
        let all = self.all();
        let mut rest = all
            .into_iter()
            .filter(|observed| cursor.is_none_or(|cursor| observed.id > cursor));
        let page: Vec<Arc<Observed>> = rest.by_ref().take(limit).collect();
        let next = rest.next().and_then(|_| page.last()).map(|last| last.id);
        Ok((page, next))
    }

    async fn listed(&self) -> Result<(), BookError> {
        let mut listed = self.listed.subscribe();
        match timeout(LISTED_WITHIN, listed.wait_for(|listed| *listed)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(BookError::NotListed),
        }
    }

    /// The observer of this id.
    pub(crate) async fn find(&self, id: Uuid) -> Result<Arc<Observed>, BookError> {
        let known = self
            .observers
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .cloned();
        match known {
            Some(known) => Ok(known),
            // Another notifier may have registered it just now.
            None => self.look_up(id).await?.ok_or(BookError::Unknown(id)),
        }
    }

    async fn look_up(&self, id: Uuid) -> Result<Option<Arc<Observed>>, BookError> {
        let found = self.bucket.get(&key_of(&id.to_string())).await?;
        Ok(found.and_then(|(value, revision)| self.read(&value, revision)))
    }

    /// A new observer, of what comes from now on; or the one that this request registered before.
    pub(crate) async fn register(&self, wish: Wish) -> Result<(Arc<Observed>, bool), BookError> {
        wish.selection()?;
        self.listed().await?;
        let _alone = self.registering.lock().await;
        let Some(request_id) = wish.request_id.clone() else {
            let made = self.make(Uuid::new_v4(), wish).await?;
            return Ok((made, true));
        };
        let id = self.reserve(&request_id, &wish).await?;
        let taken = || BookError::Taken(request_id.clone());
        let same = |observed: Arc<Observed>| {
            let same = observed.is_of(&wish);
            if same { Ok((observed, false)) } else { Err(taken()) }
        };
        match self.find(id).await {
            Ok(observed) => return same(observed),
            Err(BookError::Unknown(_)) => {}
            Err(error) => return Err(error),
        }
        match self.make(id, wish.clone()).await {
            Ok(made) => Ok((made, true)),
            // The same request came twice at once, or the observer is no more.
            Err(BookError::Kv(KvError::Conflict { .. })) => same(self.look_up(id).await?.ok_or_else(taken)?),
            Err(error) => Err(error),
        }
    }

    async fn reserve(&self, request_id: &str, wish: &Wish) -> Result<Uuid, BookError> {
        let (key, id) = (key(&["request", request_id]), Uuid::new_v4());
        let text = id.to_string();
        match self
            .bucket
            .put_with_ttl(&key, text.into(), wish.lifetime(), Some(0))
            .await
        {
            Ok(_) => Ok(id),
            Err(KvError::Conflict { .. }) => {
                let taken = || BookError::Taken(request_id.to_owned());
                let (value, _) = self.bucket.get(&key).await?.ok_or_else(taken)?;
                Uuid::try_parse_ascii(&value).map_err(|_| taken())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn make(&self, id: Uuid, wish: Wish) -> Result<Arc<Observed>, BookError> {
        self.has_room(&wish)?;
        let log = self.bus.stream_state(EVENTS).await?;
        let record = Record::new(id, wish, &log, now());
        let ttl = record.time_left(now());
        let revision = self
            .bucket
            .put_with_ttl(&key_of(&id.to_string()), record.to_bytes(), ttl, Some(0))
            .await?;
        self.read(&record.to_bytes(), revision).ok_or(BookError::Unknown(id))
    }

    fn has_room(&self, wish: &Wish) -> Result<(), BookError> {
        let (mut count, mut events) = (0, 0);
        self.each(|observed| {
            count += 1;
            events += observed.events_kept();
        });
        let Settings { max, waiting_max, .. } = self.settings;
        if count >= max {
            return Err(BookError::Full(count));
        }
        let (capacity, left) = (wish.events_kept(), waiting_max.saturating_sub(events));
        if capacity > left {
            let max = waiting_max;
            return Err(BookError::Crowded { capacity, left, max });
        }
        Ok(())
    }

    /// Claims an observer for a client that attaches here.
    pub(crate) async fn claim(&self, observed: &Observed, steal: bool) -> Result<Uuid, BookError> {
        let claim = Uuid::new_v4();
        let lapses = self.settings.attachment_lapses;
        self.change(observed, |record| {
            if let Some(since) = observed.attached_since(lapses).filter(|_| !steal) {
                return Err(BookError::Attached(since));
            }
            record.claim = Some(Claim {
                id: claim,
                since: now(),
                notifier: self.notifier,
            });
            record.renew(now());
            Ok(())
        })
        .await?;
        Ok(claim)
    }

    /// Serves a claim from now on.
    pub(crate) fn attach(&self, observed: &Observed, claim: Uuid) {
        if observed.attach(claim) {
            self.recount.notify_one();
        }
    }

    /// Gives a claim up.
    pub(crate) async fn release(&self, observed: &Observed, claim: Uuid) {
        observed.detach(claim);
        let released = self
            .change(observed, |record| match &record.claim {
                Some(other) if other.id != claim => Err(BookError::Attached(other.since)),
                Some(_) | None => {
                    record.claim = None;
                    record.renew(now());
                    Ok(())
                }
            })
            .await;
        match released {
            // Whoever took it over keeps it; what is no more needs nothing.
            Ok(()) | Err(BookError::Attached(_) | BookError::Unknown(_)) => {}
            Err(error) => tracing::warn!(observer = %observed.id, %error, "an observer's claim is left to lapse"),
        }
    }

    /// Keeps it for its whole time from now on.
    pub(crate) async fn renew(&self, observed: &Observed) -> Result<(), BookError> {
        self.change(observed, |record| {
            record.renew(now());
            Ok(())
        })
        .await
    }

    /// Writes its numbers down.
    pub(crate) async fn save(&self, observed: &Observed) -> Result<(), BookError> {
        self.change(observed, |record| {
            if record.claim.is_some() {
                record.renew(now());
            }
            Ok(())
        })
        .await
    }

    /// Takes it away.
    pub(crate) async fn unregister(&self, observed: &Observed) -> Result<(), BookError> {
        self.change(observed, |record| {
            record.unregistered = true;
            Ok(())
        })
        .await?;
        self.forget(observed.id, Standing::Unregistered);
        Ok(())
    }

    /// Changes a record that nobody else changes at the same time.
    async fn change(
        &self,
        observed: &Observed,
        change: impl Fn(&mut Record) -> Result<(), BookError>,
    ) -> Result<(), BookError> {
        let key = key_of(&observed.id.to_string());
        let mut attempt = 0;
        loop {
            let (mut record, revision) = observed.present();
            change(&mut record)?;
            let ttl = record.time_left(now());
            let written = self
                .bucket
                .put_with_ttl(&key, record.to_bytes(), ttl, Some(revision))
                .await;
            match written {
                Ok(revision) => {
                    observed.wrote(record, revision);
                    return Ok(());
                }
                Err(KvError::Conflict { .. }) if attempt < ATTEMPTS => {
                    attempt += 1;
                    if self.look_up(observed.id).await?.is_none() {
                        self.forget(observed.id, Standing::Expired);
                        return Err(BookError::Unknown(observed.id));
                    }
                    sleep(RETRY_AFTER).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn key_of(id: &str) -> String {
    format!("observer.{id}")
}
