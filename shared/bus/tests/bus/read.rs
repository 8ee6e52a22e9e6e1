use crate::hub::{SOON, Spool, hub, prepare, stranger};
use muster_bus::Bus;
use muster_bus::publish::Producer;
use muster_bus::read::{ReadError, Reader, Start};
use muster_domain::family::Family;
use muster_testkit::eventually;
use muster_wire::Filter;
use muster_wire::topology::EVENTS;
use std::time::Duration;
use tokio::time::timeout;

async fn publish(bus: &Bus, spool: &mut Spool, count: usize) {
    let outcome = Producer::new(bus, EVENTS).publish(&spool.take(count)).await;
    assert_eq!((outcome.stored, outcome.stopped), (count, None));
}

async fn seqs(reader: &mut Reader, count: usize) -> Vec<u64> {
    let mut seqs = Vec::with_capacity(count);
    while seqs.len() < count {
        seqs.push(timeout(SOON, reader.next()).await.unwrap().unwrap().seq);
    }
    seqs
}

#[tokio::test]
async fn every_start_begins_where_it_says() {
    let (_server, bus) = hub().await;
    let mut spool = Spool::new("web-01");
    publish(&bus, &mut spool, 20).await;
    let note = spool.event("agent.turn.note", 10);
    Producer::new(&bus, EVENTS).publish(&[note]).await;

    let mut first = bus.read(EVENTS, &[], Start::First);
    assert_eq!(first.open().await.unwrap().last_seq, 21);
    assert_eq!(first.pending(), Some(21));
    assert_eq!(seqs(&mut first, 21).await, (1..=21).collect::<Vec<_>>());
    assert_eq!((first.pending(), first.position()), (Some(0), 22));

    let mut ninth = bus.read(EVENTS, &[], Start::Seq(9));
    assert_eq!(seqs(&mut ninth, 2).await, [9, 10]);
    let mut last = bus.read(EVENTS, &[], Start::Last);
    assert_eq!(seqs(&mut last, 1).await, [21]);
    let notes = [
        Filter::all().family(Family::AgentTurn),
        Filter::all().family(Family::Leader),
    ];
    let mut notes = bus.read(EVENTS, &notes, Start::First);
    let stored = timeout(SOON, notes.next()).await.unwrap().unwrap();
    assert_eq!(stored.seq, 21);
    assert_eq!(stored.subject().unwrap().event_type.to_string(), "agent.turn.note");

    let mut new = bus.read(EVENTS, &[], Start::New);
    new.open().await.unwrap();
    assert_eq!(new.pending(), Some(0));
    publish(&bus, &mut spool, 1).await;
    assert_eq!(seqs(&mut new, 1).await, [22]);
    let mut since = bus.read(EVENTS, &[], Start::Time(stored.at));
    assert!(seqs(&mut since, 1).await[0] <= 21);
}

#[tokio::test]
async fn a_restart_of_the_hub_neither_skips_nor_repeats() {
    let (mut server, bus) = hub().await;
    let mut spool = Spool::new("web-01");
    publish(&bus, &mut spool, 500).await;
    let mut reader = bus.read(EVENTS, &[], Start::First);
    let mut read = seqs(&mut reader, 250).await;
    for round in 0..2 {
        if round == 0 {
            server.restart().await;
        } else {
            server.kill9().await;
            server.restart().await;
        }
        eventually(SOON, async || bus.stream_state(EVENTS).await).await;
        publish(&bus, &mut spool, 500).await;
        read.extend(seqs(&mut reader, 500).await);
    }
    read.extend(seqs(&mut reader, 250).await);
    assert_eq!(read, (1..=1500).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_next_that_is_dropped_loses_nothing() {
    let (_server, bus) = hub().await;
    let mut spool = Spool::new("web-01");
    let mut reader = bus.read(EVENTS, &[], Start::First);
    let mut read = Vec::new();
    for _ in 0..300 {
        if let Ok(stored) = timeout(Duration::from_micros(50), reader.next()).await {
            read.push(stored.unwrap().seq);
        }
        if read.len() % 3 == 0 {
            publish(&bus, &mut spool, 1).await;
        }
    }
    let state = bus.stream_state(EVENTS).await.unwrap();
    let rest = usize::try_from(state.last_seq).unwrap() - read.len();
    read.extend(seqs(&mut reader, rest).await);
    assert_eq!(read, (1..=state.last_seq).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_stream_that_was_made_anew_is_not_read_on() {
    let (mut server, bus) = hub().await;
    publish(&bus, &mut Spool::new("web-01"), 30).await;
    let created = bus.stream_state(EVENTS).await.unwrap().created;
    let mut reader = bus.read(EVENTS, &[], Start::First);
    seqs(&mut reader, 30).await;

    stranger(&server).await.delete_stream(EVENTS).await.unwrap();
    prepare(&bus).await;
    publish(&bus, &mut Spool::new("web-01"), 50).await;
    // The consumer is gone with the stream, which shows by its silence; a restart shows it at once.
    server.restart().await;
    let error = timeout(SOON, reader.next()).await.unwrap().unwrap_err();
    assert!(matches!(error, ReadError::Incarnation { position: 31, .. }), "{error}");

    let mut resumed = bus.read(EVENTS, &[], Start::Seq(31)).expect_created(created);
    eventually(SOON, async || bus.stream_state(EVENTS).await).await;
    let error = resumed.open().await.unwrap_err();
    assert!(matches!(error, ReadError::Incarnation { .. }), "{error}");
}

#[tokio::test]
async fn a_position_beyond_the_end_or_before_the_beginning_is_an_error() {
    let (server, bus) = hub().await;
    publish(&bus, &mut Spool::new("web-01"), 30).await;
    let mut beyond = bus.read(EVENTS, &[], Start::Seq(32));
    assert!(matches!(
        beyond.open().await,
        Err(ReadError::Incarnation { last_seq: 30, .. })
    ));
    let mut end = bus.read(EVENTS, &[], Start::Seq(31));
    assert_eq!(end.open().await.unwrap().last_seq, 30);

    let stranger = stranger(&server).await;
    let mut config = stranger.get_stream(EVENTS).await.unwrap().cached_info().config.clone();
    config.max_messages = 10;
    stranger.update_stream(config).await.unwrap();
    let mut discarded = bus.read(EVENTS, &[], Start::Seq(5));
    assert!(matches!(
        discarded.open().await,
        Err(ReadError::Discarded {
            position: 5,
            first_seq: 21,
            ..
        })
    ));
    assert_eq!(seqs(&mut bus.read(EVENTS, &[], Start::First), 1).await, [21]);
}

#[tokio::test]
async fn a_reader_that_is_dropped_leaves_no_consumer_at_the_hub() {
    let (server, bus) = hub().await;
    let mut spool = Spool::new("web-01");
    publish(&bus, &mut spool, 300).await;
    let hub = stranger(&server).await;
    let consumers = async || hub.get_stream(EVENTS).await.unwrap().cached_info().state.consumer_count;
    let before = consumers().await;
    for _ in 0..10 {
        let mut reader = bus.read(EVENTS, &[], Start::First);
        assert_eq!(seqs(&mut reader, 300).await.len(), 300);
        let mut unread = bus.read(EVENTS, &[], Start::First);
        unread.open().await.unwrap();
    }
    // Long before the hub would forget them by itself.
    eventually(Duration::from_secs(5), async || {
        let now = consumers().await;
        if now == before { Ok(()) } else { Err(now) }
    })
    .await;
}
