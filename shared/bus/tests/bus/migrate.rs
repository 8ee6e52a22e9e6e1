use crate::hub::{connect, prepare, sizing, stranger};
use muster_bus::migrate::{Change, Shrink, VerifyError, migrate, verify};
use muster_testkit::TestServer;
use muster_wire::topology::{EVENTS, NOTIFIER, Sizing};
use std::time::Duration;

async fn differences(bus: &muster_bus::Bus) -> Vec<(String, &'static str)> {
    match verify(bus).await {
        Ok(()) => Vec::new(),
        Err(VerifyError::Drift(differences)) => differences.into_iter().map(|d| (d.name, d.field)).collect(),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn migrating_again_changes_nothing() {
    let server = TestServer::start().await;
    let bus = connect(&server).await;
    assert_eq!(differences(&bus).await.len(), 11);
    let created = prepare(&bus).await;
    assert_eq!(created.len(), 12, "{created:?}");
    assert!(created.iter().all(|change| matches!(change, Change::Created { .. })));
    assert_eq!(prepare(&bus).await, []);
    assert_eq!(differences(&bus).await, []);
}

#[tokio::test]
async fn every_difference_is_found_named_and_repaired() {
    let server = TestServer::start().await;
    let bus = connect(&server).await;
    prepare(&bus).await;
    let stranger = stranger(&server).await;
    let mut events = stranger.get_stream(EVENTS).await.unwrap().cached_info().config.clone();
    events.allow_direct = false;
    events.allow_atomic_publish = false;
    events.republish = None;
    events.subjects.retain(|subject| subject != "notice.>");
    stranger.update_stream(events).await.unwrap();
    let stream = stranger.get_stream(EVENTS).await.unwrap();
    stream.delete_consumer(NOTIFIER.name).await.unwrap();
    stranger.delete_stream("KV_ledger").await.unwrap();

    let mut found = differences(&bus).await;
    found.sort();
    let named = |name: &str, field| (name.to_owned(), field);
    assert_eq!(
        found,
        [
            named(EVENTS, "allow_atomic_publish"),
            named(EVENTS, "allow_direct"),
            named(EVENTS, "republish"),
            named(EVENTS, "subjects"),
            named("KV_ledger", "stream"),
            named("consumer notifier on EVENTS", "consumer"),
        ]
    );
    assert_eq!(prepare(&bus).await.len(), 3);
    assert_eq!(differences(&bus).await, []);
}

#[tokio::test]
async fn what_an_operator_chose_is_no_difference_and_is_not_lowered_unasked() {
    let server = TestServer::start().await;
    let bus = connect(&server).await;
    prepare(&bus).await;
    let smaller = Sizing {
        events_bytes_max: 1 << 20,
        events_age_max: Duration::from_hours(30 * 24),
        ..sizing()
    };
    let changes = migrate(&bus, &smaller, Shrink::Refuse).await.unwrap();
    let [
        Change::Kept { difference },
        Change::Updated {
            differences: updated, ..
        },
    ] = &changes[..]
    else {
        panic!("{changes:?}");
    };
    assert_eq!(difference.field, "max_bytes");
    assert_eq!(updated.len(), 1);
    assert_eq!(updated[0].field, "max_age");
    assert_eq!(differences(&bus).await, []);

    let changes = migrate(&bus, &smaller, Shrink::Apply).await.unwrap();
    assert!(matches!(&changes[..], [Change::Updated { differences, .. }] if differences[0].field == "max_bytes"));
    let info = stranger(&server).await.get_stream(EVENTS).await.unwrap();
    assert_eq!(info.cached_info().config.max_bytes, 1 << 20);
}

#[tokio::test]
async fn observers_are_given_what_is_stored() {
    use futures_util::StreamExt;
    let server = TestServer::start().await;
    let bus = connect(&server).await;
    prepare(&bus).await;
    let client = stranger(&server).await.client();
    let mut seen = client.subscribe("stored.agent.hook.>").await.unwrap();
    client.flush().await.unwrap();
    let messages = crate::hub::Spool::new("web-01").take(30);
    let mut producer = muster_bus::publish::Producer::new(&bus, EVENTS);
    assert_eq!(producer.publish(&messages).await.stored, 30);
    for seq in 1..=30 {
        let message = tokio::time::timeout(crate::hub::SOON, seen.next())
            .await
            .unwrap()
            .unwrap();
        let headers = message.headers.unwrap();
        assert_eq!(headers.get("Nats-Sequence").unwrap().as_str(), seq.to_string());
    }
}
