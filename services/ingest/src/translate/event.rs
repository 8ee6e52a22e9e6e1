//! Events that a reporter names itself: `{"kind":"agent.hook.stop","session","agent","time"?,"id"?,"data"}`.

use super::{is_traceparent, of_hook};
use crate::json;
use crate::observation::Observation;
use crate::reject::Reject;
use muster_domain::family::{EventType, Family, Owner, TurnKind};
use muster_domain::ids::EventId;
use muster_domain::names::{AgentName, NameError, SessionId};
use muster_wire::data::turn::StatusChanged;
use muster_wire::incoming::check_depth;
use muster_wire::limits::JSON_DEPTH_MAX;
use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::fmt;

/// The events of one request, each as its text: they are read one after another, so that a large request never stands in
/// memory as a tree.
#[derive(Debug)]
pub(crate) struct Items<'a> {
    pub(crate) texts: Vec<&'a str>,
    /// Whether it was a single object: then its refusal is the answer.
    pub(crate) single: bool,
}

/// Events in one request at most: what a client should wait for before it sends more.
pub(crate) const EVENTS_MAX: usize = 20_000;

/// How many elements an array has, without keeping any: eight megabytes of `{}` would be gigabytes of observations.
#[derive(Debug, Default)]
pub(crate) struct Count(pub(crate) usize);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Counting;
        impl<'de> Visitor<'de> for Counting {
            type Value = Count;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Count, A::Error> {
                let mut count = 0;
                while elements.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(Count(count))
            }
        }
        deserializer.deserialize_seq(Counting)
    }
}

/// Finds one event, an array of events, or one event a line.
///
/// # Errors
/// When nothing of it can be told apart into events. A line that is no JSON is only itself refused.
pub(crate) fn items(body: &[u8], lines: bool) -> Result<Items<'_>, Reject> {
    let text = std::str::from_utf8(body).map_err(|_| Reject::NotUtf8)?;
    let texts: Vec<&str> = if lines {
        text.lines().filter(|line| !line.trim().is_empty()).collect()
    } else if text.trim_start().starts_with('[') {
        if !check_depth(body, JSON_DEPTH_MAX) {
            return Err(Reject::TooDeep);
        }
        let broken = |error: serde_json::Error| Reject::BrokenJson(error.to_string());
        let Count(count) = serde_json::from_str(text).map_err(broken)?;
        if count > EVENTS_MAX {
            return Err(Reject::TooMany(count));
        }
        let items: Vec<&RawValue> = serde_json::from_str(text).map_err(broken)?;
        items.into_iter().map(RawValue::get).collect()
    } else {
        return Ok(Items {
            texts: vec![text],
            single: true,
        });
    };
    if texts.len() > EVENTS_MAX {
        return Err(Reject::TooMany(texts.len()));
    }
    Ok(Items { texts, single: false })
}

/// Reads one event from its text.
///
/// # Errors
/// [`Reject`] says what is wrong with it.
pub(crate) fn read(text: &str) -> Result<Observation, Reject> {
    json::parse(text.as_bytes()).and_then(event)
}

/// Reads one event.
///
/// # Errors
/// [`Reject`] says what is wrong with it.
pub(crate) fn event(item: Value) -> Result<Observation, Reject> {
    let Value::Object(mut item) = item else {
        return Err(Reject::NotAnObject);
    };
    let kind = text(&mut item, "kind")?.ok_or_else(|| bad("kind", "is missing"))?;
    let event_type = EventType::parse(&kind)?;
    if event_type.family().owner() != Owner::Ingest {
        return Err(Reject::NotOurs(kind));
    }
    if is_own_word(&event_type, item.get("data")) {
        return Err(Reject::OwnWord(kind));
    }
    let session = name(text(&mut item, "session")?, SessionId::new)?;
    if session.is_none() && is_of_a_session(event_type.family()) {
        return Err(Reject::MissingSession);
    }
    let data = match item.shift_remove("data") {
        Some(Value::Object(data)) => data,
        None | Some(Value::Null) => Map::new(),
        Some(_) => return Err(bad("data", "must be an object")),
    };
    let mut observation = if let EventType::AgentHook(hook) = event_type {
        of_hook(hook, data)
    } else {
        Observation::of(event_type, data)
    };
    observation.session = session;
    observation.agent = name(text(&mut item, "agent")?, AgentName::new)?;
    observation.time = text(&mut item, "time")?
        .map(|time| muster_wire::time::parse(&time).ok_or_else(|| bad("time", "must be RFC 3339")))
        .transpose()?;
    observation.id = text(&mut item, "id")?
        .map(|id| id.parse::<EventId>().map_err(|_| bad("id", "must be a UUID")))
        .transpose()?;
    observation.traceparent = text(&mut item, "traceparent")?.filter(|text| is_traceparent(text));
    Ok(observation)
}

/// What only this service knows, and anybody else could only make up: what became of orders, how this host is, and how the
/// wait of a hook ended.
fn is_own_word(event_type: &EventType, data: Option<&Value>) -> bool {
    let status = || data.and_then(|data| data["status"].as_str());
    matches!(event_type.family(), Family::AgentEffect | Family::HostStatus)
        || *event_type == EventType::AgentTurn(TurnKind::StatusChanged)
            && matches!(status(), Some(StatusChanged::ANSWERED | StatusChanged::RELEASED))
}

/// Hooks, turns and lines belong to a session; processes and hosts may be seen without one.
const fn is_of_a_session(family: Family) -> bool {
    matches!(family, Family::AgentHook | Family::AgentTurn | Family::AgentOutput)
}

fn text(item: &mut Map<String, Value>, key: &'static str) -> Result<Option<String>, Reject> {
    match item.shift_remove(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(bad(key, "must be a string")),
    }
}

fn name<T>(text: Option<String>, check: impl FnOnce(&str) -> Result<T, NameError>) -> Result<Option<T>, Reject> {
    Ok(text.as_deref().map(check).transpose()?)
}

fn bad(what: &'static str, detail: &str) -> Reject {
    Reject::BadField {
        what,
        detail: detail.to_owned(),
    }
}
