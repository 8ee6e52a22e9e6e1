//! Following a bucket so that a copy of it stays right, also across outages.
//!
//! What happened while nobody listened may have left no trace: a bucket keeps one revision a key, and the mark of an
//! expiry goes away by itself. So a watch lists everything anew after an outage, gives what changed, and calls *expired*
//! whatever it knew and does not find.

use super::{Entry, Op, op, stream_of, subject_of};
use crate::connect::{Bus, retry_pause};
use crate::read::{ReadError, Source, Stored};
use async_nats::jetstream::consumer::DeliverPolicy;
use futures_util::future::BoxFuture;
use muster_domain::time::Timestamp;
use std::collections::{BTreeMap, VecDeque};

/// What a watch sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watched {
    /// A key, as it stands now.
    Entry(Entry),
    /// Everything that stood when the watch began, or began again, was given.
    Current,
}

enum Step {
    Idle,
    Opening(BoxFuture<'static, Result<Source, ReadError>>),
    Open(Box<Source>),
}

/// A view of some keys of a bucket.
pub struct Watch {
    bus: Bus,
    stream: String,
    prefix: String,
    filter: String,
    /// Keys that have a value, as far as was told, and the revision of it.
    known: BTreeMap<String, u64>,
    /// Keys seen since the listing began; `None` once it is complete.
    listing: Option<BTreeMap<String, u64>>,
    newest: u64,
    ready: VecDeque<Watched>,
    attempt: usize,
    step: Step,
}

impl Watch {
    pub(super) fn new(bus: &Bus, bucket: &str, keys: &str) -> Self {
        Self {
            bus: bus.clone(),
            stream: stream_of(bucket),
            prefix: subject_of(bucket, ""),
            filter: subject_of(bucket, keys),
            known: BTreeMap::new(),
            listing: None,
            newest: 0,
            ready: VecDeque::new(),
            attempt: 0,
            step: Step::Idle,
        }
    }

    /// The next change: first every key that has a value, then [`Watched::Current`], then what happens. May be dropped and
    /// called again.
    ///
    /// # Errors
    /// [`ReadError::Missing`] when there is no such bucket. Calling again tries again.
    pub async fn next(&mut self) -> Result<Watched, ReadError> {
        loop {
            if let Some(watched) = self.ready.pop_front() {
                return Ok(watched);
            }
            match &mut self.step {
                Step::Idle => self.step = Step::Opening(self.opening()),
                Step::Opening(opening) => {
                    let opened = opening.await;
                    self.step = Step::Idle;
                    match opened {
                        Ok(source) => {
                            self.attempt = 0;
                            self.listing = Some(BTreeMap::new());
                            if source.pending() == 0 {
                                self.listed();
                            }
                            self.step = Step::Open(Box::new(source));
                        }
                        Err(error) => {
                            self.attempt += 1;
                            match error {
                                ReadError::Unavailable(_) => {}
                                error => return Err(error),
                            }
                        }
                    }
                }
                Step::Open(source) => match source.next().await {
                    Some(stored) => {
                        let last = source.pending() == 0;
                        self.see(stored);
                        if last && self.listing.is_some() {
                            self.listed();
                        }
                    }
                    None => self.step = Step::Idle,
                },
            }
        }
    }

    fn see(&mut self, stored: Stored) {
        let Some(key) = stored.subject_text().strip_prefix(&self.prefix) else {
            return;
        };
        let key = key.to_owned();
        let op = op(|name| stored.header(name));
        self.newest = self.newest.max(stored.seq);
        if op == Op::Put
            && let Some(listing) = &mut self.listing
        {
            listing.insert(key.clone(), stored.seq);
        }
        let told = match op {
            Op::Put => self.known.insert(key.clone(), stored.seq) == Some(stored.seq),
            // Nobody has to hear of the end of what they never heard of.
            Op::Deleted | Op::Expired => self.known.remove(&key).is_none(),
        };
        if !told {
            self.ready.push_back(Watched::Entry(Entry {
                key,
                value: (op == Op::Put).then_some(stored.payload),
                revision: stored.seq,
                op,
                at: stored.at,
            }));
        }
    }

    fn listed(&mut self) {
        let Some(listing) = self.listing.take() else {
            return;
        };
        let gone: Vec<String> = self
            .known
            .keys()
            .filter(|key| !listing.contains_key(*key))
            .cloned()
            .collect();
        for key in gone {
            self.known.remove(&key);
            self.ready.push_back(Watched::Entry(Entry {
                key,
                value: None,
                revision: self.newest,
                op: Op::Expired,
                // When, nobody knows any more.
                at: Timestamp::default(),
            }));
        }
        self.ready.push_back(Watched::Current);
    }

    fn opening(&self) -> BoxFuture<'static, Result<Source, ReadError>> {
        let bus = self.bus.clone();
        let stream = self.stream.clone();
        let filter = self.filter.clone();
        let pause = (self.attempt > 0).then(|| retry_pause(self.attempt));
        Box::pin(async move {
            if let Some(pause) = pause {
                tokio::time::sleep(pause).await;
            }
            let mut connection = bus.state();
            let _ = connection.wait_for(|state| state.connected).await;
            Source::open(&bus, &stream, &[filter], DeliverPolicy::LastPerSubject).await
        })
    }
}
