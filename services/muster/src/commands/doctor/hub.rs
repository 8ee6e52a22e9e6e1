//! The hub, its streams, and who leads.

use super::Check;
use crate::args::Global;
use crate::ask::ask;
use crate::format;
use muster_bus::migrate::{self, VerifyError};
use muster_bus::{Bus, server};
use muster_telemetry::mask;
use muster_wire::api::{self, Position};
use muster_wire::subject::Operation;
use muster_wire::topology;

/// Events the orchestrator may be behind before that is worth a word: less than a second's work.
const LAG_MAX: u64 = 5000;
/// How far two clocks may be apart, in milliseconds: times of different hosts are compared by eye.
const SKEW_MAX_MS: i64 = 2000;

pub(super) async fn connect(global: &Global, url: &str, checks: &mut Vec<Check>) -> Option<Bus> {
    match crate::hub::connect(global).await {
        Ok(bus) => {
            checks.push(Check::ok("hub", format!("{} answers", mask::addresses(url))));
            Some(bus)
        }
        Err(error) => {
            let advice = "start one with `muster up`, or name another with --nats";
            checks.push(Check::fail("hub", format::shorten(&error.to_string(), 200), advice));
            None
        }
    }
}

/// What only the monitoring port tells.
pub(super) async fn monitor(url: &str, checks: &mut Vec<Check>) {
    let asked = crate::format::now();
    let varz = match server::get_json(url, "/varz").await {
        Ok(varz) => varz,
        Err(error) => {
            return checks.push(Check::warn(
                "hub_monitor",
                error.to_string(),
                "name the hub's monitoring address with --monitor",
            ));
        }
    };
    let version = varz["version"].as_str().unwrap_or("of unknown version");
    match server::sync_always(url).await {
        Ok(true) => checks.push(Check::ok(
            "hub_sync",
            format!("nats-server {version}, syncs before it acknowledges"),
        )),
        Ok(false) => checks.push(Check::warn(
            "hub_sync",
            format!("nats-server {version} acknowledges before its disk holds what it acknowledged"),
            "set `sync_interval: always` in its jetstream block",
        )),
        Err(error) => checks.push(Check::fail(
            "hub_sync",
            error.to_string(),
            "start nats-server with JetStream",
        )),
    }
    if let Some(there) = varz["now"].as_str().and_then(muster_wire::time::parse) {
        let apart = there.as_millis() - asked.as_millis();
        checks.push(if apart.abs() <= SKEW_MAX_MS {
            Check::ok("clock", format!("{apart} ms apart from the hub's"))
        } else {
            Check::warn(
                "clock",
                format!("{apart} ms apart from the hub's"),
                "synchronise this machine's clock",
            )
        });
    }
}

/// Whether streams, buckets and consumers are as this version needs them.
pub(super) async fn streams(bus: &Bus, checks: &mut Vec<Check>) {
    checks.push(match migrate::verify(bus).await {
        Ok(()) => Check::ok("streams", "as this version expects"),
        Err(error @ VerifyError::Drift(_)) => Check::fail("streams", error.to_string(), "run `muster migrate`"),
        Err(error) => Check::fail(
            "streams",
            error.to_string(),
            "look at the hub's log; JetStream may be off",
        ),
    });
}

/// Whether somebody leads, and keeps up.
pub(super) async fn orchestrator(bus: &Bus, checks: &mut Vec<Check>) {
    let asked = ask::<api::Status>(bus, Operation::Status, &serde_json::json!({})).await;
    let (Position { seq, .. }, status) = match asked {
        Ok(answer) => answer,
        Err(error) => {
            let advice = "start muster-orchestrator, or `muster up`";
            return checks.push(Check::fail("orchestrator", error.to_string(), advice));
        }
    };
    let ours = env!("CARGO_PKG_VERSION");
    if status.version != ours {
        let detail = format!("the orchestrator is {}, this command {ours}", status.version);
        checks.push(Check::warn("versions", detail, "install the same version everywhere"));
    }
    let term = status.term.map_or_else(|| "?".to_owned(), |term| term.to_string());
    let end = bus
        .stream_state(topology::EVENTS)
        .await
        .map_or(seq, |stream| stream.last_seq);
    let lag = end.saturating_sub(seq);
    let detail = format!("{} leads (term {term}), at event {seq}, {lag} behind", status.instance);
    checks.push(if lag <= LAG_MAX {
        Check::ok("orchestrator", detail)
    } else {
        Check::warn(
            "orchestrator",
            detail,
            "it is catching up; if this grows, look at its machine's load",
        )
    });
    if status.gaps > 0 || status.forked > 0 {
        let detail = format!(
            "{} observations missing, {} counts used twice",
            status.gaps, status.forked
        );
        checks.push(Check::warn(
            "log",
            detail,
            "run `muster audit`; a spool was lost or copied",
        ));
    }
}
