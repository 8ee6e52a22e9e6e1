use crate::hub::{SOON, envelope, hub, stranger};
use muster_bus::fence::{Lease, LeaseError, WriteError, campaign};
use muster_bus::kv::{Op, Watched};
use muster_bus::migrate::decision_secret;
use muster_bus::publish::Producer;
use muster_bus::{Bus, Outgoing};
use muster_wire::limits::LEASE_TTL;
use muster_wire::topology::{EVENTS, LEASE};
use std::time::Duration;
use tokio::time::{Instant, timeout};

fn elected() -> Outgoing {
    Outgoing::of(&envelope("runtime.leader.elected")).unwrap()
}

fn decisions(count: usize) -> Vec<Outgoing> {
    (0..count)
        .map(|_| Outgoing::of(&envelope("runtime.alert.raised")).unwrap())
        .collect()
}

async fn last_seq(bus: &Bus) -> u64 {
    bus.stream_state(EVENTS).await.unwrap().last_seq
}

/// Waits for the lease to end by itself, and gives how long that took.
async fn expiry(lease: &Lease) -> Duration {
    let begun = Instant::now();
    let mut watch = lease.watch();
    let ended = async {
        loop {
            if let Watched::Entry(entry) = watch.next().await.unwrap()
                && entry.op == Op::Expired
            {
                return;
            }
        }
    };
    timeout(SOON, ended).await.unwrap();
    begun.elapsed()
}

#[tokio::test]
async fn a_lease_is_held_by_one_and_expires_however_it_was_taken() {
    let (_server, bus) = hub().await;
    let (ours, theirs) = (Lease::new(&bus, "leader", "a"), Lease::new(&bus, "leader", "b"));
    let mut held = ours.take().await.unwrap();
    assert_eq!(
        theirs.take().await.unwrap_err(),
        LeaseError::Taken { by: "a".to_owned() }
    );
    let within = LEASE_TTL + Duration::from_secs(2);

    // Renewed, then left alone.
    held.renew().await.unwrap();
    assert!(expiry(&ours).await < within);
    // Taken over an expiry.
    let late = held;
    let held = theirs.take().await.unwrap();
    let mut late = late;
    assert_eq!(late.renew().await.unwrap_err(), LeaseError::Lost);
    // Released, and taken over that.
    held.release().await.unwrap();
    let held = ours.take().await.unwrap();
    assert!(held.revision() > 0);
    assert!(expiry(&ours).await < within);
}

#[tokio::test]
async fn only_the_last_leader_elected_can_write() {
    let (_server, bus) = hub().await;
    let mut old = campaign(&bus, &elected()).await.unwrap();
    assert_eq!(old.fence(), 1);
    assert_eq!(old.write(&decisions(1)).await.unwrap(), [2]);
    assert_eq!(old.write(&decisions(3)).await.unwrap(), [3, 4, 5]);
    let many = old.write(&decisions(200)).await.unwrap();
    assert_eq!(many, (6..=205).collect::<Vec<_>>());

    let mut new = campaign(&bus, &elected()).await.unwrap();
    assert_eq!(new.fence(), 206);
    assert_eq!(old.write(&decisions(1)).await, Err(WriteError::Fenced));
    assert_eq!(old.write(&decisions(20)).await, Err(WriteError::Fenced));
    assert_eq!(old.renew(&elected()).await, Err(WriteError::Fenced));
    assert_eq!(last_seq(&bus).await, 206);

    assert_eq!(new.write(&decisions(2)).await.unwrap(), [207, 208]);
    assert_eq!(new.renew(&elected()).await.unwrap(), 209);
    assert_eq!(new.write(&decisions(20)).await.unwrap().len(), 20);
}

#[tokio::test]
async fn a_leader_that_was_paused_at_any_moment_is_fenced() {
    let (_server, bus) = hub().await;
    let mut old = campaign(&bus, &elected()).await.unwrap();
    // The new election and the old leader's writes race: what the old one wrote must lie before the election.
    let writing = async {
        let mut written = Vec::new();
        loop {
            match old.write(&decisions(15)).await {
                Ok(seqs) => written.extend(seqs),
                Err(error) => return (written, error),
            }
        }
    };
    let electing = async {
        tokio::task::yield_now().await;
        campaign(&bus, &elected()).await.unwrap().fence()
    };
    let ((written, error), fence) = tokio::join!(writing, electing);
    assert_eq!(error, WriteError::Fenced);
    assert!(written.iter().all(|seq| *seq < fence));
    assert_eq!(last_seq(&bus).await, fence);
}

#[tokio::test]
async fn a_decision_that_is_stored_already_counts_only_if_it_is_ours() {
    let (server, bus) = hub().await;
    let mut writer = campaign(&bus, &elected()).await.unwrap();
    let messages = decisions(3);
    assert_eq!(writer.write(&messages[1..2]).await.unwrap(), [2]);
    assert_eq!(writer.write(&messages[1..2]).await.unwrap(), [2]);
    assert_eq!(writer.write(&messages).await.unwrap(), [3, 2, 4]);

    // Somebody else used the id before, on a subject of their own.
    let taken = decisions(1);
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Nats-Msg-Id", taken[0].id.to_string());
    stranger(&server)
        .await
        .publish_with_headers("agent.hook.stop.web-01.s1", headers, "{}".into())
        .await
        .unwrap()
        .await
        .unwrap();
    assert_eq!(
        writer.write(&taken).await,
        Err(WriteError::Occupied { index: 0, seq: 5 })
    );
}

#[tokio::test]
async fn a_writer_says_that_it_does_not_know() {
    let (mut server, bus) = hub().await;
    let mut writer = campaign(&bus, &elected()).await.unwrap();
    server.pause();
    // It stops a moment after it was told to.
    let error = loop {
        if let Err(error) = writer.write(&decisions(2)).await {
            break error;
        }
    };
    assert!(matches!(error, WriteError::Unknown(_)), "{error}");
    server.resume();
    server.stop().await;
}

#[tokio::test]
async fn an_observation_does_not_disturb_a_leader() {
    let (_server, bus) = hub().await;
    let mut writer = campaign(&bus, &elected()).await.unwrap();
    let mut spool = crate::hub::Spool::new("web-01");
    let mut producer = Producer::new(&bus, EVENTS);
    for _ in 0..20 {
        let messages = spool.take(30);
        let decided = decisions(15);
        let (outcome, written) = tokio::join!(producer.publish(&messages), writer.write(&decided));
        assert_eq!((outcome.stored, written.unwrap().len()), (30, 15));
    }
}

#[tokio::test]
async fn the_secret_of_decisions_stays_the_same() {
    let (_server, bus) = hub().await;
    let secret = decision_secret(&bus).await.unwrap();
    crate::hub::prepare(&bus).await;
    assert_eq!(decision_secret(&bus).await.unwrap(), secret);
    assert!(bus.bucket(&LEASE).get("decision-secret").await.unwrap().is_some());
}
