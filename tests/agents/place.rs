//! A home, a project, and a running muster of their own.

use muster_testkit::claude::Claude;
use muster_testkit::model::{ScriptedModel, Step};
use muster_testkit::process::{bin, free_port};
use muster_testkit::{Spawned, eventually};
use muster_tests::WITHIN;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub(crate) fn bash(command: &str, description: &str) -> Step {
    Step::tool("Bash", json!({ "command": command, "description": description }))
}

pub(crate) struct Place {
    dir: TempDir,
    home: PathBuf,
    project: PathBuf,
    nats: String,
    up: Spawned,
}

impl Place {
    /// Starts `muster up` on ports of its own, for a user whose settings already hold a hook.
    pub(crate) async fn up() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let (home, project) = (dir.path().join("home"), dir.path().join("project"));
        std::fs::create_dir_all(home.join(".claude")).expect("a folder");
        std::fs::create_dir(&project).expect("a folder");
        // The last key is what Claude Code itself would write in for a run that asks nothing.
        let own = format!("touch {}", dir.path().join("own-hook-ran").display());
        let settings = format!(
            "{{\n\t\"cleanupPeriodDays\":  30,\n\t\"skipDangerousModePermissionPrompt\": true,\n\t\"hooks\": {{\"Stop\": [{{\"hooks\": [{{\"type\": \"command\", \"command\": \"{own}\"}}]}}]}}\n}}"
        );
        std::fs::write(home.join(".claude/settings.json"), settings).expect("the settings");
        let ports: Vec<String> = (0..4).map(|_| free_port().to_string()).collect();
        let mut up = Command::new(bin("muster"));
        up.env("HOME", &home)
            .env_remove("XDG_STATE_HOME")
            .env_remove("XDG_RUNTIME_DIR");
        up.args([
            "up",
            "--host",
            "web-01",
            "--nats-port",
            &ports[0],
            "--ingest-port",
            &ports[1],
        ]);
        up.args(["--orchestrator-port", &ports[2], "--notifier-port", &ports[3]]);
        // The hook itself is what is installed, not the command under its name.
        let _ = bin("muster-hook");
        let nats = format!("nats://127.0.0.1:{}", ports[0]);
        let place = Self {
            dir,
            home,
            project,
            nats,
            up: Spawned::start(up),
        };
        eventually(WITHIN, async || {
            let output = place
                .command(&["--json", "sessions", "list"])
                .output()
                .expect("muster runs");
            if output.status.success() {
                Ok(())
            } else {
                Err(String::from_utf8_lossy(&output.stderr).into_owned())
            }
        })
        .await;
        place
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(bin("muster"));
        command
            .env("HOME", &self.home)
            .env_remove("XDG_STATE_HOME")
            .env_remove("XDG_RUNTIME_DIR")
            .env("MUSTER_NATS", &self.nats);
        command.current_dir(&self.project).args(args);
        command
    }

    /// Runs the command, which must succeed.
    pub(crate) fn muster(&self, args: &[&str]) -> String {
        let output = self.command(args).output().expect("muster runs");
        assert!(
            output.status.success(),
            "muster {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The one JSON document it prints; null when it refuses.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let output = self
            .command(&[&["--json"], args].concat())
            .output()
            .expect("muster runs");
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    /// The session's events, as the log holds them.
    pub(crate) fn events(&self, session: &str) -> Vec<Value> {
        let args = ["--json", "tail", "--no-follow", "--from-seq", "1", "--session", session];
        self.muster(&args)
            .lines()
            .map(|line| serde_json::from_str(line).expect("an envelope a line"))
            .collect()
    }

    /// Waits until the only session is in this state; its id.
    pub(crate) async fn state(&self, state: &str) -> String {
        eventually(WITHIN, async || {
            let list = self.json(&["sessions", "list"]);
            let id = list[0]["id"].as_str().filter(|_| list[0]["state"] == state);
            id.map(str::to_owned).ok_or(list)
        })
        .await
    }

    pub(crate) fn nats(&self) -> &str {
        &self.nats
    }

    /// By which a service proves itself to the hub.
    pub(crate) fn services_key(&self) -> PathBuf {
        self.home.join(".local/state/muster/up/services.nk")
    }

    pub(crate) fn project(&self) -> &Path {
        &self.project
    }

    pub(crate) fn settings(&self) -> PathBuf {
        self.home.join(".claude/settings.json")
    }

    /// Where the agent keeps its MCP servers, and much else.
    pub(crate) fn servers(&self) -> PathBuf {
        self.home.join(".claude.json")
    }

    /// The command itself.
    pub(crate) fn muster_command(&self) -> PathBuf {
        bin("muster")
    }

    pub(crate) fn own_hook_ran(&self) -> bool {
        self.dir.path().join("own-hook-ran").exists()
    }

    /// The agent alone.
    pub(crate) fn claude(&self, model: &ScriptedModel) -> Command {
        Claude::new(&self.home, &self.project, model.url()).command()
    }

    /// The agent under `muster run`.
    pub(crate) fn run(&self, model: &ScriptedModel) -> Command {
        let claude = self.claude(model);
        let mut run = Command::new(bin("muster"));
        run.env_clear()
            .envs(claude.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .current_dir(&self.project);
        run.arg("run")
            .arg("--")
            .arg(claude.get_program())
            .args(claude.get_args());
        run
    }
}

impl Drop for Place {
    /// Killed, it would leave its hub running for the next `up` to adopt; there is none. So it is asked to end.
    fn drop(&mut self) {
        let asked = Command::new("kill")
            .args(["-TERM", &self.up.pid().to_string()])
            .status();
        let until = Instant::now() + WITHIN;
        while asked.as_ref().is_ok_and(std::process::ExitStatus::success)
            && self.up.is_running()
            && Instant::now() < until
        {
            std::thread::sleep(Duration::from_millis(20)); // a destructor cannot wait in any other way
        }
    }
}
