//! `muster audit`: walks the log, counts what is missing or doubled, and compares the state it folds with the orchestrator's.
//!
//! The orchestrator moves on meanwhile, so its digest is taken first, with the sequence it is of, and the walk ends exactly
//! there. Where old history has aged out of the log, the walk begins at the snapshot in the hub that joins on to what is
//! left.

use crate::args::Global;
use crate::ask::{AskError, ask};
use crate::{hub, output};
use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};
use muster_bus::read::Start;
use muster_bus::{Bus, StreamState};
use muster_domain::audit::Audit;
use muster_domain::fleet::{Fleet, Settings};
use muster_runtime::exit::Failure;
use muster_wire::api::{AuditDigest, AuditDigestRequest, Position};
use muster_wire::subject::Operation;
use muster_wire::{decode, snapshot, topology};
use serde::Serialize;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// What is printed. All but `redelivered` and the digests shall be 0.
#[derive(Debug, Serialize)]
struct Report {
    gaps: u64,
    doubles_applied: u64,
    redelivered: u64,
    forked: u64,
    digest_live: String,
    digest_replay: String,
    at_seq: u64,
    /// Where the walk began: 1, or what a snapshot left.
    from_seq: u64,
    /// Messages that are no events of muster's; the fold passes over them too.
    unreadable: u64,
}

impl Report {
    fn is_clean(&self) -> bool {
        self.gaps == 0 && self.doubles_applied == 0 && self.digest_live == self.digest_replay
    }
}

pub(crate) async fn run(_args: Args, global: &Global) -> anyhow::Result<ExitCode> {
    let bus = hub::connect(global).await?;
    hub::may_read(&bus, topology::EVENTS).await?;
    let question = AuditDigestRequest::default();
    let (position, live): (Position, AuditDigest) = ask(&bus, Operation::AuditDigest, &question)
        .await
        .map_err(AskError::fatal)?;
    let stream = bus.stream_state(topology::EVENTS).await?;
    if stream.created != position.stream_created {
        bail!(Failure::Unavailable(
            "the stream was made anew since the orchestrator last looked; try again".to_owned()
        ));
    }
    let report = walk(&bus, &stream, live).await?;
    if global.json {
        output::json(&report)?;
    } else {
        output::line(&shown(&report));
    }
    Ok(if report.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn walk(bus: &Bus, stream: &StreamState, live: AuditDigest) -> anyhow::Result<Report> {
    // Replicas of one fleet must be told the same; it is told by the one it is compared with.
    let mut fleet = beginning(bus, stream, live.at_seq, live.settings.clone()).await?;
    let mut audit = Audit::new();
    let mut unreadable = 0;
    let from_seq = fleet.watermark() + 1;
    let progress = ProgressBar::new(live.at_seq.saturating_sub(fleet.watermark()));
    progress.set_style(ProgressStyle::with_template(
        "{bar:40} {pos}/{len} events  {per_sec}  {eta}",
    )?);
    // What is before the log's first event is in the snapshot, or gone.
    let mut reader = bus.read(topology::EVENTS, &[], Start::Seq(from_seq.max(stream.first_seq).max(1)));
    let mut position = fleet.watermark();
    if live.at_seq > position {
        reader.open().await.context("reading the log")?;
    }
    while position < live.at_seq && reader.pending() != Some(0) {
        let stored = reader.next().await.context("reading the log")?;
        position = stored.seq;
        if position > live.at_seq {
            break;
        }
        match decode::recorded(stored.seq, stored.at, stored.subject_text(), &stored.payload) {
            Ok(recorded) => {
                let applied = fleet.apply(&recorded);
                audit.observe(&recorded, applied);
            }
            Err(_) => unreadable += 1,
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    let found = audit.report();
    Ok(Report {
        // The audit sees holes after its first event only, the fold those before it too, from its snapshot on.
        gaps: found.gaps.max(fleet.gaps()),
        doubles_applied: found.doubles_applied,
        redelivered: found.redelivered,
        forked: found.forked,
        digest_live: live.digest,
        digest_replay: snapshot::digest(&fleet)?,
        at_seq: live.at_seq,
        from_seq,
        unreadable,
    })
}

/// Nothing, or the oldest snapshot that what is left of the log joins on to.
async fn beginning(bus: &Bus, stream: &StreamState, at_seq: u64, settings: Settings) -> anyhow::Result<Fleet> {
    if stream.first_seq <= 1 {
        return Ok(Fleet::new(settings));
    }
    let objects = bus.objects(&topology::SNAPSHOTS);
    let prefix = format!("fleet-{}-", stream.created.as_millis());
    for object in objects.list().await.context("listing the hub's snapshots")? {
        let last_seq = object
            .name
            .strip_prefix(&prefix)
            .and_then(|seq| seq.parse::<u64>().ok());
        if !last_seq.is_some_and(|last_seq| (stream.first_seq - 1..=at_seq).contains(&last_seq)) {
            continue;
        }
        let bytes = objects
            .get(&object.name)
            .await
            .with_context(|| format!("reading the snapshot {}", object.name))?;
        if let Some((_, fleet)) = bytes.and_then(|bytes| snapshot::decode(&bytes).ok()) {
            return Ok(fleet);
        }
    }
    output::remark("the log's beginning has aged out, and no snapshot in the hub joins on to what is left");
    Ok(Fleet::new(settings))
}

fn shown(report: &Report) -> String {
    let digests = if report.digest_live == report.digest_replay {
        format!("equal ({})", report.digest_live)
    } else {
        format!("DIFFER: live {}, replayed {}", report.digest_live, report.digest_replay)
    };
    let lines = [
        format!("events {} to {}", report.from_seq, report.at_seq),
        format!("gaps            {}", report.gaps),
        format!("doubles applied {}", report.doubles_applied),
        format!("redelivered     {} (stored twice, counted once)", report.redelivered),
        format!("forked          {}", report.forked),
        format!("unreadable      {}", report.unreadable),
        format!("digests         {digests}"),
        if report.is_clean() {
            "nothing is missing, nothing counts twice"
        } else {
            "something is wrong"
        }
        .to_owned(),
    ];
    lines.join("\n")
}
