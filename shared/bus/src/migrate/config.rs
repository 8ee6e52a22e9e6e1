//! The topology in JetStream's words.

use super::Difference;
use crate::kv;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::stream::{Compression, Config, DiscardPolicy, Republish, RetentionPolicy, StorageType};
use muster_wire::topology::{BUCKETS, Bucket, Consumer, EVENTS, STORES, Sizing, Store, Stream};
use std::time::Duration;

/// How long the mark of an expired key stays: longer than a watcher's outage in which it could still be read.
const MARKER_STAYS: Duration = Duration::from_mins(5);

/// Every stream, those under buckets and stores too.
pub(super) fn all(sizing: &Sizing) -> Vec<Config> {
    let streams = muster_wire::topology::streams(sizing);
    let streams = streams.into_iter().map(stream);
    let buckets = BUCKETS.iter().map(|b| bucket(b, sizing.replicas));
    let stores = STORES.iter().map(|s| store(s, sizing.replicas));
    streams.chain(buckets).chain(stores).collect()
}

fn stream(stream: Stream) -> Config {
    Config {
        name: stream.name.to_owned(),
        description: Some(stream.description.to_owned()),
        subjects: stream.subjects,
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::Old,
        storage: StorageType::File,
        compression: Some(Compression::S2),
        num_replicas: stream.replicas,
        max_bytes: stream.bytes_max,
        max_age: stream.age_max,
        duplicate_window: stream.duplicate_window,
        allow_direct: true,
        allow_atomic_publish: true,
        deny_delete: stream.name == EVENTS,
        deny_purge: stream.name == EVENTS,
        republish: stream.republish_prefix.map(|prefix| Republish {
            source: ">".to_owned(),
            destination: format!("{prefix}.>"),
            headers_only: false,
        }),
        ..unlimited()
    }
}

/// As every client makes a bucket (ADR-8), so that their tools can read it.
fn bucket(bucket: &Bucket, replicas: usize) -> Config {
    Config {
        name: kv::stream_of(bucket.name),
        description: Some(bucket.description.to_owned()),
        subjects: vec![kv::subject_of(bucket.name, ">")],
        max_messages_per_subject: bucket.history,
        storage: StorageType::File,
        num_replicas: replicas,
        discard: DiscardPolicy::New,
        allow_rollup: true,
        deny_delete: true,
        allow_direct: true,
        allow_message_ttl: bucket.expiring_keys,
        subject_delete_marker_ttl: bucket.expiring_keys.then_some(MARKER_STAYS),
        duplicate_window: Duration::from_mins(2),
        ..unlimited()
    }
}

/// As every client makes an object store (ADR-20).
fn store(store: &Store, replicas: usize) -> Config {
    let name = store.name;
    Config {
        name: format!("OBJ_{name}"),
        description: Some(store.description.to_owned()),
        subjects: vec![format!("$O.{name}.C.>"), format!("$O.{name}.M.>")],
        max_age: store.age_max.unwrap_or_default(),
        storage: StorageType::File,
        num_replicas: replicas,
        discard: DiscardPolicy::New,
        allow_rollup: true,
        allow_direct: true,
        duplicate_window: Duration::from_mins(2),
        ..unlimited()
    }
}

/// -1 is the hub's word for no limit, and what it answers with.
fn unlimited() -> Config {
    Config {
        max_bytes: -1,
        max_messages: -1,
        max_messages_per_subject: -1,
        max_message_size: -1,
        compression: Some(Compression::None),
        ..Config::default()
    }
}

pub(super) fn consumer(consumer: &Consumer) -> pull::Config {
    pull::Config {
        durable_name: Some(consumer.name.to_owned()),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: consumer.ack_wait,
        max_ack_pending: consumer.ack_pending_max,
        max_deliver: -1,
        ..pull::Config::default()
    }
}

/// Keeps every limit of `found` that is wider than the one wanted; says which.
pub(super) fn keep_larger(wanted: &mut Config, found: &Config) -> Vec<Difference> {
    let mut kept = Vec::new();
    if lower(wanted.max_bytes, found.max_bytes) {
        kept.push(Difference::new(
            &wanted.name,
            "max_bytes",
            wanted.max_bytes,
            found.max_bytes,
        ));
        wanted.max_bytes = found.max_bytes;
    }
    let seconds = |age: Duration| i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
    if lower(seconds(wanted.max_age), seconds(found.max_age)) {
        kept.push(Difference::debug(
            &wanted.name,
            "max_age",
            &wanted.max_age,
            &found.max_age,
        ));
        wanted.max_age = found.max_age;
    }
    kept
}

/// Whether `wanted` is a tighter limit than `found`; nothing and below mean none.
const fn lower(wanted: i64, found: i64) -> bool {
    wanted > 0 && (found <= 0 || wanted < found)
}

/// `wanted`, with what it says nothing about left as it was found.
pub(super) fn over(wanted: Config, found: Config) -> Config {
    Config {
        metadata: found.metadata,
        placement: found.placement,
        max_consumers: found.max_consumers,
        max_messages: found.max_messages,
        max_message_size: found.max_message_size,
        ..wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limit_is_wider_than_any() {
        assert!(lower(10, -1) && lower(10, 0) && lower(10, 20));
        assert!(!lower(-1, 10) && !lower(10, 10) && !lower(20, 10));
    }

    #[test]
    fn larger_limits_are_kept_and_named() {
        let sizing = Sizing::default();
        let found = all(&sizing).remove(0);
        let mut wanted = Config {
            max_bytes: 1024,
            max_age: sizing.events_age_max * 2,
            ..found.clone()
        };
        let kept = keep_larger(&mut wanted, &found);
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[0].field, "max_bytes");
        assert_eq!(wanted.max_bytes, found.max_bytes);
        assert_eq!(wanted.max_age, sizing.events_age_max * 2);
    }
}
