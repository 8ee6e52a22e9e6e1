//! What a host may do, and how it learns of what it may not.

use crate::hub::{SOON, Spool, connect, prepare};
use muster_bus::publish::{Producer, Stopped};
use muster_bus::{Bus, Options, Refusal};
use muster_testkit::{TestServer, eventually};
use muster_wire::topology::EVENTS;
use std::time::Instant;

const USERS: &str = r#"
authorization {
  users = [
    { user: hub, password: hub }
    { user: web-01, password: web-01, permissions: {
        publish: { allow: [ "agent.*.*.web-01.>", "process.*.*.web-01.>", "host.*.*.web-01.>",
          "$JS.API.DIRECT.GET.EVENTS.agent.*.*.web-01.*", "$JS.API.DIRECT.GET.EVENTS.process.*.*.web-01.*",
          "$JS.API.DIRECT.GET.EVENTS.host.*.*.web-01.*" ] }
        subscribe: { allow: [ "_INBOX_web-01.>" ] } } }
  ]
}
no_auth_user: hub
"#;

async fn guarded() -> (TestServer, Bus, Bus) {
    let server = TestServer::start_with(|config| config.extra = USERS.to_owned()).await;
    let hub = connect(&server).await;
    prepare(&hub).await;
    let url = server.client_url().replace("nats://", "nats://web-01:web-01@");
    let host = Bus::connect(&Options {
        inbox_prefix: Some("_INBOX_web-01".to_owned()),
        ..Options::new(url, "ingest/web-01")
    })
    .await
    .unwrap();
    (server, hub, host)
}

#[tokio::test]
async fn a_host_publishes_under_its_own_name_and_finds_where_it_was() {
    let (_server, _hub, host) = guarded().await;
    let mut spool = Spool::new("web-01");
    let mut producer = Producer::new(&host, EVENTS);
    for count in [3, 100] {
        let outcome = producer.publish(&spool.take(count)).await;
        assert_eq!((outcome.stored, outcome.stopped), (count, None));
    }
    let last = host.last_stored(EVENTS, &spool.host, spool.producer).await.unwrap();
    assert_eq!((last.seq, last.foreign), (Some(103), false));
}

#[tokio::test]
async fn a_forbidden_publish_is_refused_at_once_and_not_after_a_timeout() {
    let (_server, hub, host) = guarded().await;
    let mut producer = Producer::new(&host, EVENTS);
    for count in [1, 100] {
        let begun = Instant::now();
        let outcome = producer.publish(&Spool::new("web-02").take(count)).await;
        assert_eq!(outcome.stored, 0);
        assert!(
            matches!(
                &outcome.stopped,
                Some(Stopped::Refused { index: 0, reason: Refusal::Forbidden(text) }) if text.contains("web-02")
            ),
            "{outcome:?}"
        );
        assert!(begun.elapsed().as_secs() < 4, "{:?}", begun.elapsed());
    }
    assert!(host.is_connected());
    assert_eq!(hub.stream_state(EVENTS).await.unwrap().last_seq, 0);

    // Another host's place cannot be asked for either, and the connection says why.
    let other = Spool::new("web-02");
    let asked = host.last_stored(EVENTS, &other.host, other.producer).await;
    assert!(asked.is_err());
    eventually(SOON, async || {
        let error = host.state().borrow().last_error.clone();
        error
            .as_ref()
            .filter(|text| text.contains("DIRECT.GET"))
            .map(|_| ())
            .ok_or(error)
    })
    .await;
}

#[tokio::test]
async fn a_hub_that_is_not_there_is_waited_for_only_where_that_was_asked() {
    let port = muster_testkit::free_port();
    let options = Options::new(format!("nats://127.0.0.1:{port}"), "ingest/1");
    assert!(Bus::connect(&options).await.is_err());
    let bus = Bus::connect_lazy(&options).await.unwrap();
    assert!(!bus.is_connected());
    let outcome = Producer::new(&bus, EVENTS).publish(&Spool::new("web-01").take(1)).await;
    assert!(matches!(outcome.stopped, Some(Stopped::Away(_))));

    let _server = TestServer::start_with(|config| config.listen.set_port(port)).await;
    let mut state = bus.state();
    tokio::time::timeout(SOON, state.wait_for(|state| state.connected))
        .await
        .unwrap()
        .unwrap();
    prepare(&bus).await;
}
