//! What this host says of itself: that it started, that the hub is away and back, that it stops.

use crate::config;
use crate::intake::Intake;
use crate::metrics::Counts;
use crate::observation::Observation;
use muster_bus::Bus;
use muster_domain::family::{EventType, HostStatusKind};
use muster_domain::ids::InstanceId;
use muster_runtime::health::Condition;
use muster_wire::data::host::{Capabilities, Means, Reason, Started};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A hub that is back sooner was not worth a word.
const AWAY: Duration = Duration::from_secs(10);
/// How often it is looked whether the spool is still there.
const LOOK: Duration = Duration::from_secs(1);
/// How often sizes are measured.
const MEASURE: Duration = Duration::from_secs(5);

/// Reports a fact about this host.
pub(crate) async fn say(intake: &Intake, kind: HostStatusKind, data: impl Serialize) {
    let Ok(Value::Object(data)) = serde_json::to_value(data) else {
        return;
    };
    if let Err(error) = intake
        .accept_one(Observation::of(EventType::HostStatus(kind), data))
        .await
    {
        tracing::warn!(%error, "a fact about this host was not reported");
    }
}

/// The first word of this start.
pub(crate) async fn started(intake: &Intake, instance: InstanceId, watches: bool) {
    let started = Started {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        instance,
        hostname: config::machine(),
        capabilities: BTreeMap::from([("process.lifecycle".to_owned(), watches)]),
    };
    say(intake, HostStatusKind::Started, started).await;
}

/// What of processes can be observed here, from now on.
pub(crate) async fn capability(intake: &Intake, means: Means) {
    say(intake, HostStatusKind::Capability, Capabilities::of(means)).await;
}

/// What this system has of what observing needs.
pub(crate) fn means() -> Means {
    let there = |path: &str| Path::new(path).exists();
    Means {
        children: there("/proc/thread-self/children"),
        descriptors: there("/proc/self/fdinfo"),
        sockets: there("/proc/self/net/tcp"),
    }
}

/// Keeps the spool's place in readiness, and says first of all when it is not the one that was here before. Runs until
/// `stop`.
pub(crate) async fn spool(intake: Intake, condition: Condition, stop: CancellationToken) -> anyhow::Result<()> {
    let aside = intake.spool().set_aside().map(|path| {
        let path = path.display();
        format!("the spool was damaged and is set aside as {path}: what the hub did not have yet is only there")
    });
    if let Some(reason) = aside.clone() {
        say(&intake, HostStatusKind::Degraded, Reason { reason }).await;
    }
    let mut kept = true;
    loop {
        let was = std::mem::replace(&mut kept, intake.spool().is_in_place());
        match &aside {
            _ if !kept => {
                let reason = "the spool's store was moved or deleted: put it back, or restart to begin a new one";
                if was {
                    tracing::error!("{reason}");
                }
                condition.set_failed(reason);
            }
            Some(reason) => condition.set_degraded(reason),
            None => condition.set_ok(),
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = stop.cancelled() => return Ok(()),
        }
    }
}

/// Tells when the hub is away for long and back again, and when other things can be observed than before, and keeps the
/// gauges. Runs until `stop`.
pub(crate) async fn run(
    intake: Intake,
    bus: Bus,
    counts: Counts,
    mut observes: Means,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut away = Duration::ZERO;
    let mut told = false;
    loop {
        let now = means();
        if std::mem::replace(&mut observes, now) != now {
            capability(&intake, now).await;
        }
        let stats = intake.spool().stats().await?;
        counts.spool_bytes.set(stats.used_bytes as f64);
        counts
            .spool_owed
            .set((stats.events.owed + stats.transcript.owed) as f64);
        away = if bus.is_connected() {
            Duration::ZERO
        } else {
            away + MEASURE
        };
        if away > AWAY && !told {
            told = true;
            say(
                &intake,
                HostStatusKind::Degraded,
                Reason {
                    reason: "the hub is away; observations wait in the spool".to_owned(),
                },
            )
            .await;
        } else if told && away.is_zero() {
            told = false;
            say(&intake, HostStatusKind::Recovered, Reason::default()).await;
        }
        tokio::select! {
            () = tokio::time::sleep(MEASURE) => {}
            () = stop.cancelled() => return Ok(()),
        }
    }
}
