//! The spool as its callers see it; what needs a process of its own is in `tests/killed.rs`.

mod killed;
mod model;
mod refusals;

use std::{future::Future, path::Path, time::Duration};

use tempfile::TempDir;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

fn keeping() -> Options {
    Options {
        retain_after_ack: HOUR,
        ..Options::default()
    }
}

fn open(dir: &Path) -> Spool {
    Spool::open(dir, keeping()).unwrap()
}

fn encoded(origin: Origin, text: &str) -> Vec<u8> {
    format!("{} {} {text}", origin.producer, origin.seq).into_bytes()
}

async fn append(spool: &Spool, lane: Lane, text: &'static str) -> Origin {
    spool
        .append(lane, Priority::Low, move |origin| encoded(origin, text))
        .await
        .unwrap()
}

async fn append_many(spool: &Spool, lane: Lane, count: usize) -> Vec<Origin> {
    let encode = |_| Box::new(|origin| encoded(origin, "one of many")) as Encode;
    spool
        .append_all(lane, Priority::Low, (0..count).map(encode).collect())
        .await
        .unwrap()
}

async fn seqs(spool: &Spool, lane: Lane) -> Vec<u64> {
    let records = spool.read_from(lane, 1, usize::MAX, usize::MAX).await.unwrap();
    records.into_iter().map(|record| record.seq).collect()
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what)
        .await
        .expect("within 20 s")
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_appenders_get_every_sequence_once_and_find_their_own_record_there() {
    let dir = TempDir::new().unwrap();
    let spool = open(dir.path());
    let mut appenders = tokio::task::JoinSet::new();
    for appender in 0..64_u64 {
        let spool = spool.clone();
        appenders.spawn(async move {
            let mut own = Vec::new();
            for turn in 0..20_u64 {
                let text = format!("{appender}/{turn}");
                let sent = text.clone();
                let encode = move |origin| encoded(origin, &sent);
                own.push((spool.append(Lane::Events, Priority::Low, encode).await.unwrap(), text));
            }
            own
        });
    }
    let mut records: Vec<_> = appenders.join_all().await.into_iter().flatten().collect();
    records.sort_by_key(|(origin, _)| origin.seq);
    let stored = spool.read_from(Lane::Events, 1, usize::MAX, usize::MAX).await.unwrap();
    assert_eq!(stored.len(), 64 * 20);
    for ((expected_seq, (origin, text)), stored) in (1..).zip(records).zip(stored) {
        assert_eq!((origin.seq, stored.seq), (expected_seq, expected_seq));
        assert_eq!(stored.bytes, encoded(origin, &text));
    }
}

#[tokio::test]
async fn lanes_count_apart_and_a_batch_is_contiguous() {
    let dir = TempDir::new().unwrap();
    let spool = open(dir.path());
    append(&spool, Lane::Transcript, "line").await;
    let batch = append_many(&spool, Lane::Events, 3).await;
    assert_eq!(batch.iter().map(|origin| origin.seq).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(append(&spool, Lane::Transcript, "line").await.seq, 2);
    assert_eq!(
        spool.append_all(Lane::Events, Priority::Low, Vec::new()).await.unwrap(),
        []
    );
    assert_eq!((spool.last_seq(Lane::Events), spool.last_seq(Lane::Transcript)), (3, 2));
}

#[tokio::test]
async fn a_reopened_spool_goes_on_counting_even_when_everything_was_trimmed() {
    let dir = TempDir::new().unwrap();
    let spool = open(dir.path());
    let producer = spool.producer();
    append_many(&spool, Lane::Events, 5).await;
    spool.mark_acked(Lane::Events, 3);
    spool.close().await;

    let spool = open(dir.path());
    assert_eq!((spool.producer(), spool.acked(Lane::Events)), (producer, 3));
    assert_eq!(append(&spool, Lane::Events, "sixth").await.seq, 6);
    spool.mark_acked(Lane::Events, 6);
    assert_eq!(spool.trim(Lane::Events, 6).await.unwrap(), 6);
    spool.close().await;

    let spool = open(dir.path());
    assert_eq!((spool.first_seq(Lane::Events), spool.last_seq(Lane::Events)), (7, 6));
    assert_eq!(append(&spool, Lane::Events, "seventh").await.seq, 7);
}

#[tokio::test]
async fn a_read_is_bounded_but_always_gets_the_next_record() {
    let dir = TempDir::new().unwrap();
    let spool = open(dir.path());
    append_many(&spool, Lane::Events, 10).await;
    let read = async |seq, records, bytes| spool.read_from(Lane::Events, seq, records, bytes).await.unwrap().len();
    assert_eq!(read(1, 4, usize::MAX).await, 4);
    assert_eq!(read(8, 100, usize::MAX).await, 3);
    assert_eq!(read(1, 100, 1).await, 1);
    assert_eq!(
        read(
            1,
            100,
            2 * encoded(
                Origin {
                    producer: spool.producer(),
                    seq: 1
                },
                "one of many"
            )
            .len()
        )
        .await,
        2
    );
    assert_eq!(read(11, 100, usize::MAX).await, 0);
}

#[tokio::test]
async fn a_waiting_reader_is_woken_by_the_next_record_and_by_the_end() {
    let dir = TempDir::new().unwrap();
    let spool = open(dir.path());
    let (woken, _) = tokio::join!(
        soon(spool.wait_for(Lane::Events, 0)),
        append(&spool, Lane::Events, "first")
    );
    assert_eq!(woken.unwrap(), 1);
    let (woken, ()) = tokio::join!(soon(spool.wait_for(Lane::Events, 1)), spool.close());
    assert!(matches!(woken, Err(StoreError::Closed)));
}

#[tokio::test]
async fn acked_records_go_once_they_were_kept_long_enough() {
    let dir = TempDir::new().unwrap();
    let spool = Spool::open(
        dir.path(),
        Options {
            retain_after_ack: Duration::ZERO,
            ..Options::default()
        },
    )
    .unwrap();
    append_many(&spool, Lane::Events, 2000).await;
    spool.mark_acked(Lane::Events, 1990);
    let mut view = spool.view.clone();
    soon(view.wait_for(|view| view.lane(Lane::Events).first == 1991))
        .await
        .unwrap();
    assert_eq!(seqs(&spool, Lane::Events).await, (1991..=2000).collect::<Vec<_>>());
}

#[tokio::test]
async fn when_the_hub_lost_its_tail_what_is_still_kept_is_owed_again() {
    let dir = TempDir::new().unwrap();
    let spool = open(dir.path());
    append_many(&spool, Lane::Events, 10).await;
    spool.mark_acked(Lane::Events, 8);
    assert_eq!(spool.trim(Lane::Events, 10).await.unwrap(), 8);
    append_many(&spool, Lane::Events, 10).await;
    spool.mark_acked(Lane::Events, 20);
    assert_eq!(spool.rewind(Lane::Events, 15).await.unwrap(), 15);
    assert_eq!(spool.rewind(Lane::Events, 2).await.unwrap(), 8);
    assert_eq!(spool.stats().await.unwrap().events.owed, 12);
    assert_eq!(spool.trim(Lane::Events, 20).await.unwrap(), 0);
}

#[tokio::test]
async fn a_new_producer_owns_what_was_owed_and_counts_from_one() {
    let dir = TempDir::new().unwrap();
    let spool = open(dir.path());
    let old = spool.producer();
    append_many(&spool, Lane::Events, 700).await;
    append_many(&spool, Lane::Transcript, 2).await;
    spool.mark_acked(Lane::Events, 100);
    let reencode = |_, origin: Origin, old: Vec<u8>| [encoded(origin, "was "), old].concat();
    let new = spool.remint_producer(reencode).await.unwrap();
    assert_ne!(new, old);
    spool.close().await;

    let spool = open(dir.path());
    assert_eq!((spool.producer(), spool.acked(Lane::Events)), (new, 0));
    assert_eq!(seqs(&spool, Lane::Events).await, (1..=600).collect::<Vec<_>>());
    let last = spool.read_from(Lane::Events, 600, 1, usize::MAX).await.unwrap();
    assert_eq!(
        last[0].bytes,
        format!("{new} 600 was {old} 700 one of many").into_bytes()
    );
    assert_eq!(
        append(&spool, Lane::Events, "next").await,
        Origin {
            producer: new,
            seq: 601
        }
    );
    assert_eq!(append(&spool, Lane::Transcript, "next").await.seq, 3);
}
