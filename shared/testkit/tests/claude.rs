//! The real Claude Code, led by a scripted model: what its hooks report and what it prints about itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use muster_testkit::claude::Claude;
use muster_testkit::model::{Rule, ScriptedModel, Step};
use muster_testkit::tmux::Tmux;
use muster_testkit::{Spawned, eventually};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A first start unpacks the program's parts; the rest is a second.
const PATIENCE: Duration = Duration::from_secs(60);

const HOOKS: [&str; 12] = [
    "SessionStart",
    "SessionEnd",
    "UserPromptSubmit",
    "PreToolUse",
    "PostToolUse",
    "PostToolUseFailure",
    "PostToolBatch",
    "PermissionRequest",
    "SubagentStart",
    "SubagentStop",
    "Stop",
    "StopFailure",
];

#[tokio::test]
async fn a_run_reports_its_tools_its_failure_and_its_subagent() {
    let place = Place::new();
    let notes = place.project().join("notes.txt");
    let model = ScriptedModel::start([
        Rule::new(
            "count the files",
            [bash("echo counted", "Count"), Step::text("There is one.")],
        ),
        Rule::new(
            "take the tour",
            [
                bash("echo hello", "Greet"),
                Step::tool("Write", json!({ "file_path": notes, "content": "noted\n" })),
                bash("exit 3", "Fail").refused_first(1, 529),
                Step::tool(
                    "Agent",
                    json!({
                        "description": "Count files", "prompt": "count the files", "subagent_type": "general-purpose",
                        "run_in_background": false,
                    }),
                ),
                Step::text("The tour is over."),
            ],
        ),
    ])
    .await;

    let mut command = Claude::new(place.home(), place.project(), model.url()).command();
    command
        .args(["-p", "take the tour", "--settings"])
        .arg(place.settings())
        .args([
            "--permission-mode",
            "bypassPermissions",
            "--output-format",
            "stream-json",
            "--verbose",
        ]);
    let mut claude = Spawned::start(command);
    assert!(claude.wait(PATIENCE).await.success());
    assert_eq!(fs::read_to_string(&notes).unwrap(), "noted\n");

    let hooks = place.hooks();
    assert_eq!(
        hooks.iter().map(brief).collect::<Vec<_>>(),
        [
            "SessionStart",
            "UserPromptSubmit",
            "PreToolUse Bash",
            "PostToolUse Bash",
            "PostToolBatch",
            "PreToolUse Write",
            "PostToolUse Write",
            "PostToolBatch",
            "PreToolUse Bash",
            "PostToolUseFailure Bash",
            "PostToolBatch",
            "PreToolUse Agent",
            "SubagentStart in general-purpose",
            "PreToolUse Bash in general-purpose",
            "PostToolUse Bash in general-purpose",
            "PostToolBatch in general-purpose",
            "SubagentStop in general-purpose",
            "PostToolUse Agent",
            "PostToolBatch",
            "Stop",
            "SessionEnd",
        ]
    );

    let frames: Vec<Value> = claude
        .stdout()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let result = frames.last().unwrap();
    assert_eq!(
        (
            &result["type"],
            &result["subtype"],
            &result["result"],
            &result["session_id"]
        ),
        (
            &json!("result"),
            &json!("success"),
            &json!("The tour is over."),
            &hooks[0]["session_id"]
        )
    );
    let by_model: f64 = result["modelUsage"]
        .as_object()
        .unwrap()
        .values()
        .map(|model| model["costUSD"].as_f64().unwrap())
        .sum();
    let total = result["total_cost_usd"].as_f64().unwrap();
    assert!(
        total > 0.0 && (total - by_model).abs() < 1e-9,
        "{total} in all, {by_model} over the models"
    );
    let retried = |frame: &&Value| frame["subtype"] == "api_retry";
    assert_eq!(frames.iter().filter(retried).count(), 1);
    assert!(model.asked().len() >= 8);
}

#[tokio::test]
async fn a_killed_terminal_session_reports_no_end() {
    let place = Place::new();
    let model = ScriptedModel::start([Rule::new("wait for me", [bash("tail -f /dev/null", "Wait")])]).await;
    let mut command = Claude::new(place.home(), place.project(), model.url()).command();
    command
        .arg("--settings")
        .arg(place.settings())
        .args(["--permission-mode", "default", "--allowedTools", "Bash"]);
    let terminal = Tmux::start(&command);
    place.reported("SessionStart").await;
    let asked = || place.hooks().iter().any(|hook| brief(hook) == "UserPromptSubmit");
    terminal.submit("wait for me", asked).await;
    place.reported("PreToolUse Bash").await;

    let pid = terminal.pid();
    let killed = Command::new("kill").args(["-9", &pid.to_string()]).status();
    assert!(killed.unwrap().success());
    let gone = || std::future::ready((!Path::new(&format!("/proc/{pid}")).exists()).then_some(()));
    eventually(PATIENCE, gone).await;
    let told: Vec<String> = place.hooks().iter().map(brief).collect();
    assert_eq!(told, ["SessionStart", "UserPromptSubmit", "PreToolUse Bash"]);
}

/// Event, tool and subagent of a hook's payload.
fn brief(hook: &Value) -> String {
    let mut brief = hook["hook_event_name"].as_str().expect("a hook has a name").to_owned();
    if let Some(tool) = hook["tool_name"].as_str() {
        brief = format!("{brief} {tool}");
    }
    match hook["agent_type"].as_str() {
        Some(agent) => format!("{brief} in {agent}"),
        None => brief,
    }
}

fn bash(command: &str, description: &str) -> Step {
    Step::tool("Bash", json!({ "command": command, "description": description }))
}

/// A home and a project, with hooks that write down what they are told.
struct Place {
    dir: TempDir,
    home: PathBuf,
    project: PathBuf,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder can be made");
        let (home, project) = (dir.path().join("home"), dir.path().join("project"));
        for folder in [&home, &project] {
            fs::create_dir(folder).expect("it can hold folders");
        }
        let place = Self { dir, home, project };
        let log = place.hook_log();
        // One at a time: hooks of tools that run side by side would mix their lines.
        let record = format!("flock {0}.lock sh -c '(cat; echo) >> {0}'", log.display());
        let entry = json!([{ "hooks": [{ "type": "command", "command": record }] }]);
        let hooks: serde_json::Map<String, Value> =
            HOOKS.map(|name| (name.to_owned(), entry.clone())).into_iter().collect();
        fs::write(place.settings(), json!({ "hooks": hooks }).to_string()).expect("the settings can be written");
        place
    }

    fn home(&self) -> &Path {
        &self.home
    }

    fn project(&self) -> &Path {
        &self.project
    }

    fn settings(&self) -> PathBuf {
        self.dir.path().join("settings.json")
    }

    fn hook_log(&self) -> PathBuf {
        self.dir.path().join("hooks.jsonl")
    }

    async fn reported(&self, hook: &str) {
        eventually(PATIENCE, async || {
            let told: Vec<String> = self.hooks().iter().map(brief).collect();
            if told.iter().any(|told| told == hook) {
                Ok(())
            } else {
                Err(told)
            }
        })
        .await;
    }

    fn hooks(&self) -> Vec<Value> {
        let log = fs::read_to_string(self.hook_log()).unwrap_or_default();
        log.lines()
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_str(line).expect("a hook is told JSON"))
            .collect()
    }
}
