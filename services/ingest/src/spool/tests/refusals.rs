//! What the spool does not take, what it sets aside, and what it says about both.

use super::*;

/// A small spool: 200 KiB, of which 100 KiB are for high priority.
fn small(dir: &Path) -> Spool {
    let sizes = Options {
        max_bytes: 200 << 10,
        reserve_bytes: 100 << 10,
        ..keeping()
    };
    Spool::open(dir, sizes).unwrap()
}

async fn fill(spool: &Spool, priority: Priority) -> AppendError {
    loop {
        if let Err(refused) = spool.append(Lane::Events, priority, |_| vec![7; 2000]).await {
            return refused;
        }
    }
}

#[tokio::test]
async fn a_second_opener_is_told_which_process_holds_the_spool() {
    let dir = TempDir::new().unwrap();
    let spool = open(dir.path());
    let refused = Spool::open(dir.path(), keeping()).map(|_| ()).unwrap_err();
    assert!(
        refused
            .to_string()
            .contains(&format!("in use by process {}:", std::process::id())),
        "{refused}"
    );
    spool.close().await;
    open(dir.path());
}

#[tokio::test]
async fn a_spool_of_a_newer_format_is_left_alone() {
    let dir = TempDir::new().unwrap();
    open(dir.path()).close().await;
    Connection::open(dir.path().join("spool.db"))
        .unwrap()
        .pragma_update(None, "user_version", 9)
        .unwrap();
    let refused = Spool::open(dir.path(), keeping()).map(|_| ());
    assert!(matches!(refused, Err(OpenError::Newer { found: 9, known: 1 })));
}

#[tokio::test]
async fn a_damaged_spool_is_set_aside_whole_and_a_new_one_begun() {
    for keep in [0, 100, 4096, 20_000] {
        let dir = TempDir::new().unwrap();
        let spool = open(dir.path());
        append_many(&spool, Lane::Events, 2000).await;
        let producer = spool.producer();
        spool.close().await;
        drop(spool);
        let path = dir.path().join("spool.db");
        // Left in the log, everything would be recovered from it.
        let checkpoint = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
        let connection = Connection::open(&path).unwrap();
        connection
            .query_row("pragma wal_checkpoint(truncate)", [], checkpoint)
            .unwrap();
        drop(connection);
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(keep).unwrap();
        if keep == 0 {
            std::fs::write(dir.path().join("spool.db-wal"), "what was logged").unwrap();
        }
        let spool = open(dir.path());
        let aside = spool.set_aside().unwrap();
        assert!(aside.to_str().unwrap().contains("spool.db.damaged-"), "{aside:?}");
        assert_eq!(std::fs::metadata(aside).unwrap().len(), keep, "nothing of it is lost");
        assert_ne!(spool.producer(), producer, "the gap stays visible");
        assert_eq!(append(&spool, Lane::Events, "new").await.seq, 1);
        spool.close().await;
        assert_eq!(open(dir.path()).set_aside(), None);
    }
}

#[tokio::test]
async fn a_store_that_was_deleted_under_it_takes_nothing() {
    let dir = TempDir::new().unwrap();
    let spool = open(dir.path());
    assert!(spool.is_in_place());
    std::fs::remove_dir_all(dir.path()).unwrap();
    assert!(!spool.is_in_place());
    let refused = spool.append(Lane::Events, Priority::High, |_| Vec::new()).await;
    assert!(
        matches!(refused, Err(AppendError::Store(StoreError::Displaced))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_reserve_that_leaves_nothing_is_refused() {
    let dir = TempDir::new().unwrap();
    let sizes = Options {
        max_bytes: 10,
        reserve_bytes: 10,
        ..Options::default()
    };
    assert!(matches!(
        Spool::open(dir.path(), sizes).map(|_| ()),
        Err(OpenError::Reserve { .. })
    ));
}

#[tokio::test]
async fn a_full_spool_keeps_the_reserve_for_what_matters_and_takes_everything_again_once_drained() {
    let dir = TempDir::new().unwrap();
    let spool = small(dir.path());
    let refused = fill(&spool, Priority::Low).await;
    assert!(
        matches!(
            refused,
            AppendError::Full {
                limit_bytes: 102_400,
                ..
            }
        ),
        "{refused}"
    );
    let before_reserve = spool.last_seq(Lane::Events);
    assert!(before_reserve > 20);
    let refused = fill(&spool, Priority::High).await;
    assert!(
        matches!(
            refused,
            AppendError::Full {
                limit_bytes: 204_800,
                ..
            }
        ),
        "{refused}"
    );
    let last = spool.last_seq(Lane::Events);
    assert!(last > before_reserve + 20);
    assert_eq!(spool.stats().await.unwrap().refused, 2);
    assert_eq!(
        seqs(&spool, Lane::Events).await,
        (1..=last).collect::<Vec<_>>(),
        "nothing old was dropped"
    );

    spool.mark_acked(Lane::Events, last);
    spool.trim(Lane::Events, last).await.unwrap();
    assert_eq!(append(&spool, Lane::Events, "again").await.seq, last + 1);
}

#[tokio::test]
async fn what_the_hub_refuses_for_good_is_set_aside_and_a_tombstone_takes_its_place() {
    let dir = TempDir::new().unwrap();
    let spool = open(dir.path());
    let refused = append(&spool, Lane::Events, "too large").await;
    append(&spool, Lane::Events, "fine").await;
    assert!(
        spool
            .park(Lane::Events, 1, "payload too large".to_owned(), b"tombstone".to_vec())
            .await
            .unwrap()
    );
    assert!(
        !spool
            .park(Lane::Events, 9, "not there".to_owned(), Vec::new())
            .await
            .unwrap()
    );
    assert_eq!(
        spool.read_from(Lane::Events, 1, 1, 100).await.unwrap()[0].bytes,
        b"tombstone"
    );
    assert_eq!(seqs(&spool, Lane::Events).await, [1, 2]);

    let parked = spool.parked(0, 10).await.unwrap();
    assert_eq!(parked.len(), 1);
    assert_eq!(parked[0].record, Some((Lane::Events, refused)));
    assert_eq!(parked[0].reason, "payload too large");
    assert_eq!(parked[0].bytes, encoded(refused, "too large"));
    assert_eq!(spool.stats().await.unwrap().parked, 1);
    assert_eq!(spool.discard_parked(parked[0].id).await.unwrap(), 1);
    assert_eq!(spool.parked(0, 10).await.unwrap(), []);
}

#[tokio::test]
async fn unreadable_inputs_are_kept_within_bounds_and_records_set_aside_do_not_count_to_them() {
    let dir = TempDir::new().unwrap();
    let bounds = Options {
        raw_max_count: 3,
        raw_max_bytes: 100,
        ..keeping()
    };
    let spool = Spool::open(dir.path(), bounds).unwrap();
    append(&spool, Lane::Events, "refused").await;
    spool
        .park(Lane::Events, 1, "refused".to_owned(), Vec::new())
        .await
        .unwrap();
    for input in [vec![1; 10], vec![2; 10], vec![3; 10], vec![4; 10]] {
        spool.park_raw("not UTF-8".to_owned(), input).await.unwrap();
    }
    let kept = async || {
        let parked = spool.parked(0, 10).await.unwrap();
        parked
            .into_iter()
            .filter(|parked| parked.record.is_none())
            .map(|parked| parked.bytes[0])
            .collect::<Vec<_>>()
    };
    assert_eq!(kept().await, [2, 3, 4]);
    spool.park_raw("large".to_owned(), vec![5; 85]).await.unwrap();
    assert_eq!(kept().await, [4, 5]);
    let stats = spool.stats().await.unwrap();
    assert_eq!((stats.parked, stats.raw, stats.raw_dropped), (1, 2, 3));
}

#[tokio::test]
async fn a_closed_spool_says_so() {
    let dir = TempDir::new().unwrap();
    let spool = open(dir.path());
    spool.close().await;
    spool.close().await;
    let refused = spool.append(Lane::Events, Priority::High, |_| Vec::new()).await;
    assert!(matches!(refused, Err(AppendError::Store(StoreError::Closed))));
    assert!(matches!(spool.trim(Lane::Events, 1).await, Err(StoreError::Closed)));
}

#[tokio::test]
async fn statistics_tell_how_far_the_hub_is_behind() {
    let dir = TempDir::new().unwrap();
    let spool = open(dir.path());
    append_many(&spool, Lane::Events, 5).await;
    spool.mark_acked(Lane::Events, 2);
    spool.mark_acked(Lane::Events, 1);
    let stats = spool.stats().await.unwrap();
    assert_eq!(
        (stats.events.records, stats.events.owed, stats.transcript.owed),
        (5, 3, 0)
    );
    assert!(stats.events.oldest_owed.unwrap() < HOUR);
    assert_eq!(stats.transcript.oldest_owed, None);
    assert!((4096..1 << 20).contains(&stats.used_bytes));
    spool.mark_acked(Lane::Events, 99);
    assert_eq!(
        (
            spool.acked(Lane::Events),
            spool.stats().await.unwrap().events.oldest_owed
        ),
        (5, None)
    );
}
