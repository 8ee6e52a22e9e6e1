//! The same promises where three servers keep everything.

use crate::hub::{SOON, Spool, envelope, sizing};
use muster_bus::fence::{Lease, WriteError, campaign};
use muster_bus::migrate::{Shrink, migrate, verify};
use muster_bus::publish::Producer;
use muster_bus::read::Start;
use muster_bus::{Bus, Options, Outgoing};
use muster_testkit::{Cluster, eventually};
use muster_wire::topology::{EVENTS, Sizing};

fn decisions(count: usize) -> Vec<Outgoing> {
    (0..count)
        .map(|_| Outgoing::of(&envelope("runtime.alert.raised")).unwrap())
        .collect()
}

#[tokio::test]
async fn a_leader_is_fenced_and_a_reader_goes_on_when_a_server_dies() {
    let mut cluster = Cluster::start(3).await;
    let bus = Bus::connect(&Options::new(cluster.client_urls(), "test/1"))
        .await
        .unwrap();
    let three = Sizing {
        replicas: 3,
        ..sizing()
    };
    migrate(&bus, &three, Shrink::Refuse).await.unwrap();
    eventually(SOON, async || verify(&bus).await).await;

    let elected = || Outgoing::of(&envelope("runtime.leader.elected")).unwrap();
    Lease::new(&bus, "leader", "a").take().await.unwrap();
    let mut old = campaign(&bus, &elected()).await.unwrap();
    let racing = async {
        loop {
            if let Err(error) = old.write(&decisions(15)).await {
                return error;
            }
        }
    };
    let electing = async {
        tokio::task::yield_now().await;
        campaign(&bus, &elected()).await.unwrap()
    };
    let (error, mut new) = tokio::join!(racing, electing);
    assert_eq!(error, WriteError::Fenced);
    assert_eq!(old.write(&decisions(1)).await, Err(WriteError::Fenced));
    assert_eq!(bus.stream_state(EVENTS).await.unwrap().last_seq, new.fence());
    assert_eq!(new.write(&decisions(100)).await.unwrap().len(), 100);

    let mut spool = Spool::new("web-01");
    let mut producer = Producer::new(&bus, EVENTS);
    assert_eq!(producer.publish(&spool.take(500)).await.stored, 500);
    let mut reader = bus.read(EVENTS, &[], Start::First);
    let mut expected = 1;
    let last = bus.stream_state(EVENTS).await.unwrap().last_seq;
    while expected <= last {
        assert_eq!(reader.next().await.unwrap().seq, expected);
        expected += 1;
    }

    let dying = cluster.leader().await;
    cluster.node_mut(dying).kill9().await;
    // Published as ingest does: whatever is unknown is asked for, whatever is away is tried again.
    let messages = spool.take(300);
    let publishing = async {
        let mut done = 0;
        while done < messages.len() {
            let mut state = bus.state();
            state.wait_for(|state| state.connected).await.unwrap();
            done += producer.publish(&messages[done..]).await.stored;
        }
    };
    tokio::time::timeout(SOON * 2, publishing).await.unwrap();
    let last = eventually(SOON, async || bus.stream_state(EVENTS).await).await.last_seq;
    while expected <= last {
        let stored = tokio::time::timeout(SOON, reader.next()).await.unwrap();
        assert_eq!(stored.unwrap().seq, expected);
        expected += 1;
    }
}
