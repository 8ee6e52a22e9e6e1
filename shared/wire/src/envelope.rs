//! The envelope: CloudEvents 1.0, structured JSON mode, one self-contained document a message.
//!
//! `nats sub` prints it whole, and any CloudEvents SDK reads it. `data` stays raw until somebody needs it: most readers
//! filter on the attributes, and the fold reads only some families.

use crate::subject::Subject;
use crate::time;
use muster_domain::fact::Origin;
use muster_domain::family::{EventType, UnknownType};
use muster_domain::ids::{EventId, ProducerId};
use muster_domain::names::{AgentName, HostName, Profile, SessionId};
use muster_domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The value of the `content-type` header.
pub const CONTENT_TYPE: &str = "application/cloudevents+json";

/// JSON that has been checked to be JSON, kept as text.
pub type RawData = Box<RawValue>;

/// One event with everything it says.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// Its id, also the `Nats-Msg-Id`.
    pub id: EventId,
    /// Who reports it, as a path: `/hosts/web-01/ingest`, `/orchestrator`, `/notifier`.
    pub source: String,
    /// Family and kind.
    pub event_type: EventType,
    /// The host it is about.
    pub host: Option<HostName>,
    /// The session it is about.
    pub session: Option<SessionId>,
    /// When it happened: the agent's own time where it gave one, else when ingest received it.
    pub time: Timestamp,
    /// Whether the agent gave that time itself.
    pub time_exact: bool,
    /// The product that runs the session.
    pub agent: Option<AgentName>,
    /// The session's profile.
    pub profile: Option<Profile>,
    /// Place in its producer's count; on observations only.
    pub origin: Option<Origin>,
    /// The event that caused this one.
    pub causation: Option<EventId>,
    /// What this event belongs to together with others, across sessions.
    pub correlation: Option<String>,
    /// W3C trace context of whoever reported it.
    pub traceparent: Option<String>,
    /// The payload.
    pub data: RawData,
}

/// Why bytes are no envelope.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not the JSON document of a CloudEvent as muster writes it.
    #[error("not a CloudEvent of muster's: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A family or kind this version does not know.
    #[error(transparent)]
    Type(#[from] UnknownType),
    /// CloudEvents in a version this crate does not speak.
    #[error("CloudEvents {0:?} is not 1.0")]
    SpecVersion(String),
    /// It says to be what may not be published where it was: who may publish a subject is all that is known of its author.
    #[error("it is no event of the subject it was published to")]
    Elsewhere,
}

/// The document, field for field.
#[derive(Serialize, Deserialize)]
pub(crate) struct Document<'a> {
    #[serde(borrow)]
    specversion: Cow<'a, str>,
    pub(crate) id: EventId,
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(rename = "type", borrow)]
    event_type: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<SessionId>,
    #[serde(with = "time")]
    time: Timestamp,
    #[serde(borrow)]
    datacontenttype: Cow<'a, str>,
    #[serde(borrow)]
    dataschema: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<HostName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) agent: Option<AgentName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) profile: Option<Profile>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    producer: Option<ProducerId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(default = "exact", skip_serializing_if = "is_exact")]
    timeexact: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    causationid: Option<EventId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlationid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    traceparent: Option<String>,
    #[serde(borrow)]
    pub(crate) data: &'a RawValue,
}

impl<'a> Document<'a> {
    /// Reads a document without copying its payload, with the type it says it is.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<(Self, EventType), DecodeError> {
        let document: Self = serde_json::from_slice(bytes)?;
        if document.specversion != "1.0" {
            return Err(DecodeError::SpecVersion(document.specversion.into_owned()));
        }
        let event_type = EventType::parse(&document.event_type)?;
        Ok((document, event_type))
    }

    /// Reads what was published to `subject`, which has to be its own.
    pub(crate) fn read_at(subject: &str, bytes: &'a [u8]) -> Result<(Self, EventType), DecodeError> {
        let (document, event_type) = Self::read(bytes)?;
        let (host, session) = (document.host.as_ref(), document.subject.as_ref());
        if !crate::subject::is_of(subject, &event_type, host, session) {
            return Err(DecodeError::Elsewhere);
        }
        Ok((document, event_type))
    }

    pub(crate) fn origin(&self) -> Option<Origin> {
        let (producer, seq) = self.producer.zip(self.seq)?;
        Some(Origin { producer, seq })
    }
}

const fn exact() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
const fn is_exact(exact: &bool) -> bool {
    *exact
}

/// The version of every family's payload. One number for all until a family has to break.
const SCHEMA_VERSION: u32 = 1;

impl Envelope {
    /// Where it is published.
    pub fn subject(&self) -> Subject {
        Subject::new(self.event_type.clone(), self.host.clone(), self.session.clone())
    }

    /// The document as bytes.
    ///
    /// # Errors
    /// Only when memory for it cannot be had: every field is known to serialise.
    pub fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(&Document {
            specversion: "1.0".into(),
            id: self.id,
            source: (&self.source).into(),
            event_type: self.event_type.to_string().into(),
            subject: self.session.clone(),
            time: self.time,
            datacontenttype: "application/json".into(),
            dataschema: format!("urn:muster:{}:{SCHEMA_VERSION}", self.event_type.family()).into(),
            host: self.host.clone(),
            agent: self.agent.clone(),
            profile: self.profile.clone(),
            producer: self.origin.map(|origin| origin.producer),
            seq: self.origin.map(|origin| origin.seq),
            timeexact: self.time_exact,
            causationid: self.causation,
            correlationid: self.correlation.clone(),
            traceparent: self.traceparent.clone(),
            data: &self.data,
        })
    }

    /// Reads a document, wherever it comes from.
    ///
    /// # Errors
    /// [`DecodeError`] says what is wrong with it.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Document::read(bytes).map(Self::of)
    }

    /// Reads what was published to `subject`.
    ///
    /// # Errors
    /// [`DecodeError`], also when this is not the subject of what it says to be.
    pub fn decode_at(subject: &str, bytes: &[u8]) -> Result<Self, DecodeError> {
        Document::read_at(subject, bytes).map(Self::of)
    }

    fn of((document, event_type): (Document<'_>, EventType)) -> Self {
        Self {
            id: document.id,
            origin: document.origin(),
            source: document.source.into_owned(),
            event_type,
            host: document.host,
            session: document.subject,
            time: document.time,
            time_exact: document.timeexact,
            agent: document.agent,
            profile: document.profile,
            causation: document.causationid,
            correlation: document.correlationid,
            traceparent: document.traceparent,
            data: document.data.to_owned(),
        }
    }
}
