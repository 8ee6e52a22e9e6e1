//! `muster experiment`: whether a change makes sessions cheaper, shorter or better.

use crate::args::Global;
use crate::ask::{self, AskError};
use crate::{format, hub, output};
use muster_bus::Bus;
use muster_domain::experiment::{DAYS, Metric, State, TARGET_PERCENT, Variant, Verdict};
use muster_domain::ids::ExperimentId;
use muster_domain::names::HostName;
use muster_wire::api::{
    ArmRow, ExperimentAnswer, ExperimentReport, ExperimentRequest, ExperimentRow, ExperimentsConcludeRequest,
    ExperimentsCreateRequest, ExperimentsList, ExperimentsListRequest, ExperimentsTagRequest,
};
use muster_wire::subject::Operation;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Plan one
    New(Box<NewArgs>),
    /// Experiments, the latest first, with the outcomes of those that are concluded
    List {
        /// Only these: draft, running, concluded, archived; without it, all but the archived
        #[arg(long, value_parser = state)]
        state: Option<State>,
    },
    /// One, with its figures so far
    Show {
        /// As `list` shows it
        id: ExperimentId,
    },
    /// Have sessions that begin from now on count
    Start {
        /// As `list` shows it
        id: ExperimentId,
    },
    /// Put a session on a side of it
    Tag(TagArgs),
    /// Make its figures final
    Conclude {
        /// As `list` shows it
        id: ExperimentId,
        /// What you make of them
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// Take it out of the way
    Archive {
        /// As `list` shows it
        id: ExperimentId,
    },
}

#[derive(Debug, clap::Args)]
struct NewArgs {
    /// What people call it
    name: String,
    /// What is measured of each session: cost, tokens, turns, calls, failures, duration
    #[arg(long, value_parser = metric)]
    metric: Metric,
    /// What is expected
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    hypothesis: String,
    /// What is changed
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    change: String,
    /// By how many per cent it shall change; less is negative
    #[arg(long, value_name = "PERCENT", default_value_t = TARGET_PERCENT, allow_negative_numbers = true)]
    target: i16,
    /// For how many days sessions that begin count
    #[arg(long, value_name = "N", default_value_t = DAYS)]
    days: u16,
    /// Which sessions are the control, as in model=sonnet; see `muster sessions query`
    #[arg(long, value_name = "QUERY")]
    control: Option<String>,
    /// Which sessions have the change
    #[arg(long, value_name = "QUERY")]
    treatment: Option<String>,
}

#[derive(Debug, clap::Args)]
struct TagArgs {
    /// The experiment, as `list` shows it
    id: ExperimentId,
    /// The session, or the beginning of its id
    session: String,
    /// Its host
    #[arg(long)]
    host: Option<HostName>,
    /// The side: control, treatment, none
    #[arg(value_parser = side)]
    variant: Side,
}

/// A side, or none: clap takes an option of an option for one that need not be given.
#[derive(Debug, Clone, Copy)]
struct Side(Option<Variant>);

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct NoWord(&'static str);

const METRICS: &[(&str, Metric)] = &[
    ("cost", Metric::CostUsd),
    ("tokens", Metric::Tokens),
    ("turns", Metric::Turns),
    ("calls", Metric::ToolCalls),
    ("failures", Metric::Failures),
    ("duration", Metric::Duration),
];

const STATES: [State; 4] = [State::Draft, State::Running, State::Concluded, State::Archived];

fn metric(text: &str) -> Result<Metric, NoWord> {
    let named = METRICS.iter().find(|(word, _)| *word == text);
    named
        .map(|(_, metric)| *metric)
        .ok_or(NoWord("metrics are cost, tokens, turns, calls, failures and duration"))
}

fn state(text: &str) -> Result<State, NoWord> {
    let named = STATES.into_iter().find(|state| state.as_str() == text);
    named.ok_or(NoWord("states are draft, running, concluded and archived"))
}

fn side(text: &str) -> Result<Side, NoWord> {
    match text {
        "control" => Ok(Side(Some(Variant::Control))),
        "treatment" => Ok(Side(Some(Variant::Treatment))),
        "none" => Ok(Side(None)),
        _ => Err(NoWord("sides are control, treatment and none")),
    }
}

pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<ExitCode> {
    let bus = hub::connect(global).await?;
    let request_id = Some(ask::request_id());
    let one = |id| ExperimentRequest {
        id,
        request_id: request_id.clone(),
    };
    let answer: ExperimentAnswer = match args.verb {
        Verb::List { state } => return list(&bus, global, state).await,
        Verb::New(args) => {
            let request = ExperimentsCreateRequest {
                name: args.name,
                hypothesis: args.hypothesis,
                change: args.change,
                metric: args.metric,
                target_percent: Some(args.target),
                duration_days: Some(args.days),
                control: args.control,
                treatment: args.treatment,
                request_id,
            };
            ask::command(&bus, global, Operation::ExperimentsCreate, &request).await?
        }
        Verb::Show { id } => {
            let asked = ask::ask(&bus, Operation::ExperimentsGet, &one(id)).await;
            asked.map_err(AskError::fatal)?.1
        }
        Verb::Start { id } => ask::command(&bus, global, Operation::ExperimentsStart, &one(id)).await?,
        Verb::Archive { id } => ask::command(&bus, global, Operation::ExperimentsArchive, &one(id)).await?,
        Verb::Tag(args) => {
            let found = ask::session(&bus, &args.session, args.host.as_ref()).await;
            let (host, session) = found.map_err(AskError::fatal)?;
            let request = ExperimentsTagRequest {
                id: args.id,
                session,
                host: Some(host),
                variant: args.variant.0,
                request_id,
            };
            let asked = ask::ask(&bus, Operation::ExperimentsTag, &request).await;
            asked.map_err(AskError::fatal)?.1
        }
        Verb::Conclude { id, note } => {
            let request = ExperimentsConcludeRequest { id, note, request_id };
            ask::command(&bus, global, Operation::ExperimentsConclude, &request).await?
        }
    };
    let experiment = answer.experiment;
    if global.json {
        output::json(&experiment)?;
    } else {
        show(&experiment);
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(bus: &Bus, global: &Global, state: Option<State>) -> anyhow::Result<ExitCode> {
    let mut request = ExperimentsListRequest {
        state,
        ..ExperimentsListRequest::default()
    };
    let mut all: Vec<ExperimentRow> = Vec::new();
    loop {
        let (_, page): (_, ExperimentsList) = ask::ask(bus, Operation::ExperimentsList, &request)
            .await
            .map_err(AskError::fatal)?;
        all.extend(page.experiments);
        request.cursor = page.next_cursor;
        if request.cursor.is_none() {
            break;
        }
    }
    if global.json {
        output::json(&all)?;
        return Ok(ExitCode::SUCCESS);
    }
    if all.is_empty() {
        output::line("no experiments; `muster experiment new` plans one");
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<[String; 5]> = all.iter().map(cells).collect();
    output::line(&format::table(
        ["EXPERIMENT", "NAME", "STATE", "METRIC", "OUTCOME"],
        &rows,
    ));
    Ok(ExitCode::SUCCESS)
}

fn cells(row: &ExperimentRow) -> [String; 5] {
    [
        row.id.to_string(),
        format::shorten(&row.plan.name, 40),
        row.state.as_str().to_owned(),
        measured(row.plan.metric).to_owned(),
        row.report.as_ref().map_or_else(|| "-".to_owned(), verdict),
    ]
}

fn measured(metric: Metric) -> &'static str {
    let named = METRICS.iter().find(|(_, of)| *of == metric);
    named.map_or("-", |(word, _)| word)
}

fn show(row: &ExperimentRow) {
    let plan = &row.plan;
    let mut lines = vec![
        format!("{}  {}", row.id, format::shorten(&plan.name, 80)),
        format!(
            "{}; {} shall change by {:+} %",
            row.state.as_str(),
            measured(plan.metric),
            plan.target_percent
        ),
    ];
    let named = [("hypothesis", &plan.hypothesis), ("change", &plan.change)];
    let texts = named.into_iter().filter(|(_, text)| !text.is_empty());
    lines.extend(texts.map(|(name, text)| format!("{name}: {}", format::shorten(text, 200))));
    let sides = [("control", &plan.control), ("treatment", &plan.treatment)];
    let queries = sides
        .into_iter()
        .filter_map(|(name, query)| Some((name, query.as_ref()?)));
    lines.extend(queries.map(|(name, query)| format!("{name}: {query}")));
    if let Some(report) = &row.report {
        let arms = [("control", &report.control), ("treatment", &report.treatment)];
        let rows = arms.map(|(name, arm)| figures(name, arm, &report.unit));
        lines.push(String::new());
        lines.push(format::table(
            ["SIDE", "SESSIONS", "MEAN", "MEDIAN", "DEVIATION"],
            &rows,
        ));
        lines.push(verdict(report));
    }
    if let Some(ended) = &row.concluded {
        let note = ended.note.as_deref().unwrap_or("no note");
        lines.push(format!("concluded by {}: {}", ended.by, format::shorten(note, 200)));
    }
    for line in lines {
        output::line(&line);
    }
}

fn figures(name: &str, arm: &ArmRow, unit: &str) -> [String; 5] {
    let amount = |amount: f64| match unit {
        "USD" => format::usd(Some(amount)),
        _ => format!("{amount:.1} {unit}"),
    };
    let sessions = match arm.running {
        0 => arm.sessions.to_string(),
        running => format!("{} ({running} running)", arm.sessions),
    };
    [
        name.to_owned(),
        sessions,
        amount(arm.mean),
        amount(arm.median),
        amount(arm.deviation),
    ]
}

/// What may be said of the difference, with the figures that it rests on.
fn verdict(report: &ExperimentReport) -> String {
    let said = match report.verdict {
        Verdict::TooFew => "too few sessions to say",
        Verdict::NoDifference => "no difference that is more than chance",
        Verdict::Met => "as it should",
        Verdict::Short => "less than it should",
        Verdict::Worse => "the other way",
    };
    match (report.change_percent, report.interval_percent) {
        (Some(change), Some((low, high))) => format!("{change:+.1} % ({low:+.1} to {high:+.1}): {said}"),
        (Some(change), None) => format!("{change:+.1} %: {said}"),
        (None, _) => said.to_owned(),
    }
}
