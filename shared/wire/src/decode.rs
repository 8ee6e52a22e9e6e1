//! Envelopes into facts: the one place where payloads are understood.
//!
//! Reading is total for every type this version knows: the log is the authority and a replay must not stop, so data that
//! lacks what its fact needs is a fact without bearing.

mod decision;
mod hook;
mod summary;
mod turn;
mod work;

pub(crate) use hook::error;
pub use hook::known as moment;

use crate::data;
use crate::envelope::{DecodeError, Document, Envelope};
use muster_domain::fact::{Decision, Event, Fact, HostFact, ProcessFact, Recorded};
use muster_domain::family::{EventType, HostStatusKind, LifecycleKind};
use muster_domain::time::Timestamp;
use serde::Deserialize;

/// What an envelope says.
pub fn event(envelope: &Envelope) -> Event {
    Event {
        id: envelope.id,
        host: envelope.host.clone(),
        session: envelope.session.clone(),
        agent: envelope.agent.clone(),
        profile: envelope.profile.clone(),
        origin: envelope.origin,
        fact: fact(&envelope.event_type, envelope.data.get()),
        event_type: envelope.event_type.clone(),
    }
}

/// What a message of the log says; its payload is read in place.
///
/// # Errors
/// [`DecodeError`] when the bytes are no envelope, or of a type that a newer version brought, or not of this subject.
pub fn recorded(seq: u64, at: Timestamp, subject: &str, bytes: &[u8]) -> Result<Recorded, DecodeError> {
    let (document, event_type) = Document::read_at(subject, bytes)?;
    let event = Event {
        id: document.id,
        origin: document.origin(),
        fact: fact(&event_type, document.data.get()),
        event_type,
        host: document.host,
        session: document.subject,
        agent: document.agent,
        profile: document.profile,
    };
    Ok(Recorded { seq, at, event })
}

fn fact(event_type: &EventType, data: &str) -> Fact {
    if data.starts_with(data::Tombstone::MARK) && read::<data::Tombstone>(data).is_some() {
        return Fact::Tombstone;
    }
    let fact = match event_type {
        EventType::AgentHook(name) => hook::fact(name, data),
        EventType::AgentTurn(kind) => turn::fact(*kind, data).map(Fact::Turn),
        EventType::ProcessLifecycle(kind) => process(*kind, data).map(Fact::Process),
        EventType::HostStatus(kind) => host(*kind, data).map(Fact::Host),
        EventType::RuntimeStatus(kind) => decision::status(*kind, data).map(Fact::Decision),
        EventType::ApprovalRequired(_) => decision::required(data).map(Fact::Decision),
        EventType::ApprovalResolved(_) => decision::resolved(data).map(Fact::Decision),
        EventType::Policy(kind) => decision::policy(*kind, data).map(Fact::Decision),
        EventType::Hold(kind) => decision::hold(*kind, data).map(Fact::Decision),
        EventType::Budget(kind) => decision::budget(*kind, data).map(Fact::Decision),
        EventType::RuntimeHost(kind) => Some(Fact::Decision(decision::host(*kind))),
        EventType::Delegation(kind) => decision::delegation(*kind, data).map(Fact::Decision),
        EventType::Message(kind) => {
            data::message::decode(*kind, data).map(|fact| Fact::Decision(Decision::Message(fact)))
        }
        EventType::WorkMemory(kind) => {
            data::work_memory::decode(*kind, data).map(|fact| Fact::Decision(Decision::WorkMemory(Box::new(fact))))
        }
        EventType::Feedback(kind) => {
            data::review::feedback(*kind, data).map(|fact| Fact::Decision(Decision::Review(Box::new(fact))))
        }
        EventType::Case(kind) => {
            data::review::case(*kind, data).map(|fact| Fact::Decision(Decision::Review(Box::new(fact))))
        }
        EventType::Experiment(kind) => {
            data::experiment::decode(*kind, data).map(|fact| Fact::Decision(Decision::Experiment(Box::new(fact))))
        }
        EventType::Review(kind) => {
            data::review::review(*kind, data).map(|fact| Fact::Decision(Decision::Review(Box::new(fact))))
        }
        EventType::Rule(kind) => {
            data::review::rule(*kind, data).map(|fact| Fact::Decision(Decision::Review(Box::new(fact))))
        }
        EventType::Circuit(kind) => decision::circuit(*kind, data).map(Fact::Decision),
        EventType::Alert(kind) => decision::alert(*kind, data).map(Fact::Decision),
        EventType::Checkpoint(kind) => decision::checkpoint(*kind, data).map(Fact::Decision),
        EventType::MemoryCompaction(kind) => decision::memory(*kind, data).map(Fact::Decision),
        EventType::Leader(kind) => decision::leader(*kind, data).map(Fact::Decision),
        EventType::AgentEffect(kind) => {
            read::<data::effect::EffectReceipt>(data).map(|receipt| Fact::Effect(receipt.into_fact(*kind)))
        }
        EventType::Effect(kind) => decision::effect(*kind, data).map(Fact::Decision),
        EventType::AgentOutput(_)
        | EventType::ProcessFile(_)
        | EventType::ProcessNetwork(_)
        | EventType::ProcessProcess(_)
        | EventType::NoticeDelivery(_) => None,
    };
    fact.unwrap_or(Fact::Noted)
}

fn read<'a, T: Deserialize<'a>>(data: &'a str) -> Option<T> {
    serde_json::from_str(data).ok()
}

fn process(kind: LifecycleKind, data: &str) -> Option<ProcessFact> {
    let process: data::process::Process = read(data)?;
    if !process.session_process {
        return None;
    }
    match kind {
        LifecycleKind::Started => Some(process.into_started()),
        LifecycleKind::Exited => Some(ProcessFact::Exited {
            process: process.reference(),
            status: process.status,
        }),
        LifecycleKind::DescendantStarted | LifecycleKind::DescendantExited => None,
    }
}

fn host(kind: HostStatusKind, data: &str) -> Option<HostFact> {
    Some(match kind {
        HostStatusKind::Started => {
            let started: data::host::Started = read(data)?;
            HostFact::Started {
                version: started.version,
                instance: started.instance,
            }
        }
        HostStatusKind::Degraded => HostFact::Degraded {
            reason: read::<data::host::Reason>(data)?.reason,
        },
        HostStatusKind::Recovered => HostFact::Recovered,
        HostStatusKind::Stopping => HostFact::Stopping,
        HostStatusKind::Capability => HostFact::Capability,
    })
}
