//! What is known, as people read it.

use crate::args::Global;
use crate::ask::{AskError, ask};
use crate::commands::lease::Target;
use crate::{format, hub, output};
use muster_domain::work_memory::{Kind, Scope};
use muster_wire::api::{
    MemoriesDescribed, MemoriesGetRequest, MemoriesList, MemoriesListRequest, MemoriesRequest, MemoriesSources, Memory,
    MemoryAnswer, MemoryRow, MemorySource, MemoryState,
};
use muster_wire::data::work_memory::EvidenceData;
use muster_wire::subject::Operation;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::process::ExitCode;

/// Characters of a text in a line.
const TEXT: usize = 120;

/// What is listed: how far it is known, where it holds, what it is, and what it says.
type Wanted = (MemoryState, Option<Scope>, Option<Kind>, Option<String>);

async fn shown<A: Serialize + DeserializeOwned>(
    global: &Global,
    operation: Operation,
    question: &impl Serialize,
    text: impl FnOnce(&A) -> String,
) -> anyhow::Result<ExitCode> {
    let bus = hub::connect(global).await?;
    let (_, answer): (_, A) = ask(&bus, operation, question).await.map_err(AskError::fatal)?;
    if global.json {
        output::json(&answer)?;
    } else {
        output::line(&text(&answer));
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn list(global: &Global, target: &Target, wanted: Wanted) -> anyhow::Result<ExitCode> {
    let (state, scope, kind, text) = wanted;
    let mut question = MemoriesListRequest {
        workspace: target.place()?,
        profile: target.profile.clone(),
        state,
        text,
        scope,
        kind,
        cursor: None,
        limit: None,
    };
    let bus = hub::connect(global).await?;
    let mut all: Option<MemoriesList> = None;
    loop {
        let listed = ask(&bus, Operation::MemoriesList, &question).await;
        let (_, page): (_, MemoriesList) = listed.map_err(AskError::fatal)?;
        question.cursor.clone_from(&page.next_cursor);
        match &mut all {
            Some(all) => all.memories.extend(page.memories),
            None => all = Some(page),
        }
        if question.cursor.is_none() {
            break;
        }
    }
    let Some(mut all) = all else {
        return Ok(ExitCode::SUCCESS);
    };
    all.next_cursor = None;
    if global.json {
        output::json(&all)?;
    } else if all.memories.is_empty() {
        output::line("nothing is known");
    } else {
        output::line(&lines(all.memories.iter().map(row)));
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn one(global: &Global, target: &Target, id: u64) -> anyhow::Result<ExitCode> {
    let question = MemoriesGetRequest {
        workspace: target.place()?,
        profile: target.profile.clone(),
        id,
    };
    shown(global, Operation::MemoriesGet, &question, |answer: &MemoryAnswer| {
        let from = answer.evidence.as_ref().map(evidence);
        lines([row(&answer.memory)].into_iter().chain(from))
    })
    .await
}

pub(super) async fn describe(global: &Global, target: &Target) -> anyhow::Result<ExitCode> {
    let question = of(target)?;
    shown(
        global,
        Operation::MemoriesDescribe,
        &question,
        |known: &MemoriesDescribed| {
            let scopes = known
                .entries
                .iter()
                .map(|(scope, count)| format!("{count} {}", word(scope)));
            let entries: usize = known.entries.values().sum();
            let limits = known.limits;
            let mut text = format!("{entries} of {} entries", limits.entries);
            if entries > 0 {
                text = format!("{text} ({})", scopes.collect::<Vec<_>>().join(", "));
            }
            lines([
                text,
                format!("{} replaced", known.superseded),
                format!(
                    "{} of {} candidates wait to be admitted",
                    known.candidates, limits.candidates
                ),
                format!(
                    "{} of {} pieces of evidence, {} not looked at",
                    known.evidence, limits.evidence, known.evidence_waiting
                ),
            ])
        },
    )
    .await
}

pub(super) async fn sources(global: &Global, target: &Target) -> anyhow::Result<ExitCode> {
    let question = of(target)?;
    shown(
        global,
        Operation::MemoriesSources,
        &question,
        |known: &MemoriesSources| {
            if known.sources.is_empty() {
                return "no evidence is remembered".to_owned();
            }
            lines(known.sources.iter().map(source))
        },
    )
    .await
}

fn of(target: &Target) -> anyhow::Result<MemoriesRequest> {
    Ok(MemoriesRequest {
        workspace: target.place()?,
        profile: target.profile.clone(),
    })
}

fn lines(all: impl IntoIterator<Item = String>) -> String {
    all.into_iter().collect::<Vec<_>>().join("\n")
}

/// A word of the contract, as people read it.
fn word(what: &impl Serialize) -> String {
    let word = serde_json::to_value(what).unwrap_or_default();
    word.as_str().unwrap_or_default().replace('_', " ")
}

pub(super) fn evidence(one: &EvidenceData) -> String {
    let title = one
        .title
        .as_deref()
        .map(|title| format!(" {}", format::shorten(title, 60)));
    let looked = match one.extracted_at {
        Some(_) => format!("{} candidates, {} known already", one.new_candidates, one.duplicates),
        None => "not looked at".to_owned(),
    };
    let title = title.unwrap_or_default();
    format!(
        "evidence {}: {}{title}, {} bytes, {looked}",
        one.id,
        word(&one.source),
        one.bytes
    )
}

fn source(one: &MemorySource) -> String {
    let ids = |ids: &[u64]| ids.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    let mut text = evidence(&one.evidence);
    for (what, all) in [("waiting", &one.candidates), ("entries", &one.entries)] {
        if !all.is_empty() {
            text = format!("{text}; {what}: {}", ids(all));
        }
    }
    text
}

pub(super) fn row(row: &MemoryRow) -> String {
    match &row.what {
        Memory::Candidate(one) => format!(
            "{} candidate {} ({}): {}",
            one.id,
            word(&one.kind),
            word(&one.scope),
            format::shorten(&one.text, TEXT)
        ),
        Memory::Entry(one) | Memory::Superseded(one) => {
            let by = one
                .superseded_by
                .map(|by| format!(", replaced by {by}"))
                .unwrap_or_default();
            format!(
                "{} {} ({}, {}{by}): {}",
                one.id,
                word(&one.kind),
                word(&one.scope),
                word(&one.decay_class),
                format::shorten(&one.text, TEXT)
            )
        }
    }
}
