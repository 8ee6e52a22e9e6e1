use crate::hub::{SOON, Spool, connect, hub, stranger};
use async_nats::HeaderMap;
use muster_bus::publish::{Disposition, Producer, Stopped};
use muster_bus::read::Start;
use muster_bus::{Bus, Refusal};
use muster_domain::ids::ProducerId;
use muster_testkit::{TestServer, eventually};
use muster_wire::topology::{EVENTS, TRANSCRIPT};
use std::collections::BTreeSet;

async fn stored_ids(bus: &Bus) -> Vec<String> {
    let mut reader = bus.read(EVENTS, &[], Start::First);
    let last = reader.open().await.unwrap().last_seq;
    let mut ids = Vec::new();
    while ids.len() < usize::try_from(last).unwrap() {
        ids.push(reader.next().await.unwrap().msg_id().unwrap().to_owned());
    }
    ids
}

#[tokio::test]
async fn few_and_many_messages_are_stored_in_their_order() {
    let (_server, bus) = hub().await;
    let mut spool = Spool::new("web-01");
    let mut producer = Producer::new(&bus, EVENTS);
    let mut sent = Vec::new();
    for count in [1, 5, 12, 100, 2500] {
        let messages = spool.take(count);
        let outcome = producer.publish(&messages).await;
        assert_eq!((outcome.stored, outcome.stopped), (count, None));
        sent.extend(messages);
        assert_eq!(outcome.last_seq, Some(sent.len() as u64));
    }
    let ids: Vec<String> = sent.iter().map(|message| message.id.to_string()).collect();
    assert_eq!(stored_ids(&bus).await, ids);
}

#[tokio::test]
async fn a_batch_with_one_duplicate_is_stored_one_by_one() {
    let (_server, bus) = hub().await;
    let mut spool = Spool::new("web-01");
    let mut producer = Producer::new(&bus, EVENTS);
    let messages = spool.take(50);
    assert_eq!(producer.publish(&messages[20..21]).await.stored, 1);
    let outcome = producer.publish(&messages).await;
    assert_eq!((outcome.stored, outcome.duplicates, outcome.stopped), (50, 1, None));
    assert_eq!(stored_ids(&bus).await.len(), 50);
}

#[tokio::test]
async fn a_hub_full_of_open_batches_still_takes_single_messages() {
    // The server's own limits, which the deployment's configuration raises.
    let server = TestServer::start_with(|config| config.batches_per_stream = 50).await;
    let bus = connect(&server).await;
    crate::hub::prepare(&bus).await;
    let other = stranger(&server).await;
    let mut theirs = Spool::new("other");
    for batch in 0..50 {
        let message = theirs.take(1).remove(0);
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Batch-Id", format!("open-{batch}"));
        headers.insert("Nats-Batch-Sequence", "1");
        // The first message as a request: its empty answer says that the batch is open.
        let answer = other
            .client()
            .request_with_headers(message.subject.to_string(), headers, message.payload)
            .await
            .unwrap();
        assert_eq!(answer.payload.len(), 0, "{answer:?}");
    }
    let messages = Spool::new("web-01").take(100);
    let outcome = Producer::new(&bus, EVENTS).publish(&messages).await;
    assert_eq!((outcome.stored, outcome.stopped), (100, None));
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_alone() {
    let (_server, bus) = hub().await;
    let mut spool = Spool::new("web-01");
    let mut messages = spool.take(30);
    messages.push(spool.event("agent.hook.post_tool_use", 2 << 20));
    messages.extend(spool.take(3));
    let mut producer = Producer::new(&bus, EVENTS);
    let outcome = producer.publish(&messages).await;
    assert_eq!(outcome.stored, 30);
    let stopped = outcome.stopped.unwrap();
    assert_eq!(stopped.disposition(), Disposition::Park);
    assert!(
        matches!(
            stopped,
            Stopped::Refused {
                index: 30,
                reason: Refusal::TooLarge(_)
            }
        ),
        "{stopped:?}"
    );
    assert_eq!(producer.publish(&messages[31..]).await.stored, 3);
}

#[tokio::test]
async fn what_was_acknowledged_before_a_kill_is_stored_after_it() {
    let (mut server, bus) = hub().await;
    let mut spool = Spool::new("web-01");
    let mut producer = Producer::new(&bus, EVENTS);
    let mut acked = BTreeSet::new();
    let publishing = async {
        loop {
            for count in [1, 3, 200] {
                let messages = spool.take(count);
                let outcome = producer.publish(&messages).await;
                acked.extend(messages[..outcome.stored].iter().map(|m| m.id.to_string()));
                if let Some(stopped) = outcome.stopped {
                    return (messages[outcome.stored..].to_vec(), stopped);
                }
            }
        }
    };
    let killing = async {
        eventually(SOON, async || {
            let seq = bus.stream_state(EVENTS).await.unwrap().last_seq;
            (seq > 2000).then_some(()).ok_or(seq)
        })
        .await;
        server.kill9().await;
    };
    let ((rest, stopped), ()) = tokio::join!(publishing, killing);
    assert_ne!(stopped.disposition(), Disposition::Park, "{stopped:?}");

    server.restart().await;
    let last = eventually(SOON, async || {
        bus.last_stored(EVENTS, &spool.host, spool.producer).await
    })
    .await;
    assert!(!last.foreign);
    // Going on after the last one stored gives each message exactly once.
    let go_on = rest
        .iter()
        .position(|message| Some(message.id) == last.id)
        .map_or(0, |index| index + 1);
    let outcome = producer.publish(&rest[go_on..]).await;
    assert_eq!(outcome.stopped, None);
    assert_eq!(outcome.duplicates, 0);
    let stored = stored_ids(&bus).await;
    let distinct: BTreeSet<String> = stored.iter().cloned().collect();
    assert_eq!(stored.len(), distinct.len());
    assert!(acked.is_subset(&distinct));
    assert!(rest.iter().all(|m| distinct.contains(&m.id.to_string())));
}

#[tokio::test]
async fn a_hub_that_is_away_is_told_from_one_that_did_not_answer() {
    let (mut server, bus) = hub().await;
    let mut producer = Producer::new(&bus, EVENTS);
    let messages = Spool::new("web-01").take(2);
    server.pause();
    // It stops a moment after it was told to.
    let unanswered = loop {
        if let Some(stopped) = producer.publish(&messages).await.stopped {
            break stopped;
        }
    };
    assert_eq!(unanswered.disposition(), Disposition::Ask);
    server.resume();
    server.stop().await;
    let mut state = bus.state();
    state.wait_for(|state| !state.connected).await.unwrap();
    let away = producer.publish(&messages).await;
    assert_eq!(away.stopped.unwrap().disposition(), Disposition::Wait);
}

#[tokio::test]
async fn the_last_one_stored_is_found_whatever_its_family() {
    let (_server, bus) = hub().await;
    let mut spool = Spool::new("web-01");
    let mut producer = Producer::new(&bus, EVENTS);
    let last = async |producer: ProducerId| bus.last_stored(EVENTS, &spool.host, producer).await.unwrap();
    let nobody = last(spool.producer).await;
    assert_eq!((nobody.seq, nobody.foreign), (None, false));

    let kinds = [
        "agent.hook.stop",
        "process.file.open",
        "host.status.started",
        "agent.turn.note",
    ];
    for (at, kind) in kinds.into_iter().enumerate() {
        let message = spool.event(kind, 10);
        assert_eq!(producer.publish(std::slice::from_ref(&message)).await.stored, 1);
        let found = bus.last_stored(EVENTS, &spool.host, spool.producer).await.unwrap();
        assert_eq!(found.seq, Some(at as u64 + 1), "{kind}");
        assert_eq!(found.id, Some(message.id));
        assert!(!found.foreign);
    }

    // Another host's events are not in the way; another spool of the same host is, and says so.
    let mut elsewhere = Spool::new("web-02");
    assert_eq!(producer.publish(&elsewhere.take(3)).await.stored, 3);
    let mut second = Spool::new("web-01");
    assert_eq!(producer.publish(&second.take(1)).await.stored, 1);
    let found = bus.last_stored(EVENTS, &spool.host, spool.producer).await.unwrap();
    // The fourth is hidden behind it; the third, in another area, is not.
    assert_eq!((found.seq, found.foreign), (Some(3), true));

    let mut lines = Producer::new(&bus, TRANSCRIPT);
    let line = second.event("agent.output.stream", 10);
    assert_eq!(lines.publish(&[line]).await.stored, 1);
    let found = bus
        .last_stored(TRANSCRIPT, &second.host, second.producer)
        .await
        .unwrap();
    assert_eq!((found.seq, found.foreign), (Some(2), false));
}
