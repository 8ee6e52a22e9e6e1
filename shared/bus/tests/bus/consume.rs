use crate::hub::{SOON, Spool, hub};
use muster_bus::Bus;
use muster_bus::consume::{Consumption, Delivery};
use muster_bus::migrate;
use muster_bus::publish::Producer;
use muster_bus::read::ReadError;
use muster_testkit::eventually;
use muster_wire::topology::{EVENTS, NOTIFIER, host_consumer};
use std::time::Duration;
use tokio::time::timeout;

async fn publish(bus: &Bus, spool: &mut Spool, count: usize) {
    let outcome = Producer::new(bus, EVENTS).publish(&spool.take(count)).await;
    assert_eq!((outcome.stored, outcome.stopped), (count, None));
}

async fn next(work: &mut Consumption) -> Delivery {
    timeout(SOON, work.next()).await.unwrap().unwrap()
}

#[tokio::test]
async fn work_comes_again_until_it_is_acknowledged() {
    let (_server, bus) = hub().await;
    publish(&bus, &mut Spool::new("web-01"), 3).await;
    let mut work = bus.consume(EVENTS, NOTIFIER.name, 8);
    let (first, second, third) = (next(&mut work).await, next(&mut work).await, next(&mut work).await);
    assert_eq!((first.stored.seq, first.attempt), (1, 1));
    first.progress().await.unwrap();
    first.ack().await.unwrap();
    third.park().await.unwrap();
    drop(second);
    let again = next(&mut work).await;
    assert_eq!((again.stored.seq, again.attempt), (2, 2));
    again.retry_after(Duration::from_millis(200)).await.unwrap();
    let again = next(&mut work).await;
    assert_eq!((again.stored.seq, again.attempt), (2, 3));
    again.ack().await.unwrap();
    assert!(timeout(Duration::from_millis(500), work.next()).await.is_err());
}

#[tokio::test]
async fn work_goes_on_after_a_restart_of_the_hub() {
    let (mut server, bus) = hub().await;
    let mut spool = Spool::new("web-01");
    publish(&bus, &mut spool, 2).await;
    let mut work = bus.consume(EVENTS, NOTIFIER.name, 8);
    next(&mut work).await.ack().await.unwrap();
    next(&mut work).await.ack().await.unwrap();
    server.restart().await;
    eventually(SOON, async || bus.stream_state(EVENTS).await).await;
    publish(&bus, &mut spool, 1).await;
    let delivery = next(&mut work).await;
    assert_eq!(delivery.stored.seq, 3);
    delivery.ack().await.unwrap();
}

#[tokio::test]
async fn a_consumer_that_is_missing_is_said_to_be() {
    let (_server, bus) = hub().await;
    let error = bus.consume(EVENTS, "nobody", 8).next().await.err().unwrap();
    assert!(matches!(error, ReadError::Missing(_)), "{error}");
}

#[tokio::test]
async fn what_is_held_at_shutdown_goes_back_at_once() {
    let (server, bus) = hub().await;
    publish(&bus, &mut Spool::new("web-01"), 5).await;
    let leaving = crate::hub::connect(&server).await;
    let mut work = leaving.consume(EVENTS, NOTIFIER.name, 8);
    let held = next(&mut work).await;
    drop(work);
    drop(held);
    leaving.drain().await;
    let mut work = bus.consume(EVENTS, NOTIFIER.name, 8);
    let mut given = Vec::new();
    for _ in 0..5 {
        let delivery = next(&mut work).await;
        given.push(delivery.stored.seq);
        delivery.ack().await.unwrap();
    }
    given.sort_unstable();
    assert_eq!(given, [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_host_is_handed_what_concerns_it_from_its_consumers_making_on() {
    let (_server, bus) = hub().await;
    let resolved = "runtime.approval_resolved.approved";
    let say = async |host: &str, event_type: &str| {
        let event = Spool::new(host).event(event_type, 10);
        assert_eq!(Producer::new(&bus, EVENTS).publish(&[event]).await.stored, 1);
    };
    say("web-01", resolved).await;
    let wanted = host_consumer(&Spool::new("web-01").host);
    for _ in 0..2 {
        migrate::host_consumer(&bus, &wanted).await.unwrap();
    }
    say("web-02", resolved).await;
    say("web-01", "agent.hook.stop").await;
    say("web-01", "runtime.effect.requested").await;
    let mut work = bus.consume(wanted.stream, &wanted.name, 8);
    let delivery = next(&mut work).await;
    assert_eq!(delivery.stored.seq, 4);
    delivery.ack().await.unwrap();
}
