//! What services, hosts and guests may do, and how they learn of what they may not.

use crate::hub::{SOON, Spool, connect, prepare};
use muster_bus::publish::{Producer, Stopped};
use muster_bus::server::Users;
use muster_bus::service::serve;
use muster_bus::{Bus, Options, Refusal};
use muster_testkit::{Bare, Heard, TestServer, eventually};
use muster_wire::subject::{Caller, Operation, Request};
use muster_wire::topology::{EDGE, EVENTS};
use std::time::Instant;
use tempfile::TempDir;

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

/// A hub as `muster up` starts it, and the services' connection.
async fn own() -> (TestServer, Bus, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("services.nk");
    let users = Users::read_or_make(&key).unwrap();
    let server = TestServer::start_with(|config| config.extra = users.render()).await;
    let options = Options {
        credentials: Some(key),
        ..Options::new(server.client_url(), "test/services")
    };
    let services = Bus::connect(&options).await.unwrap();
    prepare(&services).await;
    (server, services, dir)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_may_listen_to_events_and_ask_and_nothing_else() {
    let (server, services, _dir) = own().await;
    let mut guest = Bare::connect(&server.client_url());
    for subject in [
        "runtime.approval_resolved.approved.web-01.s1",
        "runtime.policy.activated.-.-",
        "runtime.hold.released.-.-",
        "runtime.circuit.closed.-.-",
        "runtime.leader.elected.-.-",
        "agent.hook.pre_tool_use.web-01.s1",
        "agent.output.stream.web-01.s1",
        "notice.delivery.sent.-.-",
        "stored.runtime.hold.released.-.-",
        "$KV.edge.policy",
        "$KV.lease.orchestrator",
        "$O.payloads.C.x",
        "$JS.API.INFO",
        "$JS.API.STREAM.INFO.EVENTS",
        "$JS.API.STREAM.PURGE.EVENTS",
        "$JS.API.STREAM.DELETE.EVENTS",
        "$JS.API.STREAM.UPDATE.EVENTS",
        "$JS.API.STREAM.CREATE.MINE",
        "$JS.API.STREAM.MSG.DELETE.EVENTS",
        "$JS.API.STREAM.MSG.GET.EVENTS",
        "$JS.API.STREAM.PURGE.KV_edge",
        "$JS.API.STREAM.SNAPSHOT.EVENTS",
        "$JS.API.DIRECT.GET.EVENTS",
        "$JS.API.DIRECT.GET.KV_edge.$KV.edge.policy",
        "$JS.API.CONSUMER.CREATE.EVENTS.mine",
        "$JS.API.CONSUMER.DURABLE.CREATE.EVENTS.mine",
        "$JS.API.CONSUMER.MSG.NEXT.EVENTS.notifier",
        "$JS.API.CONSUMER.DELETE.EVENTS.notifier",
        "$JS.ACK.EVENTS.notifier.1.1.1.1.0",
        "$SRV.PING",
        "$SYS.REQ.SERVER.PING",
        "_INBOX.of.another",
        "_R_.of.another",
    ] {
        let complaint = guest.publish(subject, "{}").unwrap_err();
        assert!(complaint.contains("Permissions Violation"), "{subject}: {complaint}");
        // Nor by way of a question: as where its answer or its trace goes, unless whoever answers looks (see below).
        let request = Request::endpoint(Operation::Hello).replace('*', "guest");
        let traced = guest.publish_with(&request, ("Nats-Trace-Dest", subject), "{}");
        assert!(traced.unwrap_err().contains("Permissions Violation"), "{subject}");
    }
    for subject in [
        "orchestrator.>",
        "orchestrator.v1.approvals.resolve.*",
        "$KV.>",
        "$JS.API.>",
        "$O.>",
    ] {
        assert!(guest.subscribe(subject).is_err(), "{subject}");
    }
    assert_eq!(services.stream_state(EVENTS).await.unwrap().last_seq, 0);

    // What the README names.
    for filter in [
        "runtime.approval_required.>",
        "*.*.*.web-01.>",
        "*.*.*.*.s1",
        "stored.>",
        ">",
    ] {
        let mut guest = Bare::connect(&server.client_url());
        guest.subscribe(filter).unwrap();
        let event = match filter {
            "runtime.approval_required.>" => "runtime.approval_required.permission_request",
            _ => "agent.hook.stop",
        };
        let message = Spool::new("web-01").event(event, 10);
        // Neither is an event, so nobody hears of it.
        let request = Request {
            operation: Operation::Hello,
            caller: Caller::new("services").unwrap(),
        };
        assert!(services.request(&request, "{}".into(), SOON).await.is_err());
        services.bucket(&EDGE).put("holds", "{}".into()).await.unwrap();
        Producer::new(&services, EVENTS).publish(&[message]).await;
        loop {
            let Heard { subject, .. } = guest.hear();
            if subject.contains(event) {
                break;
            }
            // Answers to others come by too.
            assert!(filter == ">" && subject.starts_with("_INBOX."), "{filter}: {subject}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_reads_the_log_is_told_at_once_that_it_may_not() {
    let (server, _services, _dir) = own().await;
    let guest = Bus::connect(&Options::new(server.client_url(), "test/guest"))
        .await
        .unwrap();
    let begun = Instant::now();
    let error = guest.stream_state(EVENTS).await.unwrap_err().to_string();
    assert!(error.contains("forbids") && error.contains("EVENTS"), "{error}");
    assert!(begun.elapsed().as_secs() < 4, "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_goes_to_an_inbox_and_nowhere_else() {
    let (server, services, _dir) = own().await;
    let mut spool = Spool::new("web-01");
    Producer::new(&services, EVENTS).publish(&spool.take(3)).await;
    let mut serving = serve(&services, "0.1.0", &[Operation::Hello], 4).await.unwrap();
    let mut guest = Bare::connect(&server.client_url());
    guest.subscribe("_INBOX.guest").unwrap();
    let request = Request::endpoint(Operation::Hello).replace('*', "guest");
    for elsewhere in [
        "$JS.API.STREAM.PURGE.EVENTS",
        "$KV.edge.policy",
        "runtime.approval_resolved.approved.web-01.s1",
    ] {
        guest.ask(&request, elsewhere, "{}").unwrap();
    }
    // The hub sees to these itself.
    for reserved in ["$JS.ACK.EVENTS.notifier.1.1.1.1.0", "_R_.of.another"] {
        assert!(guest.ask(&request, reserved, "{}").is_err(), "{reserved}");
    }
    guest.ask(&request, "_INBOX.guest", "the last").unwrap();
    let incoming = serving.next().await.unwrap();
    assert_eq!(&**incoming.body(), b"the last", "those before are not even looked at");
    incoming.respond(Ok("{}".into())).await.unwrap();
    assert_eq!(guest.hear().text, "{}");
    let state = services.stream_state(EVENTS).await.unwrap();
    assert_eq!((state.first_seq, state.last_seq), (1, 3));
    assert!(services.bucket(&EDGE).get("policy").await.unwrap().is_none());
}
