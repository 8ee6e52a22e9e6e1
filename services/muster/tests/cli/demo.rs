//! `muster up --demo`: a fleet that moves.

use crate::place::{Place, START};
use muster_testkit::eventually;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_demo_shows_sessions_of_many_hosts_in_many_states() {
    let place = Place::new();
    let (mut up, running) = place.started(&["--demo"]).await;
    let hub = running["nats"].as_str().unwrap();
    let token = place.path("state/muster/demo/operator.token");
    assert_eq!(
        running["operator_token"].as_str(),
        token.to_str(),
        "a demo has a token of its own"
    );
    let rows = eventually(START, async || {
        let rows = place.json(&["--nats", hub, "sessions", "list", "--json"]);
        let rows = rows.as_array().unwrap().clone();
        let different = |member: &str| rows.iter().map(|row| row[member].to_string()).collect::<BTreeSet<_>>();
        let states = different("state");
        let seen = ["lost", "waiting_approval", "failed"]
            .iter()
            .all(|state| states.contains(&format!("\"{state}\"")));
        let enough = seen && rows.len() >= 8 && states.len() >= 6 && different("host").len() >= 3;
        let shown: Vec<String> = rows
            .iter()
            .map(|row| format!("{} {} {}", row["host"], row["state"], row["since"]))
            .collect();
        if enough { Ok(rows) } else { Err(shown) }
    })
    .await;
    assert!(rows.iter().any(|row| row["cost_usd"].as_f64() > Some(0.0)));

    let audit: Value = place.json(&["--nats", hub, "audit", "--json"]);
    assert_eq!(audit["digest_live"], audit["digest_replay"], "{audit}");
    let doctor = place.json(&["--nats", hub, "doctor", "--json"]);
    assert_eq!(doctor["ok"], true, "{doctor:#}");
    assert!(up.terminate(Duration::from_secs(30)).await.success(), "{}", up.stderr());
    assert_eq!(place.nats("demo"), None);
}
