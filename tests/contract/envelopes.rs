//! Envelopes: what was written once is read for ever, and every type makes the way there and back.

use crate::{expect, raw, read};
use muster_domain::fact::Origin;
use muster_domain::family::{EventType, Family};
use muster_domain::ids::{EventId, ProducerId};
use muster_domain::names::{AgentName, HostName, Profile, SessionId};
use muster_domain::time::Timestamp;
use muster_wire::{Envelope, Subject, decode};
use proptest::prelude::*;
use std::collections::BTreeSet;
use uuid::Uuid;

pub(crate) fn of(event_type: EventType, data: &str) -> Envelope {
    Envelope {
        id: EventId::from_uuid(Uuid::from_u128(7)),
        source: "/hosts/web-01/ingest".to_owned(),
        event_type,
        host: HostName::new("web-01").ok(),
        session: SessionId::new("s1").ok(),
        time: Timestamp::from_millis(1_795_262_400_123),
        time_exact: true,
        agent: None,
        profile: None,
        origin: None,
        causation: None,
        correlation: None,
        traceparent: None,
        data: raw(data),
    }
}

#[test]
fn every_envelope_ever_written_still_decodes() {
    let text = read("envelope.v1.jsonl");
    let facts: Vec<String> = text
        .lines()
        .map(|line| decode::event(&Envelope::decode(line.as_bytes()).unwrap()))
        .map(|event| format!("{}: {:?}", event.event_type, event.fact))
        .collect();
    expect("envelope.v1.facts", &facts);
    let mut families = BTreeSet::new();
    for line in text.lines() {
        let envelope = Envelope::decode(line.as_bytes()).unwrap_or_else(|error| panic!("{error}: {line}"));
        families.insert(envelope.event_type.family());
        let recorded = decode::recorded(
            1,
            Timestamp::default(),
            &envelope.subject().to_string(),
            line.as_bytes(),
        )
        .unwrap();
        assert_eq!(recorded.event, decode::event(&envelope));
        assert_eq!(String::from_utf8(envelope.encode().unwrap()).unwrap(), line);
    }
    assert_eq!(families.len(), Family::ALL.len(), "a family has no golden envelope");
}

/// A hub's permissions say who may publish what, and know nothing of what is in a message.
#[test]
fn what_is_published_elsewhere_than_it_says_is_no_event() {
    let text = read("envelope.v1.jsonl");
    let all: Vec<Envelope> = text
        .lines()
        .map(|line| Envelope::decode(line.as_bytes()).unwrap())
        .collect();
    for envelope in &all {
        let bytes = envelope.encode().unwrap();
        let own = envelope.subject();
        assert!(Envelope::decode_at(&own.to_string(), &bytes).is_ok());
        let elsewhere = all.iter().map(Envelope::subject).filter(|subject| *subject != own);
        for subject in elsewhere
            .map(|subject| subject.to_string())
            .chain([format!("{own}.x"), String::new()])
        {
            assert!(
                Envelope::decode_at(&subject, &bytes).is_err(),
                "{own} was read at {subject}"
            );
            let recorded = decode::recorded(1, Timestamp::default(), &subject, &bytes);
            assert!(recorded.is_err(), "{own} was folded at {subject}");
        }
    }
}

#[test]
fn what_a_newer_version_adds_is_passed_over() {
    let line = read("envelope.v1.jsonl")
        .lines()
        .next()
        .unwrap()
        .replacen("{", r#"{"newattribute":{"a":[1]},"#, 1);
    assert!(Envelope::decode(line.as_bytes()).is_ok());
}

proptest! {
    #[test]
    fn every_type_makes_the_way_there_and_back(
        (id, producer, cause, seq) in (any::<u128>(), any::<u128>(), any::<u128>(), any::<u64>()),
        (host, session, text) in ("[a-zA-Z0-9_]{1,20}", "[^\\p{C}]{1,30}", "\\PC{0,30}"),
        ms in 0..253_402_300_799_999_i64,
        full in any::<bool>(),
        exact in any::<bool>(),
    ) {
        for event_type in EventType::known() {
            let some = |there: bool| there.then_some(());
            let envelope = Envelope {
                id: EventId::from_uuid(Uuid::from_u128(id)),
                host: some(full).and_then(|()| HostName::new(&host).ok()),
                session: some(full).and_then(|()| SessionId::new(&session).ok()),
                time: Timestamp::from_millis(ms),
                time_exact: exact,
                agent: some(full).and_then(|()| AgentName::new(&session).ok()),
                profile: some(full).and_then(|()| Profile::new(&session).ok()),
                origin: some(full).map(|()| Origin { producer: ProducerId::from_uuid(Uuid::from_u128(producer)), seq }),
                causation: some(full).map(|()| EventId::from_uuid(Uuid::from_u128(cause))),
                correlation: some(full).map(|()| text.clone()),
                traceparent: some(full).map(|()| text.clone()),
                source: text.clone(),
                ..of(event_type, &serde_json::json!({ "text": text }).to_string())
            };
            let bytes = envelope.encode().unwrap();
            let again = Envelope::decode(&bytes).unwrap();
            prop_assert_eq!(&again.encode().unwrap(), &bytes);
            prop_assert_eq!(Subject::parse(&again.subject().to_string()), Ok(envelope.subject()));
            prop_assert_eq!(decode::event(&again), decode::event(&envelope));
            prop_assert_eq!((again.time, again.time_exact, again.origin), (envelope.time, exact, envelope.origin));
            prop_assert_eq!((again.causation, again.correlation, again.source), (envelope.causation, envelope.correlation, envelope.source));
        }
    }
}
