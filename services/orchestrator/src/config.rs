//! Configuration: one section a part. `config.default.toml` is its manual.

mod alerts;

use alerts::Alerts;
use muster_domain::{approval, budget, circuit, delegation, fleet, memory, message};
use muster_runtime::config::HumanDuration;
use muster_runtime::exit::Failure;
use muster_runtime::service::Settings;
use muster_runtime::{http, paths};
use muster_wire::api::BudgetsSetRequest;
use serde::Deserialize;
use std::path::PathBuf;

/// Everything that can be configured.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The hub.
    pub nats: Nats,
    /// Health, metrics, and the tools.
    pub http: http::Config,
    /// Snapshots.
    pub state: State,
    /// Rules of the fold.
    pub fold: Fold,
    /// Requests for permission.
    pub approvals: Approvals,
    /// Agents that keep failing.
    pub circuits: Circuits,
    /// What sessions may spend.
    pub budgets: Budgets,
    /// How full contexts are.
    pub memory: Memory,
    /// When somebody should look.
    pub alerts: Alerts,
    /// Who may write to whom.
    pub messages: message::Settings,
    /// Work that sessions hand to agents.
    pub delegations: Delegations,
    /// Who may decide.
    pub operator: Operator,
    /// Answering.
    pub requests: Requests,
    /// The tools over HTTP.
    pub mcp: Mcp,
    /// Logs, traces, metrics.
    pub telemetry: muster_telemetry::Config,
    /// Draining.
    pub shutdown: Shutdown,
}

/// The hub.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nats {
    /// Where it is.
    pub url: String,
    /// Credentials; empty for none.
    pub credentials_file: PathBuf,
    /// Certificate authority; empty for the system's.
    pub ca_file: PathBuf,
    /// Monitoring address; empty does not ask.
    pub monitor_url: String,
}

/// Snapshots.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Where; empty for the user's state folder.
    pub dir: PathBuf,
    /// Events between two.
    pub snapshot_events: u64,
    /// Time between two.
    pub snapshot_every: HumanDuration,
    /// Time between two copies to the hub.
    pub hub_copy_every: HumanDuration,
}

/// Rules of the fold.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fold {
    /// Until an unwatched session is unknown.
    pub silence: HumanDuration,
    /// Until an ended session leaves the state.
    pub retention: HumanDuration,
}

/// Requests for permission.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approvals {
    /// Until it is announced again.
    pub remind: HumanDuration,
    /// Until it is announced as escalated.
    pub escalate: HumanDuration,
    /// What the agent is told when nobody answered.
    pub fallback: approval::Fallback,
    /// How long an ended one can be looked up.
    pub keep: HumanDuration,
}

/// Agents that keep failing.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Circuits {
    /// Failures in a row that open a circuit.
    pub failure_threshold: u32,
    /// Until a probe may be asked for, the first time.
    pub cooldown: HumanDuration,
    /// At most.
    pub cooldown_max: HumanDuration,
    /// Until a probe without a word is over.
    pub probe: HumanDuration,
    /// For how long beyond that hosts deny that cannot ask.
    pub grace: HumanDuration,
    /// How deep delegations may nest.
    pub max_depth: u32,
}

/// What sessions may spend.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budgets {
    /// Part of a budget that is worth a warning, in per cent.
    pub warn_percent: u8,
    /// In force until somebody sets or removes one of the same id.
    pub rules: Vec<Budget>,
}

/// A limit that nobody could keep.
#[derive(Debug, thiserror::Error)]
#[error("a budget's limit is more than 0, and {0} is not")]
pub struct NoLimit(f64);

/// A budget.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "BudgetsSetRequest")]
pub struct Budget(budget::Rule);

impl TryFrom<BudgetsSetRequest> for Budget {
    type Error = NoLimit;

    fn try_from(request: BudgetsSetRequest) -> Result<Self, NoLimit> {
        let rule = request.rule().filter(|rule| rule.limit > 0);
        rule.map(Self).ok_or(NoLimit(request.limit))
    }
}

/// How full contexts are.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Worth a look, in hundredths of the window.
    pub warn_percent: u8,
    /// Soon full.
    pub alert_percent: u8,
    /// To be compacted now.
    pub compact_percent: u8,
    /// How long the first measure after a compaction is waited for.
    pub settle: HumanDuration,
}

/// Work that sessions hand to agents.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delegations {
    /// Until one without a call is stale.
    pub queued: HumanDuration,
    /// Until one whose run is not heard of is stale.
    pub running: HumanDuration,
}

/// Who may decide.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operator {
    /// The token's file; empty for the one in the user's state folder.
    pub token_file: PathBuf,
}

/// Answering.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requests {
    /// At the same time.
    pub at_once: usize,
}

/// The tools over HTTP.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mcp {
    /// Whether they are served.
    pub enabled: bool,
}

/// Draining.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shutdown {
    /// How long it may take.
    pub grace: HumanDuration,
}

impl Memory {
    /// Refuses thresholds that no context could pass in their order.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        if self.settings().is_rising() {
            return Ok(());
        }
        let text =
            "memory.warn_percent, alert_percent and compact_percent must rise strictly, from above 0 to at most 100";
        Err(Failure::Config(text.to_owned()).into())
    }

    fn settings(&self) -> memory::Settings {
        memory::Settings {
            warn_percent: self.warn_percent,
            alert_percent: self.alert_percent,
            compact_percent: self.compact_percent,
            settle: self.settle.get(),
        }
    }
}

impl Config {
    /// What the fold is told.
    pub(crate) fn fleet(&self) -> fleet::Settings {
        fleet::Settings {
            silence: self.fold.silence.get(),
            retention: self.fold.retention.get(),
            approvals: approval::Settings {
                remind: self.approvals.remind.get(),
                escalate: self.approvals.escalate.get(),
                fallback: self.approvals.fallback,
                keep: self.approvals.keep.get(),
            },
            circuits: circuit::Settings {
                failure_threshold: self.circuits.failure_threshold.max(1),
                cooldown: self.circuits.cooldown.get(),
                cooldown_max: self.circuits.cooldown_max.get(),
                probe: self.circuits.probe.get(),
                grace: self.circuits.grace.get(),
                max_depth: self.circuits.max_depth,
            },
            delegations: delegation::Settings {
                queued: self.delegations.queued.get(),
                running: self.delegations.running.get(),
            },
            budgets: budget::Settings {
                rules: self.budgets.rules.iter().map(|budget| budget.0.clone()).collect(),
                warn_percent: self.budgets.warn_percent,
            },
            memory: self.memory.settings(),
            alerts: self.alerts.settings(),
            messages: self.messages,
        }
    }

    /// Where snapshots are kept.
    pub(crate) fn state_dir(&self) -> anyhow::Result<PathBuf> {
        if self.state.dir.as_os_str().is_empty() {
            return Ok(paths::Dirs::from_env()?.state.join("orchestrator"));
        }
        Ok(self.state.dir.clone())
    }

    /// Where the operator's token is.
    ///
    /// # Errors
    /// When it is to be in the user's state folder, and there is none.
    pub fn operator_token(&self) -> anyhow::Result<PathBuf> {
        if self.operator.token_file.as_os_str().is_empty() {
            return Ok(paths::Dirs::from_env()?.state.join("operator.token"));
        }
        Ok(self.operator.token_file.clone())
    }

    /// How to reach the hub.
    pub(crate) fn bus(&self, instance: &str) -> muster_bus::Options {
        let file = |path: &PathBuf| (!path.as_os_str().is_empty()).then(|| path.clone());
        let mut options = muster_bus::Options::new(self.nats.url.clone(), format!("orchestrator/{instance}"));
        options.credentials = file(&self.nats.credentials_file);
        options.ca_file = file(&self.nats.ca_file);
        options
    }
}

impl Settings for Config {
    fn telemetry(&self) -> &muster_telemetry::Config {
        &self.telemetry
    }

    fn http(&self) -> &http::Config {
        &self.http
    }
}
