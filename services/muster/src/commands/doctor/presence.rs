//! Which hosts are there, and whether two machines claim one name.

use super::Check;
use muster_bus::Bus;
use muster_bus::kv::Watched;
use muster_wire::frame::HelloReply;
use muster_wire::topology;
use serde::Deserialize;
use std::time::Duration;
use tokio::time::timeout;

/// How long listing the present hosts may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a host says of itself in its presence key.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct There {
    version: String,
    hostname: String,
}

pub(super) async fn hosts(bus: &Bus, local: Option<&HelloReply>, checks: &mut Vec<Check>) {
    let there = match timeout(PATIENCE, list(bus)).await {
        Ok(Ok(there)) => there,
        Ok(Err(error)) => return checks.push(Check::fail("hosts", error.to_string(), "run `muster migrate`")),
        Err(_) => return checks.push(Check::warn("hosts", "the hub did not list them in time", "try again")),
    };
    if there.is_empty() {
        return checks.push(Check::warn(
            "hosts",
            "none is there",
            "start muster-ingest on a machine that runs agents",
        ));
    }
    let named: Vec<String> = there
        .iter()
        .map(|(host, about)| format!("{host} ({})", about.version))
        .collect();
    checks.push(Check::ok("hosts", named.join(", ")));
    let ours = env!("CARGO_PKG_VERSION");
    let others: Vec<&str> = there
        .iter()
        .filter(|(_, about)| about.version != ours)
        .map(|(host, _)| host.as_str())
        .collect();
    if !others.is_empty() {
        let detail = format!("another version than {ours} runs on {}", others.join(", "));
        checks.push(Check::warn("versions", detail, "install the same version everywhere"));
    }
    let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let claimed = local.and_then(|local| there.iter().find(|(host, _)| *host == local.host));
    if let Some((host, about)) = claimed
        && !about.hostname.is_empty()
        && about.hostname != machine
    {
        let detail = format!("both {} and {machine} call themselves {host}", about.hostname);
        checks.push(Check::fail(
            "host_name",
            detail,
            "give one of them another name: `host.name` in ingest's configuration",
        ));
    }
}

async fn list(bus: &Bus) -> Result<Vec<(String, There)>, muster_bus::read::ReadError> {
    let mut watch = bus.bucket(&topology::PRESENCE).watch(">");
    let mut there = Vec::new();
    loop {
        match watch.next().await? {
            Watched::Current => return Ok(there),
            Watched::Entry(entry) => {
                let about = entry
                    .value
                    .map(|value| serde_json::from_slice(&value).unwrap_or_default());
                there.extend(about.map(|about| (entry.key, about)));
            }
        }
    }
}
