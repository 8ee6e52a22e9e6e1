//! `muster alerts --watch`: what stands now, and every change from there on, none missed and none twice.

use super::name;
use crate::{format, output};
use muster_bus::read::Start;
use muster_bus::{Bus, Stored};
use muster_domain::alert::{AlertFact, Because, Severity};
use muster_domain::family::{AlertKind, EventType, Family};
use muster_wire::api::{AlertRow, AlertsListRequest, Position};
use muster_wire::data::alert::Alert;
use muster_wire::{Filter, topology};
use std::collections::BTreeMap;
use std::process::ExitCode;

pub(super) async fn run(
    bus: &Bus,
    which: &AlertsListRequest,
    at: Position,
    rows: Vec<AlertRow>,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let mut known = BTreeMap::new();
    for row in rows {
        print(&row, json)?;
        if row.cleared_at.is_none() {
            known.insert(row.key.clone(), row);
        }
    }
    let mut filter = Filter::all().family(Family::Alert);
    if let Some(host) = &which.host {
        filter = filter.host(host.clone());
    }
    if let Some(session) = &which.session {
        filter = filter.session(session.clone());
    }
    // The list reflects the log up to here.
    let mut reader = bus.read(topology::EVENTS, &[filter], Start::Seq(at.seq + 1));
    loop {
        let stored = reader.next().await?;
        if let Some(row) = change(&stored, &mut known).filter(|row| admits(which, row)) {
            print(&row, json)?;
        }
    }
}

fn admits(which: &AlertsListRequest, row: &AlertRow) -> bool {
    which.rule.is_none_or(|rule| row.rule == Some(rule)) && which.severity.is_none_or(|least| row.severity >= least)
}

/// The alert as this event leaves it.
fn change(stored: &Stored, known: &mut BTreeMap<String, AlertRow>) -> Option<AlertRow> {
    let envelope = stored.envelope().ok()?;
    let EventType::Alert(kind) = envelope.event_type else {
        return None;
    };
    let alert: Alert = serde_json::from_str(envelope.data.get()).ok()?;
    let fact = match kind {
        AlertKind::Raised => alert.raised(),
        AlertKind::Cleared => alert.cleared(),
    };
    match fact {
        AlertFact::Raised(raised) => {
            let row = AlertRow {
                key: raised.key.clone().into(),
                rule: raised.rule,
                kind: raised.kind.map(Into::into),
                severity: raised.severity,
                host: envelope.host,
                session: envelope.session,
                agent: envelope.agent,
                summary: raised.summary.into(),
                evidence: raised.evidence.into_iter().map(|(name, n)| (name.into(), n)).collect(),
                since: raised.since.unwrap_or(stored.at),
                raised_at: stored.at,
                cleared_at: None,
                because: None,
            };
            known.insert(row.key.clone(), row.clone());
            Some(row)
        }
        AlertFact::Cleared { key, because } => {
            let mut row = known.remove(&*key)?;
            (row.cleared_at, row.because) = (Some(stored.at), Some(because));
            Some(row)
        }
    }
}

fn print(row: &AlertRow, json: bool) -> anyhow::Result<()> {
    if json {
        output::raw_line(&serde_json::to_vec(row)?);
        return Ok(());
    }
    let state = match (row.because, row.severity) {
        (Some(Because::Over), _) => "over",
        (Some(Because::SessionOver), _) => "over with its session",
        (Some(Because::Silent), _) => "over, its session is silent",
        (None, severity @ (Severity::Info | Severity::Warning | Severity::Critical)) => severity.as_str(),
    };
    let at = format::clock(row.cleared_at.unwrap_or(row.raised_at));
    let summary = format::shorten(&row.summary, usize::MAX);
    output::line(&format!("{at}  {state:8}  {}  {summary}", name(row)));
    Ok(())
}
