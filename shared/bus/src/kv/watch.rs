//! Following a bucket so that a copy of it stays right, also across outages.
//!
//! What happened while nobody listened may have left no trace: a bucket keeps one revision a key, and the mark of an
//! expiry goes away by itself. So a watch lists everything anew after an outage, gives what changed, and calls *expired*
//! whatever it knew and does not find.

use super::{Entry, Op, op, stream_of, subject_of};
use crate::connect::Bus;
use crate::read::{ReadError, Source, Stored};
use crate::resume::Resuming;
use async_nats::jetstream::consumer::DeliverPolicy;
use muster_domain::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What a watch sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watched {
    /// A key, as it stands now.
    Entry(Entry),
    /// Everything that stood when the watch began, or began again, was given.
    Current,
}

/// What a watch reads from; `true` until its listing has begun.
type Listed = (Source, bool);

/// A view of some keys of a bucket.
pub struct Watch {
    bus: Bus,
    stream: String,
    prefix: String,
    filter: String,
    /// Keys that have a value, as far as was told, and the revision of it.
    known: BTreeMap<String, u64>,
    /// Keys seen since the listing began; `None` once it is complete.
    listing: Option<BTreeSet<String>>,
    newest: u64,
    ready: VecDeque<Watched>,
    source: Resuming<Listed>,
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
            source: Resuming::new(),
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
            let Self {
                bus,
                stream,
                filter,
                source,
                ..
            } = self;
            let open = || begin(bus.clone(), stream.clone(), filter.clone());
            let (source, fresh) = source.opened(bus, open).await?;
            if std::mem::take(fresh) {
                self.listing = Some(BTreeSet::new());
                if source.pending() == 0 {
                    self.listed();
                }
                continue;
            }
            let Some(stored) = source.next().await else {
                self.source.broke();
                continue;
            };
            let last = source.pending() == 0;
            self.source.works();
            self.see(stored);
            if last {
                self.listed();
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
            listing.insert(key.clone());
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
            .filter(|key| !listing.contains(*key))
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
}

async fn begin(bus: Bus, stream: String, filter: String) -> Result<Listed, ReadError> {
    let source = Source::open(&bus, &stream, &[filter], DeliverPolicy::LastPerSubject).await?;
    Ok((source, true))
}
