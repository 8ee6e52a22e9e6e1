//! The stream: every event once, from anywhere, at any pace.

use crate::harness::{Event, Hub, Notifier, SOON, small};
use muster_testkit::eventually;
use muster_wire::topology::Sizing;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_comes_back_misses_and_repeats_nothing_while_events_flow() {
    const EVENTS: usize = 2000;
    let hub = Hub::start().await;
    let notifier = Notifier::start(&hub, &[]).await;
    let mut sse = notifier.stream("").await;
    let hello = sse.expect("hello").await;
    assert_eq!(hello.data["incarnation"], hub.created_unix().await.to_string());
    assert_eq!(hello.data["from_seq"], 1);

    let publish = async {
        for first in (0..EVENTS).step_by(20) {
            hub.stops(first, 20).await;
        }
    };
    let read = async {
        let mut all = Vec::new();
        while all.len() < EVENTS {
            let (numbers, id) = sse.numbers(100.min(EVENTS - all.len())).await;
            all.extend(numbers);
            let again = notifier.get("/api/v1/stream?from_seq=1").header("last-event-id", id);
            sse = crate::sse::Sse::open(again).await;
            sse.expect("hello").await;
        }
        all
    };
    let ((), all) = tokio::join!(publish, read);
    assert_eq!(all, (0..EVENTS as u64).collect::<Vec<_>>());
    assert!(sse.is_quiet().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_lags_gets_everything_and_holds_nobody_up() {
    const EVENTS: usize = 3000;
    let hub = Hub::start().await;
    let notifier = Notifier::start(&hub, &[("stream.ring_events", "16")]).await;
    let mut slow = notifier.stream("").await;
    slow.expect("hello").await;
    let mut quick = notifier.stream("").await;
    quick.expect("hello").await;

    let padding = "x".repeat(8 * 1024);
    let publish = async {
        for first in (0..EVENTS).step_by(100) {
            let events: Vec<_> = (first..first + 100)
                .map(|n| {
                    Event::of("agent.hook.stop")
                        .data(&serde_json::json!([n, padding]))
                        .outgoing()
                })
                .collect();
            hub.publish(&events).await;
        }
    };
    let read = async |sse: &mut crate::sse::Sse| {
        for n in 0..EVENTS {
            let frame = sse.expect("agent.hook.stop").await;
            assert_eq!(frame.data["data"][0], n);
        }
    };
    // The quick one is through before the slow one, which nobody reads from, has begun.
    tokio::join!(publish, read(&mut quick));
    read(&mut slow).await;
    assert!(slow.is_quiet().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_has_aged_out_is_told_what_is_missing() {
    let sizing = Sizing {
        events_bytes_max: 256 * 1024,
        ..small()
    };
    let hub = Hub::sized(sizing).await;
    hub.stops(0, 3000).await;
    // The hub applies its limits fully with the next single message.
    let last = hub.stops(3000, 1).await;
    let first = hub.bus.stream_state("EVENTS").await.unwrap().first_seq;
    assert!(first > 100, "{first}");
    let created = hub.created_unix().await;
    let notifier = Notifier::start(&hub, &[]).await;

    for (query, missing_from) in [
        ("?from_seq=1".to_owned(), 1),
        ("?from_seq=7".to_owned(), 7),
        (format!("?last_event_id={created}-41"), 42),
    ] {
        let mut sse = notifier.stream(&query).await;
        assert_eq!(sse.expect("hello").await.data["from_seq"], missing_from);
        let gap = sse.expect("gap").await;
        assert_eq!(gap.data["first_missing"], missing_from, "{query}");
        assert_eq!(gap.data["last_missing"], first - 1, "{query}");
        assert_eq!(gap.id, Some(format!("{created}-{}", first - 1)));
        let (numbers, id) = sse.numbers(usize::try_from(last + 1 - first).unwrap()).await;
        assert_eq!(numbers[0], first - 1);
        assert_eq!(id, format!("{created}-{last}"));
    }
    let mut all_there_is = notifier.stream("?from_seq=0").await;
    all_there_is.expect("hello").await;
    assert_eq!(all_there_is.numbers(1).await.0, [first - 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_created_anew_resets_its_clients() {
    let mut hub = Hub::start().await;
    let notifier = Notifier::start(&hub, &[]).await;
    let mut open = notifier.stream("").await;
    open.expect("hello").await;
    hub.stops(0, 50).await;
    let (_, id) = open.numbers(50).await;
    let before = hub.created_unix().await;
    assert_eq!(id, format!("{before}-50"));
    // Two logs of the same second would have the same name.
    eventually(SOON, async || (unix_now() > before).then_some(())).await;
    hub.recreate().await;
    hub.stops(100, 3).await;
    let after = hub.created_unix().await.to_string();

    let mut back = Vec::new();
    let opened = eventually(SOON, async || {
        let mut sse = notifier.stream(&format!("?last_event_id={id}")).await;
        // Until the tail has found the new log, the old id is taken for good.
        (sse.expect("hello").await.data["incarnation"] == after.as_str()).then_some(sse)
    })
    .await;
    back.push(opened);
    back.push(open);
    for mut sse in back {
        let reset = sse.expect("reset").await;
        assert_eq!(reset.data["incarnation"], after.as_str());
        assert_eq!(reset.data["snapshot"], false, "nobody is there to ask");
        assert_eq!(sse.numbers(3).await.0, [100, 101, 102]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_the_log_never_had_resets_its_client() {
    let hub = Hub::start().await;
    hub.stops(0, 5).await;
    let notifier = Notifier::start(&hub, &[]).await;
    let created = hub.created_unix().await;
    for id in [format!("{created}-6"), format!("{}-3", created - 1)] {
        let mut sse = notifier.stream(&format!("?last_event_id={id}")).await;
        sse.expect("hello").await;
        sse.expect("reset").await;
        assert_eq!(sse.numbers(5).await.0, [0, 1, 2, 3, 4], "{id}");
    }
    let mut sse = notifier.stream(&format!("?last_event_id={created}-5")).await;
    assert_eq!(sse.expect("hello").await.data["from_seq"], 6);
    assert!(sse.is_quiet().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_give_the_same_events_from_the_past_and_live() {
    let hub = Hub::start().await;
    let notifier = Notifier::start(&hub, &[]).await;
    let events = [
        Event::of("agent.hook.stop"),
        Event::of("agent.hook.pre_tool_use").session("s2"),
        Event::of("agent.turn.turn_end").host("web-02"),
        Event::of("agent.hook.stop").agent("codex", "work"),
        Event::of("runtime.alert.raised").host("web-02").session("a b.c"),
    ];
    let cases: &[(&str, &[usize])] = &[
        ("", &[0, 1, 2, 3, 4]),
        ("family=agent.hook", &[0, 1, 3]),
        ("family=agent.*", &[0, 1, 2, 3]),
        ("family=agent.turn,runtime.alert", &[2, 4]),
        ("family=agent.turn&family=runtime.alert", &[2, 4]),
        ("kind=stop", &[0, 3]),
        ("kind=stop&agent=codex", &[3]),
        ("host=web-02", &[2, 4]),
        ("session=s2", &[1]),
        ("session=a%20b.c", &[4]),
        ("agent=codex", &[3]),
        ("profile=default&family=agent.hook", &[0, 1]),
        ("host=web-03", &[]),
    ];
    let mut live = Vec::new();
    for (query, _) in cases {
        let mut sse = notifier.stream(&format!("?{query}")).await;
        sse.expect("hello").await;
        live.push(sse);
    }
    let sent: Vec<_> = events.iter().map(Event::outgoing).collect();
    hub.publish(&sent).await;
    for ((query, expected), mut live) in cases.iter().zip(live) {
        let mut past = notifier.stream(&format!("?from_seq=1&{query}")).await;
        past.expect("hello").await;
        for sse in [&mut live, &mut past] {
            for n in *expected {
                let frame = sse.next().await.unwrap();
                assert_eq!(frame.data["id"], events[*n].id(), "{query}");
                assert_eq!(frame.event, frame.data["type"].as_str().unwrap());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filtered_client_comes_back_where_it_was_and_not_where_it_last_saw_something() {
    let hub = Hub::start().await;
    let notifier = Notifier::start(&hub, &[("stream.keep_alive", "100ms")]).await;
    let mut sse = notifier.stream("?kind=session_end").await;
    sse.expect("hello").await;
    let last = hub.stops(0, 40).await;
    let place = format!("{}-{last}", hub.created_unix().await);
    loop {
        let frame = sse.expect("").await;
        if frame.id.as_ref() == Some(&place) {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn since_is_a_moment_or_a_span() {
    let hub = Hub::start().await;
    let notifier = Notifier::start(&hub, &[]).await;
    hub.stops(0, 3).await;
    let mut recent = notifier.stream("?since=1h").await;
    recent.expect("hello").await;
    assert_eq!(recent.numbers(3).await.0, [0, 1, 2]);
    let mut later = notifier.stream("?since=2999-01-01T00:00:00Z").await;
    assert_eq!(
        later.expect("hello").await.data["from_seq"],
        4,
        "what is to come begins now"
    );
    hub.stops(3, 1).await;
    assert_eq!(later.numbers(1).await.0, [3]);
    assert_eq!(recent.numbers(1).await.0, [3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_wrongly_is_refused_with_what_would_be_right() {
    let hub = Hub::start().await;
    let notifier = Notifier::start(&hub, &[("stream.clients_max", "1")]).await;
    for (query, part) in [
        ("family=agent.hok", "agent.hook"),
        ("family=agent.output", "--transcript"),
        ("kind=Stop", "snake_case"),
        ("hots=web-01", "host"),
        ("since=yesterday", "15m"),
        ("from_seq=x", "from_seq"),
        ("last_event_id=5", "Unix"),
    ] {
        let (status, problem) = notifier.json(&format!("/api/v1/stream?{query}")).await;
        assert_eq!(
            (status.as_u16(), problem["type"].as_str()),
            (400, Some("urn:muster:problem:bad-query")),
            "{query}"
        );
        assert!(problem["detail"].as_str().unwrap().contains(part), "{problem}");
    }
    let mut only = notifier.stream("").await;
    only.expect("hello").await;
    let full = notifier.get("/api/v1/stream").send().await.unwrap();
    assert_eq!(full.status(), 503);
    assert!(full.headers().contains_key("retry-after"));
    drop(only);
    eventually(SOON, async || {
        let status = notifier.get("/api/v1/stream").send().await.unwrap().status();
        (status == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_takes_nothing_is_closed() {
    let hub = Hub::start().await;
    let settings = [("stream.write_timeout", "500ms"), ("http.max_connections", "1")];
    let notifier = Notifier::start(&hub, &settings).await;
    let address = notifier.base.trim_start_matches("http://").to_owned();
    let mut stalled = TcpStream::connect(&address).await.unwrap();
    stalled
        .write_all(format!("GET /api/v1/stream?from_seq=0 HTTP/1.1\r\nhost: {address}\r\n\r\n").as_bytes())
        .await
        .unwrap();
    stalled.readable().await.unwrap();
    let padding = "x".repeat(32 * 1024);
    for _ in 0..10 {
        let events: Vec<_> = (0..100)
            .map(|_| Event::of("agent.hook.stop").data(&padding).outgoing())
            .collect();
        hub.publish(&events).await;
    }
    // The only connection there may be is free again.
    eventually(SOON, async || match notifier.get("/healthz").send().await {
        Ok(response) if response.status() == 200 => Ok(Some(())),
        Ok(response) => Err(response.status().to_string()),
        Err(error) => Err(error.to_string()),
    })
    .await;
    drop(stalled);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_ends_every_stream_at_once() {
    let hub = Hub::start().await;
    let notifier = Notifier::start(&hub, &[]).await;
    let mut quiet = notifier.stream("").await;
    quiet.expect("hello").await;
    let mut waiting = notifier.stream("?from_seq=1&host=web-09").await;
    waiting.expect("hello").await;
    let began = Instant::now();
    notifier.request_drain();
    assert_eq!(quiet.next().await, None);
    assert_eq!(waiting.next().await, None);
    notifier.drained().await;
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

fn unix_now() -> i64 {
    let now = muster_wire::time::from_system(std::time::SystemTime::now());
    now.as_millis().div_euclid(1000)
}
