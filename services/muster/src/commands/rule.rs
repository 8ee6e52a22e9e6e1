//! `muster rule`: queries, and what is done about the sessions that they find.

use super::lease::word;
use crate::args::Global;
use crate::ask::{self, AskError, ask};
use crate::{format, hub, output};
use muster_domain::alert::Severity;
use muster_domain::review::Action;
use muster_domain::time::Timestamp;
use muster_wire::api::{
    RuleAnswer, RuleRow, RuleRunRow, RulesCreateRequest, RulesList, RulesListRequest, RulesRan, RulesRunRequest,
    RulesSwitchRequest,
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
    /// Make a rule, which is on; needs the operator's token
    Create {
        /// What it is called
        name: String,
        /// Which sessions: a query, as in "errors>=3 agent=codex"
        filter: String,
        /// create_case, queue_review or emit_alert
        #[arg(value_parser = word::<Action>)]
        action: Action,
        /// Why, in at most 1 KiB
        message: Option<String>,
        /// How much its alerts matter: info, warning or critical
        #[arg(long, value_parser = word::<Severity>)]
        severity: Option<Severity>,
    },
    /// Every rule
    List,
    /// Do what the rules that are on say about the sessions they find, once each; needs the operator's token
    Run {
        /// Only this rule
        id: Option<u64>,
        /// Only about sessions heard of since then: an age, as in 7d, or a time
        #[arg(long, value_parser = format::moment_arg)]
        since: Option<Timestamp>,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Switch a rule on; needs the operator's token
    Enable {
        /// Its number
        id: u64,
    },
    /// Switch a rule off, and clear its alerts; needs the operator's token
    Disable {
        /// Its number
        id: u64,
    },
}

pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<ExitCode> {
    let bus = hub::connect(global).await?;
    let request_id = Some(ask::request_id());
    let answer: RuleAnswer = match args.verb {
        Verb::Create {
            name,
            filter,
            action,
            message,
            severity,
        } => {
            let question = RulesCreateRequest {
                name,
                filter,
                action,
                message,
                severity,
                request_id,
            };
            ask::command(&bus, global, Operation::RulesCreate, &question).await?
        }
        Verb::Enable { id } => {
            let question = RulesSwitchRequest { id, request_id };
            ask::command(&bus, global, Operation::RulesEnable, &question).await?
        }
        Verb::Disable { id } => {
            let question = RulesSwitchRequest { id, request_id };
            ask::command(&bus, global, Operation::RulesDisable, &question).await?
        }
        Verb::List => {
            let listed = ask(&bus, Operation::RulesList, &RulesListRequest {}).await;
            let (_, list): (_, RulesList) = listed.map_err(AskError::fatal)?;
            if global.json {
                output::json(&list)?;
            } else if list.rules.is_empty() {
                output::line("no rules");
            } else {
                output::line(&table(&list.rules, format::now()));
            }
            return Ok(ExitCode::SUCCESS);
        }
        Verb::Run { id, since, dry_run } => {
            let question = RulesRunRequest {
                id,
                since,
                dry_run,
                request_id,
            };
            let ran: RulesRan = ask::command(&bus, global, Operation::RulesRun, &question).await?;
            if global.json {
                output::json(&ran)?;
            } else {
                output::line(&told(&ran));
            }
            return Ok(ExitCode::SUCCESS);
        }
    };
    if global.json {
        output::json(&answer.rule)?;
    } else {
        output::line(&format!(
            "{}: {} is {}",
            answer.rule.id,
            answer.rule.name,
            state(&answer.rule)
        ));
    }
    Ok(ExitCode::SUCCESS)
}

const fn state(row: &RuleRow) -> &'static str {
    if row.enabled { "on" } else { "off" }
}

fn table(rows: &[RuleRow], now: Timestamp) -> String {
    let cells: Vec<[String; 7]> = rows
        .iter()
        .map(|row| {
            [
                row.id.to_string(),
                format::shorten(&row.name, 30),
                state(row).to_owned(),
                row.action.as_str().to_owned(),
                row.acted.to_string(),
                row.ran_at.map_or_else(|| "never".to_owned(), |at| format::age(now, at)),
                format::shorten(&row.filter, 100),
            ]
        })
        .collect();
    format::table(["RULE", "NAME", "STATE", "DOES", "DID", "LAST", "FINDS"], &cells)
}

fn told(ran: &RulesRan) -> String {
    if ran.rules.is_empty() {
        return "no rule is on".to_owned();
    }
    let does = if ran.dry_run { "would do" } else { "does" };
    let each = |row: &RuleRunRow| {
        let mut lines = vec![format!(
            "{}: {} finds {}, did {} before, and {does} {} now ({})",
            row.id,
            row.name,
            row.matched,
            row.already,
            row.acted.len(),
            row.action.as_str()
        )];
        lines.extend(row.acted.iter().map(|acted| {
            let number = acted.number.map(|number| format!(": {number}")).unwrap_or_default();
            format!("  session {} on {}{number}", acted.session_id, acted.host)
        }));
        if row.left > 0 {
            let why = row.stopped.as_deref().unwrap_or("run it again");
            lines.push(format!("  {} are left: {why}", row.left));
        } else if let Some(why) = &row.stopped {
            lines.push(format!("  {why}"));
        }
        lines.join("\n")
    };
    ran.rules.iter().map(each).collect::<Vec<_>>().join("\n")
}
