//! Webhooks: signed, told again until they have it, and what became of each stands in the log.

use crate::harness::{Event, Hub, Notifier, SOON, ready};
use crate::receiver::{Receiver, Reply};
use muster_bus::read::Start;
use muster_domain::family::Family;
use muster_testkit::{Spawned, eventually, free_port};
use muster_wire::topology::EVENTS;
use muster_wire::{Envelope, Filter};
use serde_json::Value;
use std::process::Command;
use std::time::{Duration, Instant};

const QUICK: &[(&str, &str)] = &[("delivery.retry", r#"["50ms", "100ms"]"#), ("delivery.timeout", "2s")];

/// One notice, as the log has it.
#[derive(Debug, Clone, PartialEq)]
struct Notice {
    kind: String,
    cause: String,
    data: Value,
}

impl Hub {
    /// Every notice there is.
    async fn notices(&self) -> Vec<Notice> {
        let filter = Filter::all().family(Family::NoticeDelivery);
        let mut reader = self.bus.read(EVENTS, &[filter], Start::First);
        reader.open().await.unwrap();
        let mut notices = Vec::new();
        while reader.pending() != Some(0) {
            let envelope = Envelope::decode(&reader.next().await.unwrap().payload).unwrap();
            if envelope.source != "/notifier" {
                continue;
            }
            notices.push(Notice {
                kind: envelope.event_type.kind().to_owned(),
                cause: envelope.causation.unwrap().to_string(),
                data: serde_json::from_str(envelope.data.get()).unwrap(),
            });
        }
        notices
    }

    async fn kinds(&self, cause: &str, count: usize) -> Vec<String> {
        let kinds = eventually(SOON, async || {
            let all = self.notices().await;
            let of: Vec<_> = all
                .iter()
                .filter(|n| n.cause == cause)
                .map(|n| n.kind.clone())
                .collect();
            if of.len() >= count { Ok(of) } else { Err(all) }
        });
        kinds.await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_is_delivered_once_signed_and_recorded() {
    let receiver = Receiver::start(&[]).await;
    let hub = Hub::start().await;
    let _notifier = Notifier::configured(&hub, QUICK, Some(&receiver.config(&[("pager", None)]))).await;
    let decision = Event::of("runtime.alert.raised").data(&serde_json::json!({ "key": "disk" }));
    let (observation, notice) = (Event::of("agent.hook.stop"), Event::of("notice.delivery.sent"));
    let seq = hub.publish(&[decision.outgoing()]).await;
    hub.publish(&[observation.outgoing(), notice.outgoing()]).await;

    assert_eq!(hub.kinds(&decision.id(), 1).await, ["delivered"]);
    let calls = receiver.calls();
    assert_eq!(calls.len(), 1, "{calls:?}");
    assert_eq!(calls[0].id, decision.id());
    assert_eq!(calls[0].path, "/pager");
    assert_eq!(calls[0].body["data"]["key"], "disk");
    assert_eq!(calls[0].body["type"], "runtime.alert.raised");
    assert_eq!(calls[0].headers["content-type"], "application/cloudevents+json");
    assert!(
        calls[0].headers["traceparent"]
            .to_str()
            .unwrap()
            .contains("0af7651916cd43dd8448eb211c80319c")
    );
    let said = hub
        .notices()
        .await
        .into_iter()
        .find(|notice| notice.cause == decision.id())
        .unwrap();
    assert_eq!(said.data["channel"], "webhook");
    assert_eq!(said.data["target"], "pager");
    assert_eq!(said.data["webhook_id"], decision.id());
    assert_eq!(
        (said.data["cause_seq"].as_u64(), said.data["attempt"].as_u64()),
        (Some(seq), Some(1))
    );
    assert_eq!(said.data["status"], 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_tried_again_and_then_parked() {
    let receiver = Receiver::start(&[Reply::Status(500), Reply::Redirect]).await;
    let hub = Hub::start().await;
    let _notifier = Notifier::configured(&hub, QUICK, Some(&receiver.config(&[("pager", None)]))).await;
    let third_time = Event::of("runtime.alert.raised");
    hub.publish(&[third_time.outgoing()]).await;
    assert_eq!(hub.kinds(&third_time.id(), 3).await, ["failed", "failed", "delivered"]);
    assert_eq!(receiver.ids(), [third_time.id(), third_time.id(), third_time.id()]);
    assert!(
        receiver.calls().iter().all(|call| call.path == "/pager"),
        "a redirect is not followed"
    );
    let notices = hub.notices().await;
    assert_eq!(notices[0].data["status"], 500);
    assert!(notices[0].data["next_at"].is_string());
    assert_eq!(notices[2].data["attempt"], 3);

    let never = Receiver::start(&[Reply::Status(500), Reply::Silence, Reply::Status(400)]).await;
    let hub = Hub::start().await;
    let _notifier = Notifier::configured(&hub, QUICK, Some(&never.config(&[("pager", None)]))).await;
    let lost = Event::of("runtime.alert.raised");
    hub.publish(&[lost.outgoing()]).await;
    assert_eq!(hub.kinds(&lost.id(), 3).await, ["failed", "failed", "parked"]);
    let notices = hub.notices().await;
    assert!(
        notices[1].data["error"]
            .as_str()
            .unwrap()
            .contains("no answer within 2s"),
        "{notices:?}"
    );
    assert!(
        notices[2].data["error"].as_str().unwrap().contains("after 3 attempts"),
        "{notices:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_asks_for_time_gets_it() {
    let receiver = Receiver::start(&[Reply::Later(503, 1)]).await;
    let hub = Hub::start().await;
    let _notifier = Notifier::configured(&hub, QUICK, Some(&receiver.config(&[("pager", None)]))).await;
    let began = Instant::now();
    let (one, two) = (Event::of("runtime.alert.raised"), Event::of("runtime.alert.cleared"));
    hub.publish(&[one.outgoing(), two.outgoing()]).await;
    assert_eq!(hub.kinds(&one.id(), 2).await, ["failed", "delivered"]);
    hub.kinds(&two.id(), 1).await;
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert_eq!(
        receiver.calls().len(),
        3,
        "nor is it called about anything else meanwhile"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_gone_is_left_alone_until_a_restart() {
    let receiver = Receiver::start(&[Reply::Status(410)]).await;
    let hub = Hub::start().await;
    let config = receiver.config(&[("pager", None)]);
    let notifier = Notifier::configured(&hub, QUICK, Some(&config)).await;
    let (last, after) = (Event::of("runtime.alert.raised"), Event::of("runtime.alert.cleared"));
    hub.publish(&[last.outgoing()]).await;
    assert_eq!(hub.kinds(&last.id(), 1).await, ["parked"]);
    hub.publish(&[after.outgoing()]).await;
    assert_eq!(hub.kinds(&after.id(), 1).await, ["suppressed"]);
    assert_eq!(receiver.ids(), [last.id()]);

    notifier.drained().await;
    let _notifier = Notifier::configured(&hub, QUICK, Some(&config)).await;
    let again = Event::of("runtime.alert.raised");
    hub.publish(&[again.outgoing()]).await;
    assert_eq!(hub.kinds(&again.id(), 1).await, ["delivered"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_receiver_that_never_answers_holds_no_other_up() {
    const EVENTS: usize = 300;
    let receiver = Receiver::start(&[]).await;
    let stuck = Receiver::start(&[Reply::Silence; 64]).await;
    let hub = Hub::start().await;
    let nowhere = format!("http://127.0.0.1:{}/", free_port());
    let silent = format!("http://{}/", stuck.address());
    let webhooks = [
        ("good", None),
        ("silent", Some(silent.as_str())),
        ("nowhere", Some(nowhere.as_str())),
    ];
    let settings = [("delivery.timeout", "30s"), ("delivery.retry", r#"["1h"]"#)];
    let notifier = Notifier::configured(&hub, &settings, Some(&receiver.config(&webhooks))).await;
    let events: Vec<_> = (0..EVENTS)
        .map(|_| Event::of("runtime.alert.raised").outgoing())
        .collect();
    // More than the consumer may have unacknowledged.
    hub.publish(&events).await;
    eventually(SOON, async || {
        let count = receiver.calls().len();
        if count >= EVENTS { Ok(()) } else { Err(count) }
    })
    .await;
    assert_eq!(stuck.calls().len(), 1, "one call at a time");
    let began = Instant::now();
    notifier.drained().await;
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notifier_killed_while_it_calls_calls_again_and_says_so() {
    let receiver = Receiver::start(&[Reply::Silence]).await;
    let hub = Hub::start().await;
    let config = receiver.config(&[("pager", None)]);
    let start = async || {
        let listen = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new(env!("CARGO_BIN_EXE_muster-notifier"));
        command
            .arg("run")
            .arg("--config")
            .arg(&config)
            .current_dir(receiver.folder());
        command.env("MUSTER_NOTIFIER__NATS__URL", hub.server.client_url());
        command.env("MUSTER_NOTIFIER__HTTP__LISTEN", &listen);
        command.env("MUSTER_NOTIFIER__DELIVERY__TIMEOUT", "1s");
        let child = Spawned::start(command);
        ready(&format!("http://{listen}")).await;
        child
    };
    let mut first = start().await;
    let (one, two) = (Event::of("runtime.alert.raised"), Event::of("runtime.alert.cleared"));
    hub.publish(&[one.outgoing(), two.outgoing()]).await;
    eventually(SOON, async || (receiver.calls().len() == 1).then_some(())).await;
    first.kill9().await;
    assert!(hub.notices().await.is_empty());

    let mut second = start().await;
    assert_eq!(hub.kinds(&one.id(), 1).await, ["delivered"]);
    assert_eq!(hub.kinds(&two.id(), 1).await, ["delivered"]);
    let ids = receiver.ids();
    assert_eq!(ids.iter().filter(|id| **id == one.id()).count(), 2, "{ids:?}");
    assert_eq!(ids.iter().filter(|id| **id == two.id()).count(), 1, "{ids:?}");
    let notices = hub.notices().await;
    let attempt = notices.iter().find(|notice| notice.cause == one.id()).unwrap();
    assert_eq!(attempt.data["attempt"], 2, "the call that was cut off counts");
    second.terminate(SOON).await;
}
