//! Sessions begun on this host by order: of templates that its owner wrote, and of nothing else.
//!
//! Whoever orders one chooses a template, words for the agent, a model's name and a lower budget. The words go to the
//! program's standard input; nothing of an order is ever read by a shell or taken for an option. What runs is `muster run`,
//! in a process group of its own: it goes on when this service ends, and comes back to the next one as its carrier.

use super::logs;
use anyhow::Context as _;
use muster_domain::ids::EffectId;
use muster_domain::names::SessionId;
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

/// How long a session may take to begin, as long as an order for one may wait.
const BEGINS_WITHIN: Duration = Duration::from_mins(2);
/// Bytes of its log that are told where it did not.
const TOLD_BYTES: u64 = 400;
/// The only environment that every run gets; templates name what else.
const ENVIRONMENT: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
    "XDG_STATE_HOME",
    "XDG_CONFIG_HOME",
];

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub program: PathBuf,
    pub at_once: usize,
    pub templates: BTreeMap<String, Template>,
}

/// What a session may be.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    pub cwd: PathBuf,
    #[serde(default)]
    pub agent_program: Option<PathBuf>,
    #[serde(default)]
    pub model: Option<String>,
    #[serde(default)]
    pub permission_mode: Option<String>,
    #[serde(default)]
    pub args: Vec<String>,
    #[serde(default)]
    pub env_allow: Vec<String>,
    #[serde(default)]
    pub prompt_prefix: String,
    #[serde(default)]
    pub budget_usd: Option<f64>,
}

/// Why an order for a session is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    #[error("this host has no template {0:?}; its owner adds [spawn.templates.{0}] to ingest's configuration")]
    NoTemplate(String),
    #[error("this host runs {0} sessions begun by order already, and spawn.at_once allows no more")]
    TooMany(usize),
    #[error("the order names no session that can be begun: its id is no UUID")]
    NoSession,
    #[error("{0:?} is no name of a model")]
    Model(String),
    #[error("the template's first argument must be an option, as in \"--allowedTools=Bash\"")]
    Arguments,
}

/// A session as it is begun.
#[derive(Debug)]
pub(crate) struct Plan {
    session: SessionId,
    args: Vec<OsString>,
    env: Vec<(String, OsString)>,
    prompt: String,
}

/// An order whose session has no carrier yet.
struct Beginning {
    effect: EffectId,
    until: Instant,
    group: Option<Pid>,
}

pub(crate) struct Spawner {
    config: Config,
    socket: PathBuf,
    logs: PathBuf,
    beginning: HashMap<SessionId, Beginning>,
    running: JoinSet<(SessionId, String)>,
}

impl Spawner {
    /// Begins sessions that report at `socket`, and keeps their logs below `dir`.
    pub(crate) fn new(config: Config, socket: &Path, dir: &Path) -> Self {
        Self {
            config,
            socket: socket.to_owned(),
            logs: dir.join("runs"),
            beginning: HashMap::new(),
            running: JoinSet::new(),
        }
    }

    /// How an ordered session would be begun.
    pub(crate) fn plan(
        &self,
        template: &str,
        session: Option<&SessionId>,
        model: Option<&str>,
        budget_usd_micros: Option<u64>,
        prompt: &str,
    ) -> Result<Plan, PlanError> {
        let named = self.config.templates.get(template);
        let Template {
            cwd,
            agent_program,
            model: usual_model,
            permission_mode,
            args: own,
            env_allow,
            prompt_prefix,
            budget_usd,
        } = named.ok_or_else(|| PlanError::NoTemplate(template.to_owned()))?;
        if self.running.len() >= self.config.at_once {
            return Err(PlanError::TooMany(self.running.len()));
        }
        let session = session.filter(|session| session.as_str().parse::<uuid::Uuid>().is_ok());
        let session = session.ok_or(PlanError::NoSession)?.clone();
        let option = |name: &str, value: &dyn AsRef<std::ffi::OsStr>| {
            let mut option = OsString::from(format!("--{name}="));
            option.push(value.as_ref());
            option
        };
        let mut args: Vec<OsString> = vec!["run".into(), "--agent=claude-code".into(), "--prompt=-".into()];
        args.push(option("session", &session.as_str()));
        args.push(option("socket", &self.socket));
        args.push(option("cwd", cwd));
        args.extend(agent_program.as_ref().map(|program| option("program", program)));
        if let Some(model) = model.or(usual_model.as_deref()) {
            if !names_a_model(model) {
                return Err(PlanError::Model(model.to_owned()));
            }
            args.push(option("model", &model));
        }
        args.push("--".into());
        args.extend(permission_mode.as_ref().map(|mode| option("permission-mode", mode)));
        let asked = budget_usd_micros.map(usd);
        let budget = match (asked, *budget_usd) {
            (Some(asked), Some(own)) => Some(asked.min(own)),
            (asked, own) => asked.or(own),
        };
        args.extend(budget.map(|budget| OsString::from(format!("--max-budget-usd={budget}"))));
        if own.first().is_some_and(|first| !first.starts_with('-')) {
            return Err(PlanError::Arguments);
        }
        args.extend(own.iter().map(OsString::from));
        let names = ENVIRONMENT.iter().copied().chain(env_allow.iter().map(String::as_str));
        let env = names.filter_map(|name| Some((name.to_owned(), std::env::var_os(name)?)));
        let prefix = prompt_prefix.trim_end();
        Ok(Plan {
            session,
            args,
            env: env.collect(),
            prompt: if prefix.is_empty() {
                prompt.to_owned()
            } else {
                format!("{prefix}\n\n{prompt}")
            },
        })
    }

    /// Begins the session.
    ///
    /// # Errors
    /// When its program or its log cannot be had.
    pub(crate) fn start(&mut self, effect: EffectId, plan: Plan) -> anyhow::Result<()> {
        let program = self.program()?;
        let path = self.logs.join(format!("{}.log", plan.session));
        let log = logs::open(&path).with_context(|| format!("opening {}", path.display()))?;
        let mut command = Command::new(&program);
        command.args(&plan.args).env_clear().envs(plan.env);
        command
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0);
        let mut child = command
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let beginning = Beginning {
            effect,
            until: Instant::now() + BEGINS_WITHIN,
            group,
        };
        self.beginning.insert(plan.session.clone(), beginning);
        let stdin = child.stdin.take();
        self.running.spawn(async move {
            if let Some(mut stdin) = stdin {
                // One that does not read it says why in its log.
                let _ = stdin.write_all(plan.prompt.as_bytes()).await;
            }
            let why = ended(child, &path).await;
            (plan.session, why)
        });
        Ok(())
    }

    /// `muster`, as configured or beside this program, which may be it.
    fn program(&self) -> anyhow::Result<PathBuf> {
        if !self.config.program.as_os_str().is_empty() {
            return Ok(self.config.program.clone());
        }
        let own = std::env::current_exe().context("set spawn.program: this program does not know its own path")?;
        Ok(own.with_file_name("muster"))
    }

    /// The next session that ended, and how.
    pub(crate) async fn ended(&mut self) -> Option<(SessionId, String)> {
        self.running.join_next().await?.ok()
    }

    /// The process group that a session begins in, until it has a carrier.
    pub(crate) fn group(&self, session: &SessionId) -> Option<Pid> {
        self.beginning.get(session)?.group
    }

    /// A session has its carrier, or never will.
    pub(crate) fn settled(&mut self, session: &SessionId) {
        self.beginning.remove(session);
    }

    /// Ends the sessions that did not begin in time.
    pub(crate) fn out_of_time(&mut self, now: Instant) -> Vec<(EffectId, String)> {
        let late = self.beginning.extract_if(|_, beginning| beginning.until <= now);
        late.map(|(session, beginning)| {
            if let Some(group) = beginning.group {
                // It may have ended just now.
                let _ = kill_process_group(group, Signal::KILL);
            }
            let seconds = BEGINS_WITHIN.as_secs();
            (
                beginning.effect,
                format!("session {session} did not report within {seconds} s and was killed"),
            )
        })
        .collect()
    }
}

async fn ended(mut child: Child, log: &Path) -> String {
    let status = match child.wait().await {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    let end = logs::end(log, TOLD_BYTES).unwrap_or_default();
    format!("it ended before it began ({status}): {}", end.trim())
}

/// What models are called, and nothing that looks like an option.
fn names_a_model(model: &str) -> bool {
    let first = model.chars().next().is_some_and(|first| first.is_ascii_alphanumeric());
    first
        && model.len() <= 128
        && model
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.:/@[]".contains(c))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a budget of more than nine billion dollars may be off by a millionth"
)]
fn usd(micros: u64) -> f64 {
    micros as f64 / 1_000_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spawner(template: &str) -> Spawner {
        let text = format!(r#"{{"program": "", "at_once": 2, "templates": {{"worker": {template}}}}}"#);
        let config = serde_json::from_str(&text).unwrap();
        Spawner::new(config, Path::new("/run/ingest.sock"), Path::new("/nowhere"))
    }

    fn session() -> SessionId {
        SessionId::new("78e6edba-fbb9-4db4-878f-fd73757b08ad").unwrap()
    }

    fn args(plan: &Plan) -> Vec<String> {
        plan.args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect()
    }

    #[tokio::test]
    async fn only_what_the_template_allows_is_begun() {
        let spawner =
            spawner(r#"{"cwd": "/srv/app", "permission_mode": "acceptEdits", "budget_usd": 2, "model": "haiku"}"#);
        let plan = spawner
            .plan("worker", Some(&session()), None, Some(500_000), "--help; rm -rf /")
            .unwrap();
        let expected = [
            "run",
            "--agent=claude-code",
            "--prompt=-",
            "--session=78e6edba-fbb9-4db4-878f-fd73757b08ad",
            "--socket=/run/ingest.sock",
            "--cwd=/srv/app",
            "--model=haiku",
            "--",
            "--permission-mode=acceptEdits",
            "--max-budget-usd=0.5",
        ];
        assert_eq!(args(&plan), expected);
        assert_eq!(plan.prompt, "--help; rm -rf /");
        let dear = spawner
            .plan("worker", Some(&session()), Some("opus"), Some(9_000_000), "x")
            .unwrap();
        assert!(args(&dear).contains(&"--max-budget-usd=2".to_owned()));
        assert!(args(&dear).contains(&"--model=opus".to_owned()));
    }

    #[tokio::test]
    async fn what_it_does_not_allow_is_refused_with_the_reason() {
        let spawner = spawner(r#"{"cwd": "/srv/app", "args": ["rm"]}"#);
        let refused = |template, session: Option<&SessionId>, model| {
            let plan = spawner.plan(template, session, model, None, "x");
            plan.unwrap_err().to_string()
        };
        assert!(refused("root", Some(&session()), None).starts_with("this host has no template \"root\""));
        assert!(refused("worker", Some(&session()), None).contains("must be an option"));
        assert!(refused("worker", Some(&session()), Some("--danger")).contains("no name of a model"));
        assert!(refused("worker", None, None).contains("no UUID"));
    }
}
