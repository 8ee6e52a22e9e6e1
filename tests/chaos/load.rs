//! Load as agents make it: hooks and events over HTTP, retried only where the outcome is a refusal to take them.

use crate::fleet::Host;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Events in one post: small enough that a kill meets many posts under way.
const POST_EVENTS: usize = 20;
/// Between two tries at an ingest that is away.
const RETRY: Duration = Duration::from_millis(20);

/// What clients were told was accepted.
#[derive(Debug, Default)]
pub(crate) struct Answered {
    pub(crate) ids: BTreeSet<String>,
}

pub(crate) struct Load {
    total: usize,
    accepted: Arc<AtomicUsize>,
    changed: watch::Sender<()>,
    enough: watch::Sender<bool>,
    clients: JoinSet<Answered>,
}

impl Load {
    /// One client a host, each reporting `events` events at least, and going on until the load is finished.
    pub(crate) fn start(hosts: Vec<Host>, events: usize) -> Self {
        let (changed, _) = watch::channel(());
        let mut load = Self {
            total: hosts.len() * events,
            accepted: Arc::default(),
            changed,
            enough: watch::channel(false).0,
            clients: JoinSet::new(),
        };
        for host in hosts {
            let (accepted, changed, enough) = (
                Arc::clone(&load.accepted),
                load.changed.clone(),
                load.enough.subscribe(),
            );
            load.clients
                .spawn(async move { client(&host, events, &enough, &accepted, &changed).await });
        }
        load
    }

    pub(crate) const fn total(&self) -> usize {
        self.total
    }

    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Waits until this many are accepted.
    pub(crate) async fn accepted_at_least(&self, wanted: usize) {
        let mut changed = self.changed.subscribe();
        while self.accepted() < wanted {
            tokio::time::timeout(Duration::from_secs(120), changed.changed())
                .await
                .expect("the load goes on")
                .expect("clients live");
        }
    }

    /// No more than is wanted at least.
    pub(crate) async fn finish(self) -> Answered {
        self.enough.send_replace(true);
        let mut all = Answered::default();
        for answered in self.clients.join_all().await {
            all.ids.extend(answered.ids);
        }
        all
    }
}

async fn client(
    host: &Host,
    events: usize,
    enough: &watch::Receiver<bool>,
    accepted: &AtomicUsize,
    changed: &watch::Sender<()>,
) -> Answered {
    let http = reqwest::Client::builder()
        .timeout(Duration::from_secs(10))
        .build()
        .expect("a client");
    let mut answered = Answered::default();
    let mut round = 0;
    while answered.ids.len() < events || !*enough.borrow() {
        let session = format!("{}-{}", host.name, round % 7);
        let ids = if round % 4 == 3 {
            hook(&http, host, &session, round).await
        } else {
            batch(&http, host, &session, round).await
        };
        round += 1;
        if ids.is_empty() {
            tokio::time::sleep(RETRY).await; // the ingest is being restarted: nothing to wait for but the next try
            continue;
        }
        accepted.fetch_add(ids.len(), Ordering::Relaxed);
        answered.ids.extend(ids);
        changed.send_replace(());
    }
    answered
}

/// Events in one post; the ids that were accepted, none when the outcome is not known.
async fn batch(http: &reqwest::Client, host: &Host, session: &str, round: usize) -> Vec<String> {
    let item = |index: usize| {
        let prompt = format!("p{}", round / 8);
        let call = format!("call-{round}-{}", index / 2);
        let kind = if index.is_multiple_of(2) {
            "agent.hook.pre_tool_use"
        } else {
            "agent.hook.post_tool_use"
        };
        let data = json!({"prompt_id": prompt, "tool_name": "Bash", "tool_use_id": call, "tool_input": {"command": format!("echo {round}")}, "tool_response": {"stdout": "x"}});
        json!({"kind": kind, "session": session, "agent": "claude-code", "data": data})
    };
    let body = Value::Array((0..POST_EVENTS).map(item).collect());
    let Ok(response) = http.post(format!("{}/v1/events", host.url)).json(&body).send().await else {
        return Vec::new();
    };
    let Ok(told) = response.json::<Value>().await else {
        return Vec::new();
    };
    let accepted = told["accepted"].as_array().cloned().unwrap_or_default();
    accepted
        .iter()
        .filter_map(|one| one["id"].as_str().map(str::to_owned))
        .collect()
}

async fn hook(http: &reqwest::Client, host: &Host, session: &str, round: usize) -> Vec<String> {
    let name = if round % 8 == 7 { "Stop" } else { "UserPromptSubmit" };
    let body = json!({"hook_event_name": name, "session_id": session, "prompt_id": format!("p{}", round / 8), "prompt": "go on", "cwd": "/app"});
    let sent = http
        .post(format!("{}/v1/hooks/claude-code", host.url))
        .json(&body)
        .send()
        .await;
    let id = sent.ok().and_then(|response| {
        response
            .headers()
            .get("muster-event-id")?
            .to_str()
            .ok()
            .map(str::to_owned)
    });
    id.into_iter().collect()
}
