//! `muster approvals --watch`: what waits now, and every change from there on, none missed and none twice.

use super::{about, ended, left, which};
use crate::{format, hub, output};
use muster_bus::read::Start;
use muster_bus::{Bus, Stored};
use muster_domain::approval::{ApprovalId, Stage};
use muster_domain::family::Family;
use muster_wire::api::{ApprovalRow, ApprovalsListRequest, Position, ResolutionRow};
use muster_wire::data::approval::{ApprovalRequired, ApprovalResolved};
use muster_wire::{Filter, topology};
use std::collections::BTreeMap;
use std::process::ExitCode;

pub(super) async fn run(
    bus: &Bus,
    which: &ApprovalsListRequest,
    at: Position,
    rows: Vec<ApprovalRow>,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let mut known = BTreeMap::new();
    for row in rows {
        print(&row, json)?;
        known.insert(row.id, row);
    }
    let filters = [Family::ApprovalRequired, Family::ApprovalResolved].map(|family| {
        let mut filter = Filter::all().family(family);
        if let Some(host) = &which.host {
            filter = filter.host(host.clone());
        }
        if let Some(session) = &which.session {
            filter = filter.session(session.clone());
        }
        filter
    });
    hub::may_read(bus, topology::EVENTS).await?;
    // The list reflects the log up to here.
    let mut reader = bus.read(topology::EVENTS, &filters, Start::Seq(at.seq + 1));
    loop {
        let stored = reader.next().await?;
        if let Some(row) = change(&stored, &mut known) {
            print(&row, json)?;
        }
    }
}

/// The approval as this event leaves it.
fn change(stored: &Stored, known: &mut BTreeMap<ApprovalId, ApprovalRow>) -> Option<ApprovalRow> {
    let envelope = stored.envelope().ok()?;
    let data = envelope.data.get();
    if envelope.event_type.family() == Family::ApprovalRequired {
        let required: ApprovalRequired = serde_json::from_str(data).ok()?;
        let before = known.get(&required.approval_id).map(|row| row.at);
        let row = ApprovalRow {
            id: required.approval_id,
            host: envelope.host,
            session: envelope.session,
            agent: envelope.agent,
            profile: envelope.profile,
            at: before.unwrap_or(stored.at),
            deadline: required.deadline,
            fallback: required.fallback,
            stage: Some(required.stage),
            asked: required.asked,
            resolution: None,
        };
        known.insert(row.id, row.clone());
        return Some(row);
    }
    let resolved: ApprovalResolved = serde_json::from_str(data).ok()?;
    let mut row = known.remove(&resolved.approval_id)?;
    row.resolution = Some(ResolutionRow {
        at: stored.at,
        answer: resolved.resolution,
    });
    Some(row)
}

fn print(row: &ApprovalRow, json: bool) -> anyhow::Result<()> {
    if json {
        output::raw_line(&serde_json::to_vec(row)?);
        return Ok(());
    }
    let now = format::now();
    let state = match (&row.resolution, row.stage) {
        (Some(resolution), _) => ended(resolution, now),
        (None, Some(Stage::Reminded)) => format!("still waits, {} left", left(row, now)),
        (None, Some(Stage::Escalated)) => format!("escalated, {} left", left(row, now)),
        (None, _) => format!("waits, {} left", left(row, now)),
    };
    // An id that is shown alone cannot be compared, so it is long.
    output::line(&format!("{}  {}  {state}", which::short(row.id, 8), about(row)));
    Ok(())
}
