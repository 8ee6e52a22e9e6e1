//! `muster memory`: what is known of the work on a workspace, from evidence to what everybody is told.

mod show;

use super::lease::{Target, word, wrote};
use crate::args::Global;
use crate::ask::{AskError, order};
use crate::{format, hub, output};
use muster_bus::service::Credentials;
use muster_domain::work_memory::{Decay, Kind, Mode, Review, Scope, Source};
use muster_wire::api::{
    CandidateGiven, MemoriesAdmitRequest, MemoriesAnswer, MemoriesCompactRequest, MemoriesCompacted,
    MemoriesExtractRequest, MemoriesPromoteRequest, MemoriesSubmitRequest, MemoryState,
};
use muster_wire::subject::Operation;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::Read;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Keep what shows how the work goes
    Submit {
        #[command(flatten)]
        target: Target,
        /// transcript, session, event-stream, hook-output, log or document
        #[arg(long, default_value = "document", value_parser = word::<Source>)]
        source: Source,
        /// What it is called
        #[arg(long)]
        title: Option<String>,
        /// What it says, at most 8 KiB; without it, standard input
        text: Option<String>,
    },
    /// Say what evidence shows; each may be given more than once
    Extract(Extract),
    /// Make a candidate an entry, which whoever works there is told
    Admit {
        #[command(flatten)]
        target: Target,
        /// Its number
        candidate: u64,
        /// work_stream or workspace; where its candidate says, without it
        #[arg(long, value_parser = word::<Scope>)]
        scope: Option<Scope>,
        /// permanent, stable or active: kept for 90, 30 or 7 days after it was last affirmed
        #[arg(long, value_parser = word::<Decay>)]
        decay: Option<Decay>,
        /// The entry instead of which it holds; a durable one needs the operator's token
        #[arg(long, value_name = "ENTRY")]
        supersedes: Option<u64>,
    },
    /// Make an entry durable; needs the operator's token, unless a policy lets anybody
    Promote {
        #[command(flatten)]
        target: Target,
        /// Its number
        entry: u64,
        /// project, profile (told in all its workspaces) or project_truth
        #[arg(long, default_value = "project", value_parser = word::<Scope>)]
        to: Scope,
    },
    /// Say what there is too much of, and with --write take it away
    Compact {
        #[command(flatten)]
        target: Target,
        /// keep (what is said twice), decay (what nobody affirmed for long) or review
        #[arg(value_parser = word::<Mode>)]
        mode: Mode,
        /// For review: expired, superseded or promotion-candidate
        #[arg(long = "for", value_name = "WHAT", value_parser = word::<Review>)]
        review: Option<Review>,
        /// A review takes away what it finds
        #[arg(long)]
        remove: bool,
        /// Do it
        #[arg(long)]
        write: bool,
        /// Durable entries too; needs the operator's token
        #[arg(long)]
        durable: bool,
    },
    /// What is known, or what waits to be
    List {
        #[command(flatten)]
        target: Target,
        /// entry, superseded or candidate
        #[arg(long, default_value = "entry", value_parser = word::<MemoryState>)]
        state: MemoryState,
        /// Only what holds there
        #[arg(long, value_parser = word::<Scope>)]
        scope: Option<Scope>,
        /// Only what is this: rule, constraint, heuristic, observation or attempt
        #[arg(long = "type", value_name = "TYPE", value_parser = word::<Kind>)]
        kind: Option<Kind>,
        /// Only what says this
        text: Option<String>,
    },
    /// One entry or candidate, and what it was drawn from
    Show {
        #[command(flatten)]
        target: Target,
        /// Its number
        id: u64,
    },
    /// How much is known, and how much may be
    Describe {
        #[command(flatten)]
        target: Target,
    },
    /// Which evidence there is, and what came of it
    Sources {
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Debug, clap::Args)]
struct Extract {
    #[command(flatten)]
    target: Target,
    /// Number of the evidence
    evidence: u64,
    /// It is to be done so
    #[arg(long, value_name = "TEXT")]
    rule: Vec<String>,
    /// It cannot be otherwise
    #[arg(long, value_name = "TEXT")]
    constraint: Vec<String>,
    /// It mostly helps
    #[arg(long, value_name = "TEXT")]
    heuristic: Vec<String>,
    /// It was seen
    #[arg(long, value_name = "TEXT")]
    observation: Vec<String>,
    /// It was tried
    #[arg(long, value_name = "TEXT")]
    attempt: Vec<String>,
    /// It would hold in the piece of work that is held, not in the whole workspace
    #[arg(long)]
    work_stream: bool,
}

pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<ExitCode> {
    let nobody = Credentials::default();
    match args.command {
        Command::Submit {
            target,
            source,
            title,
            text,
        } => {
            let question = MemoriesSubmitRequest {
                target: target.lease()?,
                source,
                title,
                text: text.map_or_else(stdin, Ok)?,
            };
            changed(global, &nobody, Operation::MemoriesSubmit, &question).await
        }
        Command::Extract(extract) => {
            let question = extract.question()?;
            changed(global, &nobody, Operation::MemoriesExtract, &question).await
        }
        Command::Admit {
            target,
            candidate,
            scope,
            decay,
            supersedes,
        } => {
            let question = MemoriesAdmitRequest {
                target: target.lease()?,
                candidate,
                scope,
                decay_class: decay,
                supersedes,
            };
            let who = if supersedes.is_some() {
                operator(global)?
            } else {
                nobody
            };
            changed(global, &who, Operation::MemoriesAdmit, &question).await
        }
        Command::Promote { target, entry, to } => {
            let target = target.lease()?;
            let question = MemoriesPromoteRequest { target, entry, to };
            changed(global, &operator(global)?, Operation::MemoriesPromote, &question).await
        }
        Command::Compact {
            target,
            mode,
            review,
            remove,
            write,
            durable,
        } => {
            let question = MemoriesCompactRequest {
                target: target.lease()?,
                mode,
                review,
                remove,
                write,
            };
            let who = if durable { hub::operator(global)? } else { nobody };
            compact(global, &who, &question).await
        }
        Command::List {
            target,
            state,
            scope,
            kind,
            text,
        } => show::list(global, &target, (state, scope, kind, text)).await,
        Command::Show { target, id } => show::one(global, &target, id).await,
        Command::Describe { target } => show::describe(global, &target).await,
        Command::Sources { target } => show::sources(global, &target).await,
    }
}

/// The operator's token, where there is one: a policy may let anybody.
fn operator(global: &Global) -> anyhow::Result<Credentials> {
    let found = hub::operator(global);
    if global.operator_token.is_some() {
        return found;
    }
    Ok(found.unwrap_or_default())
}

fn stdin() -> anyhow::Result<String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

impl Extract {
    fn question(self) -> anyhow::Result<MemoriesExtractRequest> {
        let scope = self.work_stream.then_some(Scope::WorkStream);
        let all = [
            (Kind::Rule, self.rule),
            (Kind::Constraint, self.constraint),
            (Kind::Heuristic, self.heuristic),
            (Kind::Observation, self.observation),
            (Kind::Attempt, self.attempt),
        ];
        let all = all
            .into_iter()
            .flat_map(|(kind, texts)| texts.into_iter().map(move |text| (kind, text)));
        Ok(MemoriesExtractRequest {
            target: self.target.lease()?,
            evidence: self.evidence,
            candidates: all.map(|(kind, text)| CandidateGiven { kind, scope, text }).collect(),
        })
    }
}

async fn decided<A: DeserializeOwned>(
    global: &Global,
    who: &Credentials,
    operation: Operation,
    question: &impl Serialize,
) -> anyhow::Result<A> {
    let bus = hub::connect(global).await?;
    let answered = order(&bus, who, operation, question).await;
    answered.map(|(_, answer)| answer).map_err(AskError::fatal)
}

async fn changed(
    global: &Global,
    who: &Credentials,
    operation: Operation,
    question: &impl Serialize,
) -> anyhow::Result<ExitCode> {
    let answer: MemoriesAnswer = decided(global, who, operation, question).await?;
    wrote(global, &answer, (answer.outcome, answer.message.as_deref()), || {
        let evidence = answer.row.evidence.as_ref().map(show::evidence);
        let rows = answer.row.memories.iter().map(show::row);
        evidence.into_iter().chain(rows).collect::<Vec<_>>().join("\n")
    })
}

async fn compact(global: &Global, who: &Credentials, question: &MemoriesCompactRequest) -> anyhow::Result<ExitCode> {
    let answer: MemoriesCompacted = decided(global, who, Operation::MemoriesCompact, question).await?;
    let code = wrote(global, &answer, (answer.outcome, answer.message.as_deref()), || {
        let rows = answer.row.found.iter().map(|row| {
            let finding = row.finding;
            let why = serde_json::to_value(finding.reason).unwrap_or_default();
            let why = why.as_str().unwrap_or_default().replace('_', " ");
            let into = finding.into.map(|id| format!(", see {id}")).unwrap_or_default();
            format!("{} ({why}{into}): {}", finding.id, format::shorten(&row.text, 100))
        });
        let rows: Vec<String> = rows.collect();
        if rows.is_empty() {
            "nothing is found".to_owned()
        } else {
            rows.join("\n")
        }
    })?;
    if answer.row.spared > 0 && !global.json {
        output::remark(&format!("{} durable stay: see --durable", answer.row.spared));
    }
    Ok(code)
}
