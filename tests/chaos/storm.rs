//! A fleet that comes back at once: sixty hosts drain their backlogs while a stranger occupies every batch the hub allows
//! to be open on a stream.

use crate::fleet::connect;
use async_nats::HeaderMap;
use muster_bus::migrate;
use muster_testkit::eventually;
use muster_testkit::nats::TestServer;
use muster_tests::{Service, WITHIN, sizing};
use muster_wire::topology;
use serde_json::{Value, json};
use std::time::Duration;

/// Hosts that drain at once.
const HOSTS: usize = 60;
/// Events each owes: more than a plain publish at a time is used for.
const BACKLOG: usize = 120;
/// The server's own limit of open batches a stream.
const OPEN_BATCHES: usize = 50;
/// An open batch that hears nothing for ten seconds is abandoned by the server.
const KEEP_OPEN: Duration = Duration::from_secs(4);

/// Opens fifty batches, and goes on adding to each so that none is abandoned.
async fn occupy(url: String) {
    let client = async_nats::connect(url).await.expect("the hub answers");
    let mut sequence = 0_u32;
    loop {
        sequence += 1;
        for batch in 0..OPEN_BATCHES {
            let mut headers = HeaderMap::new();
            headers.insert("Nats-Batch-Id", format!("stranger-{batch}").as_str());
            headers.insert("Nats-Batch-Sequence", sequence.to_string().as_str());
            let subject = "agent.hook.notification.stranger.-";
            client
                .publish_with_headers(subject, headers, "{}".into())
                .await
                .expect("a message is sent");
        }
        client.flush().await.expect("messages are sent");
        tokio::time::sleep(KEEP_OPEN).await; // the stranger's own pace; nothing waits for it
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_hosts_drain_while_a_stranger_holds_every_batch() {
    let mut hub =
        TestServer::start_with(|config| config.batches_per_stream = u32::try_from(OPEN_BATCHES).expect("small")).await;
    let url = hub.client_url();
    migrate::migrate(&connect(&url).await, &sizing(), migrate::Shrink::Refuse)
        .await
        .expect("the hub is prepared");
    hub.kill9().await;

    let root = tempfile::tempdir().expect("a folder");
    let http = reqwest::Client::new();
    let mut hosts = Vec::new();
    for number in 0..HOSTS {
        let name = format!("host-{number}");
        hosts.push(Service::start(
            "muster-ingest",
            &name,
            root.path(),
            &url,
            &[("HOST__NAME", name.clone())],
        ));
    }
    for host in &hosts {
        let event = |index: usize| json!({"kind": "agent.hook.notification", "session": "s", "agent": "codex", "data": {"message": index}});
        let backlog = Value::Array((0..BACKLOG).map(event).collect());
        eventually(WITHIN, async || {
            let posted = http
                .post(format!("{}/v1/events", host.url()))
                .json(&backlog)
                .send()
                .await
                .map_err(|error| error.to_string())?;
            if posted.status().is_success() {
                Ok(())
            } else {
                Err(posted.status().to_string())
            }
        })
        .await;
    }

    hub.restart().await;
    let stranger = tokio::task::JoinSet::from_iter([occupy(url.clone())]);
    let bus = connect(&url).await;
    eventually(WITHIN, async || {
        let stored = bus
            .stream_state(topology::EVENTS)
            .await
            .map_err(|error| error.to_string())?
            .last_seq;
        if stored >= (HOSTS * BACKLOG) as u64 {
            Ok(())
        } else {
            Err(format!("{stored} of {}", HOSTS * BACKLOG))
        }
    })
    .await;
    drop(stranger);
}
