//! Where a producer has to go on: the last of its events that the hub holds.

use crate::ask::Away;
use crate::connect::Bus;
use crate::read::ReadError;
use async_nats::jetstream::stream::{DirectGetErrorKind, LastRawMessageErrorKind};
use muster_domain::family::Family;
use muster_domain::ids::{EventId, ProducerId};
use muster_domain::names::HostName;
use muster_wire::{Envelope, Filter};

/// The last event of one producer in one stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LastStored {
    /// Its `seq`; `None` when none of this producer was found.
    pub seq: Option<u64>,
    /// Its id.
    pub id: Option<EventId>,
    /// The newest event of this host is another producer's, whose events may hide newer ones of ours: `seq` is then only
    /// the least it can be.
    pub foreign: bool,
}

impl Bus {
    /// The last event that `stream` holds of `producer` on `host`.
    ///
    /// One direct get for each area that a host publishes: a host may be allowed exactly these subjects
    /// (`$JS.API.DIRECT.GET.<stream>.agent.*.*.<host>.*` and so on) and reads nobody else's events by them.
    ///
    /// # Errors
    /// [`ReadError::Unavailable`] when the hub cannot say now.
    pub async fn last_stored(
        &self,
        stream: &'static str,
        host: &HostName,
        producer: ProducerId,
    ) -> Result<LastStored, ReadError> {
        let mut newest: Option<(u64, bool)> = None;
        let mut last = LastStored::default();
        for area in [Family::AgentHook, Family::ProcessLifecycle, Family::HostStatus] {
            let filter = Filter::all().area(area).host(host.clone()).to_string();
            let Some(message) = self.last_by_subject(stream, &filter).await? else {
                continue;
            };
            // What is no envelope of ours was not stored by this producer either.
            let envelope = Envelope::decode(&message.payload).ok();
            let ours = envelope
                .as_ref()
                .and_then(|envelope| envelope.origin)
                .filter(|origin| origin.producer == producer);
            if newest.is_none_or(|(seq, _)| seq < message.sequence) {
                newest = Some((message.sequence, ours.is_some()));
            }
            if let Some(origin) = ours
                && last.seq.is_none_or(|seq| seq < origin.seq)
            {
                last.seq = Some(origin.seq);
                last.id = envelope.map(|envelope| envelope.id);
            }
        }
        last.foreign = newest.is_some_and(|(_, ours)| !ours);
        Ok(last)
    }

    /// The newest message of a stream on a subject, which may hold wildcards.
    pub(crate) async fn last_by_subject(
        &self,
        stream: &str,
        filter: &str,
    ) -> Result<Option<async_nats::jetstream::message::StreamMessage>, ReadError> {
        if !self.is_connected() {
            return Err(ReadError::Unavailable(Away::Disconnected.to_string()));
        }
        let handle = self
            .context
            .get_stream_no_info(stream)
            .await
            .map_err(|error| ReadError::Unavailable(error.to_string()))?;
        match handle.direct_get_last_for_subject(filter).await {
            Ok(message) => Ok(Some(message)),
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
            Err(error) => Err(ReadError::Unavailable(error.to_string())),
        }
    }

    /// The same from the stream's leader: what was acknowledged before is seen, at the price of one API request.
    pub(crate) async fn last_by_subject_at_leader(
        &self,
        stream: &str,
        subject: &str,
    ) -> Result<Option<async_nats::jetstream::message::StreamMessage>, ReadError> {
        let unavailable = |error: String| ReadError::Unavailable(error);
        if !self.is_connected() {
            return Err(unavailable(Away::Disconnected.to_string()));
        }
        let handle = self
            .context
            .get_stream_no_info(stream)
            .await
            .map_err(|error| unavailable(error.to_string()))?;
        match handle.get_last_raw_message_by_subject(subject).await {
            Ok(message) => Ok(Some(message)),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(unavailable(error.to_string())),
        }
    }
}
