//! Observers: what they are given and what they are told they missed, whoever is slow, away, killed or in their place.

use crate::harness::{Event, Hub, Notifier, SOON, small};
use crate::sse::{Frame, Sse};
use muster_bus::Outgoing;
use muster_testkit::eventually;
use muster_wire::topology::Sizing;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;

const LIST: &str = "/api/v1/observers";

impl Notifier {
    async fn registered(&self, wish: Value) -> Value {
        let response = self.post(LIST, &wish).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::CREATED);
        let location = response.headers()["location"].to_str().unwrap().to_owned();
        let observer: Value = response.json().await.unwrap();
        assert_eq!(location, path(&observer, ""));
        observer
    }

    async fn refused(&self, wish: Value) -> (u16, Value) {
        let response = self.post(LIST, &wish).send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "application/problem+json", "{wish}");
        (response.status().as_u16(), response.json().await.unwrap())
    }

    async fn attached(&self, observer: &Value, query: &str) -> Sse {
        let mut sse = Sse::open(self.get(&path(observer, &format!("/attach{query}")))).await;
        sse.expect("hello").await;
        sse
    }

    /// Once its numbers are these: delivered, missed, pending.
    async fn counts(&self, observer: &Value, expected: (u64, u64, u64)) -> Value {
        eventually(SOON, async || {
            let (status, shown) = self.json(&path(observer, "")).await;
            assert_eq!(status, 200, "{shown}");
            let number = |key: &str| shown["status"][key].as_u64().unwrap();
            let numbers = (number("delivered"), number("missed"), number("pending"));
            if numbers == expected {
                Ok(shown)
            } else {
                Err(shown.to_string())
            }
        })
        .await
    }

    async fn disconnected(&self, observer: &Value) {
        eventually(SOON, async || {
            let (_, shown) = self.json(&path(observer, "")).await;
            (shown["status"]["disconnected"] == true).then_some(())
        })
        .await;
    }
}

fn path(observer: &Value, rest: &str) -> String {
    format!("{LIST}/{}{rest}", observer["id"].as_str().unwrap())
}

/// `count` writes of files, numbered in their data from `first` on, each with an event between that is not about files.
fn writes(first: usize, count: usize) -> Vec<Outgoing> {
    let pair = |n: usize| [Event::of("process.file.write").data(&n), Event::of("agent.hook.stop")];
    (first..first + count)
        .flat_map(pair)
        .map(|event| event.outgoing())
        .collect()
}

async fn numbers(sse: &mut Sse, count: usize) -> Vec<u64> {
    let mut numbers = Vec::with_capacity(count);
    while numbers.len() < count {
        let frame = sse.next().await.expect("the stream has ended");
        if !frame.event.is_empty() {
            assert_eq!(frame.event, "process.file.write", "{frame:?}");
            numbers.push(frame.data["data"].as_u64().unwrap());
        }
    }
    numbers
}

/// The next frame that says something.
async fn said(sse: &mut Sse) -> Option<Frame> {
    loop {
        let frame = sse.next().await?;
        if !frame.event.is_empty() {
            return Some(frame);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_observer_is_given_what_it_asked_for_from_its_registration_on() {
    let hub = Hub::start().await;
    let notifier = Notifier::start(&hub, &[]).await;
    hub.publish(&writes(0, 5)).await;
    let wish = json!({"categories": ["file"], "host": "web-01", "name": "files", "owner": "ana"});
    let observer = notifier.registered(wish).await;
    assert_eq!(observer["protocol_version"], 1);
    assert_eq!(observer["families"], json!(["process.file"]));
    assert_eq!(
        (&observer["capacity"], &observer["backpressure"]),
        (&json!(1024), &json!("drop_oldest"))
    );
    assert_eq!(observer["from_seq"], 11);
    assert_eq!(observer["status"]["disconnected"], true);

    hub.publish(&writes(5, 3)).await;
    notifier.counts(&observer, (0, 0, 3)).await;
    let mut sse = notifier.attached(&observer, "").await;
    assert_eq!(numbers(&mut sse, 3).await, [5, 6, 7]);
    let elsewhere = Event::of("process.file.write").host("web-02").outgoing();
    hub.publish(&[elsewhere]).await;
    hub.publish(&writes(8, 2)).await;
    assert_eq!(numbers(&mut sse, 2).await, [8, 9]);
    let shown = notifier.counts(&observer, (5, 0, 0)).await;
    assert_eq!(shown["status"]["disconnected"], false);
    assert!(shown["status"]["attached_since"].is_string(), "{shown}");
    eventually(SOON, async || {
        let (_, shown) = notifier.json(&path(&observer, "")).await;
        (shown["status"]["at_seq"] == 21).then_some(())
    })
    .await;

    let second = notifier.registered(json!({})).await;
    assert_eq!(second["families"], json!(["process.lifecycle"]));
    let (_, first_page) = notifier.json(&format!("{LIST}?limit=1")).await;
    let cursor = first_page["next_cursor"].as_str().unwrap();
    let (_, last_page) = notifier.json(&format!("{LIST}?limit=1&cursor={cursor}")).await;
    assert_eq!(last_page["next_cursor"], Value::Null);
    let mut listed = [&first_page, &last_page].map(|page| page["observers"][0]["id"].as_str().unwrap().to_owned());
    listed.sort_unstable();
    let mut expected = [&observer, &second].map(|observer| observer["id"].as_str().unwrap().to_owned());
    expected.sort_unstable();
    assert_eq!(listed, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_what_comes_while_nobody_is_attached_the_newest_are_kept_and_the_gap_is_exact() {
    let hub = Hub::start().await;
    let notifier = Notifier::start(&hub, &[]).await;
    let observer = notifier
        .registered(json!({"categories": ["file"], "capacity": 10}))
        .await;
    let mut sse = notifier.attached(&observer, "").await;
    hub.publish(&writes(0, 2)).await;
    assert_eq!(numbers(&mut sse, 2).await, [0, 1]);
    drop(sse);
    notifier.disconnected(&observer).await;
    hub.publish(&writes(2, 30)).await;
    notifier.counts(&observer, (2, 20, 10)).await;

    let mut sse = notifier.attached(&observer, "").await;
    let gap = said(&mut sse).await.unwrap();
    assert_eq!(gap.event, "gap");
    // Writes have the odd places: that of write n is 2n + 1.
    assert_eq!(gap.data, json!({"first_missing": 5, "last_missing": 43, "missed": 20}));
    assert_eq!(numbers(&mut sse, 10).await, (22..32).collect::<Vec<_>>());
    notifier.counts(&observer, (12, 20, 0)).await;
    hub.publish(&writes(32, 1)).await;
    assert_eq!(numbers(&mut sse, 1).await, [32], "a gap is told once");
}

/// Large events, so that what a socket takes by itself is a small part of them.
fn large(first: usize, count: usize) -> Vec<Outgoing> {
    let padding = "x".repeat(16 * 1024);
    (first..first + count)
        .map(|n| Event::of("process.file.write").data(&json!([n, padding])).outgoing())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_is_told_what_it_missed_and_one_that_blocks_misses_nothing_and_holds_nobody_up() {
    const EVENTS: usize = 2000;
    const CAPACITY: usize = 50;
    let hub = Hub::start().await;
    let notifier = Notifier::start(&hub, &[("stream.ring_events", "16")]).await;
    let drops = notifier
        .registered(json!({"categories": ["file"], "capacity": CAPACITY}))
        .await;
    let blocks = notifier
        .registered(json!({"categories": ["file"], "capacity": CAPACITY, "backpressure": "block"}))
        .await;
    let quick = notifier
        .registered(json!({"categories": ["file"], "capacity": 65_536}))
        .await;
    let mut slow = notifier.attached(&drops, "").await;
    let mut blocking = notifier.attached(&blocks, "").await;
    let mut reading = notifier.attached(&quick, "").await;

    let publish = async {
        for first in (0..EVENTS).step_by(50) {
            hub.publish(&large(first, 50)).await;
        }
    };
    let read = async {
        for n in 0..EVENTS {
            assert_eq!(said(&mut reading).await.unwrap().data["data"][0], n);
        }
    };
    // The quick one is through before the others, from which nobody reads, have begun.
    tokio::join!(publish, read);
    notifier.counts(&quick, (EVENTS as u64, 0, 0)).await;
    let (_, stuck) = notifier.json(&path(&blocks, "")).await;
    assert_eq!(stuck["status"]["missed"], 0);
    assert!(
        stuck["status"]["pending"].as_u64().unwrap() > CAPACITY as u64,
        "{stuck}"
    );

    for n in 0..EVENTS {
        assert_eq!(said(&mut blocking).await.unwrap().data["data"][0], n);
    }
    notifier.counts(&blocks, (EVENTS as u64, 0, 0)).await;

    let (mut next, mut missed) = (0, 0);
    while next < EVENTS as u64 {
        let frame = said(&mut slow).await.unwrap();
        if frame.event == "gap" {
            assert_eq!(frame.data["first_missing"], next + 1);
            let last = frame.data["last_missing"].as_u64().unwrap();
            assert_eq!(frame.data["missed"], last - next);
            missed += last - next;
            next = last;
        } else {
            assert_eq!(frame.data["data"][0], next);
            next += 1;
        }
    }
    assert!(missed > 0, "what a socket takes is a small part of it");
    notifier.counts(&drops, (EVENTS as u64 - missed, missed, 0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_observer_outlives_its_notifier_and_goes_on_where_it_was() {
    let hub = Hub::start().await;
    let notifier = Notifier::start(&hub, &[]).await;
    let observer = notifier
        .registered(json!({"categories": ["file"], "capacity": 4}))
        .await;
    let blocks = notifier
        .registered(json!({"categories": ["file"], "backpressure": "block", "capacity": 1}))
        .await;
    let mut sse = notifier.attached(&observer, "").await;
    hub.publish(&writes(0, 3)).await;
    assert_eq!(numbers(&mut sse, 3).await, [0, 1, 2]);
    notifier.drained().await;
    assert!(said(&mut sse).await.is_none());
    hub.publish(&writes(3, 10)).await;

    let notifier = Notifier::start(&hub, &[]).await;
    notifier.counts(&observer, (3, 6, 4)).await;
    notifier.counts(&blocks, (0, 0, 13)).await;
    let mut sse = notifier.attached(&observer, "").await;
    assert_eq!(said(&mut sse).await.unwrap().data["missed"], 6);
    assert_eq!(numbers(&mut sse, 4).await, [9, 10, 11, 12]);
    let mut sse = notifier.attached(&blocks, "").await;
    assert_eq!(numbers(&mut sse, 13).await, (0..13).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notifier_killed_before_it_wrote_anything_down_gives_again_what_nobody_said_to_have() {
    let hub = Hub::start().await;
    let settings = [("observers.save_every", "1h"), ("observers.attachment_lapses", "1s")];
    let (notifier, mut process) = Notifier::spawned(&hub, &settings).await;
    let wish = json!({"categories": ["file"], "capacity": 6});
    let (silent, told) = (notifier.registered(wish.clone()).await, notifier.registered(wish).await);
    let mut streams = [notifier.attached(&silent, "").await, notifier.attached(&told, "").await];
    let last = hub.publish(&writes(0, 5)).await;
    for sse in &mut streams {
        assert_eq!(numbers(sse, 5).await, [0, 1, 2, 3, 4]);
    }
    process.kill9().await;
    hub.publish(&writes(5, 3)).await;

    let (notifier, mut process) = Notifier::spawned(&hub, &settings[1..]).await;
    for observer in [&silent, &told] {
        notifier.counts(observer, (0, 2, 6)).await;
        notifier.disconnected(observer).await;
    }
    let mut sse = notifier.attached(&silent, "").await;
    assert_eq!(
        said(&mut sse).await.unwrap().data["missed"],
        2,
        "as far as anybody knows"
    );
    assert_eq!(numbers(&mut sse, 6).await, [2, 3, 4, 5, 6, 7]);
    notifier.counts(&silent, (6, 2, 0)).await;

    let place = format!("?last_event_id={}-{last}", hub.created_unix().await);
    let mut sse = notifier.attached(&told, &place).await;
    assert_eq!(numbers(&mut sse, 3).await, [5, 6, 7]);
    notifier.counts(&told, (8, 0, 0)).await;
    process.terminate(SOON).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_says_where_it_is_goes_on_there() {
    let hub = Hub::start().await;
    let notifier = Notifier::start(&hub, &[]).await;
    let observer = notifier
        .registered(json!({"categories": ["file"], "capacity": 5}))
        .await;
    let created = hub.created_unix().await;
    let mut sse = notifier.attached(&observer, "").await;
    hub.publish(&writes(0, 4)).await;
    assert_eq!(numbers(&mut sse, 4).await, [0, 1, 2, 3]);
    drop(sse);
    notifier.disconnected(&observer).await;
    hub.publish(&writes(4, 8)).await;
    notifier.counts(&observer, (4, 3, 5)).await;

    // It was sent the fourth and did not get it: that one again, then what is missing, then the rest.
    let mut sse = notifier
        .attached(&observer, &format!("?last_event_id={created}-5"))
        .await;
    assert_eq!(numbers(&mut sse, 1).await, [3]);
    assert_eq!(said(&mut sse).await.unwrap().data["missed"], 3);
    assert_eq!(numbers(&mut sse, 5).await, [7, 8, 9, 10, 11]);
    notifier.counts(&observer, (9, 3, 0)).await;
    drop(sse);
    notifier.disconnected(&observer).await;

    // It has more than its notifier knows of, as after a crash: that is not sent again, and counts as delivered.
    let last = hub.publish(&writes(12, 4)).await;
    notifier.counts(&observer, (9, 3, 4)).await;
    let mut sse = notifier
        .attached(&observer, &format!("?last_event_id={created}-{}", last - 2))
        .await;
    assert_eq!(numbers(&mut sse, 1).await, [15]);
    notifier.counts(&observer, (13, 3, 0)).await;
    drop(sse);
    notifier.disconnected(&observer).await;

    let mut sse = notifier
        .attached(&observer, &format!("?last_event_id={}-1", created - 1))
        .await;
    let reset = said(&mut sse).await.unwrap();
    assert_eq!(
        (reset.event.as_str(), &reset.data["reason"]),
        ("reset", &json!("the id is of another log"))
    );
    hub.publish(&writes(16, 1)).await;
    assert_eq!(numbers(&mut sse, 1).await, [16]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_at_a_time_is_attached_and_another_may_take_over_also_at_another_notifier() {
    let hub = Hub::start().await;
    let notifier = Notifier::start(&hub, &[]).await;
    let other = Notifier::start(&hub, &[]).await;
    let observer = notifier.registered(json!({"categories": ["file"]})).await;
    let mut first = notifier.attached(&observer, "").await;
    hub.publish(&writes(0, 2)).await;
    assert_eq!(numbers(&mut first, 2).await, [0, 1]);
    for notifier in [&notifier, &other] {
        notifier.counts(&observer, (2, 0, 0)).await;
        let (status, problem) = notifier.json(&path(&observer, "/attach")).await;
        assert_eq!(
            (status.as_u16(), &problem["type"]),
            (409, &json!("urn:muster:problem:attached"))
        );
        let since = notifier.json(&path(&observer, "")).await.1["status"]["attached_since"].clone();
        assert!(
            problem["detail"].as_str().unwrap().contains(since.as_str().unwrap()),
            "{problem}"
        );
    }

    let mut second = other.attached(&observer, "?steal=true").await;
    assert_eq!(said(&mut first).await.unwrap().event, "stolen");
    assert!(said(&mut first).await.is_none());
    hub.publish(&writes(2, 1)).await;
    assert_eq!(numbers(&mut second, 1).await, [2]);
    let mut third = other.attached(&observer, "?steal=true").await;
    assert_eq!(said(&mut second).await.unwrap().event, "stolen");
    hub.publish(&writes(3, 1)).await;
    assert_eq!(numbers(&mut third, 1).await, [3]);
    for notifier in [&notifier, &other] {
        notifier.counts(&observer, (4, 0, 0)).await;
    }

    let gone = notifier
        .http
        .delete(format!("{}{}", notifier.base, path(&observer, "")));
    assert_eq!(gone.send().await.unwrap().status(), 200);
    let last = said(&mut third).await.unwrap();
    assert_eq!(
        (last.event.as_str(), &last.data["reason"]),
        ("gone", &json!("unregistered"))
    );
    assert!(said(&mut third).await.is_none());
    for notifier in [&notifier, &other] {
        eventually(SOON, async || {
            let (status, _) = notifier.json(&path(&observer, "")).await;
            (status == 404).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_observer_expires_unless_somebody_comes_by() {
    let hub = Hub::start().await;
    let notifier = Notifier::start(&hub, &[]).await;
    let short = json!({"categories": ["file"], "expires_in_seconds": 5});
    let renewed = notifier.registered(short.clone()).await;
    let attached = notifier.registered(short.clone()).await;
    let mut sse = notifier.attached(&attached, "").await;
    // Twice, so that those that stay have stayed for longer than one that goes.
    for _ in 0..2 {
        let left = notifier.registered(short.clone()).await;
        eventually(SOON, async || {
            let renewal = notifier
                .post(&path(&renewed, "/renew"), &json!({}))
                .send()
                .await
                .unwrap();
            assert_eq!(renewal.status(), 200);
            let (status, _) = notifier.json(&path(&left, "")).await;
            (status == 404).then_some(())
        })
        .await;
    }
    hub.publish(&writes(0, 1)).await;
    assert_eq!(numbers(&mut sse, 1).await, [0]);
    notifier.counts(&renewed, (0, 0, 1)).await;
    let (_, page) = notifier.json(LIST).await;
    assert_eq!(page["observers"].as_array().unwrap().len(), 2, "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_log_no_longer_keeps_is_counted_as_missed_and_told() {
    let sizing = Sizing {
        events_bytes_max: 256 * 1024,
        ..small()
    };
    let hub = Hub::sized(sizing).await;
    let notifier = Notifier::start(&hub, &[]).await;
    let observer = notifier
        .registered(json!({"categories": ["file"], "backpressure": "block"}))
        .await;
    for n in 0..100 {
        hub.publish(&writes(n * 10, 10)).await;
        // Seen while it is there, as long as anybody counts.
        eventually(SOON, async || {
            let (_, shown) = notifier.json(&path(&observer, "")).await;
            let at_seq = shown["status"]["at_seq"].as_u64().unwrap();
            (at_seq >= 20 * (n as u64 + 1)).then_some(())
        })
        .await;
    }
    // The hub applies its limits fully with the next single message.
    hub.publish(&writes(1000, 1)[..1]).await;
    let first = hub.bus.stream_state("EVENTS").await.unwrap().first_seq;
    assert!(first > 100, "{first}");
    let gone = first / 2;
    let mut sse = notifier.attached(&observer, "").await;
    let mut missed = 0;
    let mut delivered = Vec::new();
    while missed + (delivered.len() as u64) < 1001 {
        let frame = said(&mut sse).await.unwrap();
        if frame.event == "gap" {
            assert!(frame.data["last_missing"].as_u64().unwrap() < first, "{frame:?}");
            missed += frame.data["missed"].as_u64().unwrap();
        } else {
            delivered.push(frame.data["data"].as_u64().unwrap());
        }
    }
    assert_eq!(missed, gone);
    assert_eq!(delivered, (gone..1001).collect::<Vec<_>>());
    notifier.counts(&observer, (1001 - gone, gone, 0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_registration_twice_is_one_observer() {
    let hub = Hub::start().await;
    let notifier = Notifier::start(&hub, &[]).await;
    let wish = json!({"categories": ["network"], "request_id": "a request/1"});
    let observer = notifier.registered(wish.clone()).await;
    let again = notifier.post(LIST, &wish).send().await.unwrap();
    assert_eq!(again.status(), 200);
    assert_eq!(again.json::<Value>().await.unwrap()["id"], observer["id"]);
    let (status, problem) = notifier
        .refused(json!({"categories": ["file"], "request_id": "a request/1"}))
        .await;
    assert_eq!((status, &problem["type"]), (409, &json!("urn:muster:problem:conflict")));
    let (_, page) = notifier.json(LIST).await;
    assert_eq!(page["observers"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_that_cannot_be_kept_is_refused_with_what_could_be() {
    let hub = Hub::start().await;
    let settings = [("observers.max", "2"), ("observers.waiting_max", "2000")];
    let notifier = Notifier::start(&hub, &settings).await;
    for (wish, part) in [
        (
            json!({"categories": ["files"]}),
            "`lifecycle`, `file`, `network`, `process`",
        ),
        (json!({"categories": ["file"], "family": "process.file"}), "not both"),
        (json!({"capacity": 0}), "1 to 65536"),
        (json!({"family": "process.fil"}), "process.file"),
        (json!({"backpressure": "drop_newest"}), "drop_oldest"),
        (json!({"expires_in_seconds": 1_209_601}), "1209600"),
        (json!({"colour": "red"}), "colour"),
    ] {
        let (status, problem) = notifier.refused(wish.clone()).await;
        assert_eq!(
            (status, &problem["type"]),
            (400, &json!("urn:muster:problem:bad-request")),
            "{wish}"
        );
        assert!(problem["detail"].as_str().unwrap().contains(part), "{problem}");
    }
    let (status, _) = notifier.refused(json!({"name": "x".repeat(20_000)})).await;
    assert_eq!(status, 413);
    let plain = notifier.http.post(format!("{}{LIST}", notifier.base)).body("{}");
    assert_eq!(plain.send().await.unwrap().status(), 415);
    for missing in ["none", "00000000-0000-4000-8000-000000000000"] {
        let (status, problem) = notifier.json(&format!("{LIST}/{missing}")).await;
        assert_eq!(
            (status.as_u16(), &problem["type"]),
            (404, &json!("urn:muster:problem:not-found"))
        );
    }

    let first = notifier.registered(json!({"capacity": 1500})).await;
    let (status, problem) = notifier.refused(json!({"capacity": 501})).await;
    assert_eq!(
        (status, problem["detail"].as_str().unwrap().contains("500 of 2000")),
        (429, true),
        "{problem}"
    );
    notifier.registered(json!({"backpressure": "block"})).await;
    let (status, problem) = notifier.refused(json!({"capacity": 1})).await;
    assert_eq!(
        (status, problem["detail"].as_str().unwrap().contains("2 observers")),
        (429, true),
        "{problem}"
    );
    let query = path(&first, "/attach?stael=true");
    assert_eq!(notifier.json(&query).await.0, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn registrations_at_the_same_time_do_not_all_get_the_last_place() {
    let hub = Hub::start().await;
    let notifier = Notifier::start(&hub, &[("observers.max", "3")]).await;
    let register = || async {
        let wish = notifier.http.post(format!("{}{LIST}", notifier.base)).json(&json!({}));
        wish.send().await.unwrap().status().as_u16()
    };
    let mut answers = futures_util::future::join_all((0..12).map(|_| register())).await;
    answers.sort_unstable();
    let (kept, refused) = answers.split_at(3);
    assert_eq!(kept, [201; 3]);
    assert_eq!(refused, [429; 9]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_created_anew_is_told_and_what_waited_is_missed() {
    let mut hub = Hub::start().await;
    let notifier = Notifier::start(&hub, &[]).await;
    let observer = notifier.registered(json!({"categories": ["file"]})).await;
    hub.publish(&writes(0, 3)).await;
    notifier.counts(&observer, (0, 0, 3)).await;
    hub.recreate_log().await;
    hub.publish(&writes(10, 2)).await;
    notifier.counts(&observer, (0, 3, 2)).await;
    let mut sse = notifier.attached(&observer, "").await;
    let reset = said(&mut sse).await.unwrap();
    assert_eq!(
        (reset.event.as_str(), &reset.data["snapshot"]),
        ("reset", &json!(false))
    );
    assert_eq!(numbers(&mut sse, 2).await, [10, 11]);
    drop(sse);
    notifier.disconnected(&observer).await;
    let mut sse = notifier.attached(&observer, "").await;
    assert!(
        tokio::time::timeout(Duration::from_millis(300), said(&mut sse))
            .await
            .is_err(),
        "a reset is told once"
    );
}
