//! The services as processes of their own, each of which can be killed, and an agent on one host.

use muster_bus::{Bus, Options, migrate};
use muster_testkit::claude::Claude;
use muster_testkit::eventually;
use muster_testkit::model::ScriptedModel;
use muster_testkit::nats::TestServer;
use muster_testkit::process::bin;
use muster_tests::{Service, WITHIN};
use serde_json::{Value, json};
use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

pub(crate) struct Parts {
    pub(crate) hub: TestServer,
    pub(crate) ingest: Service,
    /// The first leads, until it is killed.
    pub(crate) orchestrators: Vec<Service>,
    home: PathBuf,
    project: PathBuf,
    socket: PathBuf,
    token: PathBuf,
    dir: TempDir,
}

impl Parts {
    /// Starts everything for a user whose Claude Code reports to it.
    pub(crate) async fn start(orchestrators: usize) -> Self {
        Self::with(orchestrators, tempfile::tempdir().expect("a folder"), &[]).await
    }

    /// The same with a template by the name `worker`, of an agent that `model` leads.
    pub(crate) async fn spawning(model: &ScriptedModel) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let home = dir.path().join("worker");
        std::fs::create_dir(&home).expect("a folder");
        let claude = Claude::new(&home, dir.path(), model.url()).command();
        let set = claude.get_envs().filter_map(|(name, value)| Some((name, value?)));
        let set: Vec<String> = set
            .map(|(name, value)| format!("export {}='{}'\n", name.display(), value.display()))
            .collect();
        let program = dir.path().join("claude");
        let script = format!(
            "#!/bin/sh\n{}exec {} \"$@\"\n",
            set.concat(),
            claude.get_program().display()
        );
        std::fs::write(&program, script).expect("a program");
        std::fs::set_permissions(&program, Permissions::from_mode(0o700)).expect("a program");
        let template = |key: &str, value: &str| (format!("SPAWN__TEMPLATES__WORKER__{key}"), value.to_owned());
        let own = [
            template("CWD", &dir.path().join("project").display().to_string()),
            template("AGENT_PROGRAM", &program.display().to_string()),
            template("PERMISSION_MODE", "bypassPermissions"),
            template("PROMPT_PREFIX", "Be brief."),
            ("SPAWN__PROGRAM".to_owned(), bin("muster").display().to_string()),
        ];
        Self::with(0, dir, &own).await
    }

    async fn with(orchestrators: usize, dir: TempDir, ingest: &[(String, String)]) -> Self {
        let (home, project) = (dir.path().join("home"), dir.path().join("project"));
        std::fs::create_dir_all(home.join(".claude")).expect("a folder");
        std::fs::create_dir(&project).expect("a folder");
        let (socket, token) = (dir.path().join("ingest.sock"), dir.path().join("operator.token"));
        let file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&token);
        let mut file = file.expect("the token can be written");
        file.write_all(b"correct horse battery staple")
            .expect("the token can be written");
        let hub = TestServer::start().await;
        let nats = hub.client_url();
        let bus = Bus::connect(&Options::new(&nats, "test"))
            .await
            .expect("the hub is there");
        let prepared = migrate::migrate(&bus, &muster_tests::sizing(), migrate::Shrink::Refuse).await;
        prepared.expect("the hub is prepared");
        let mut own = vec![
            ("HOST__NAME", "web-01".to_owned()),
            ("SOCKET__PATH", socket.display().to_string()),
        ];
        own.extend(ingest.iter().map(|(key, value)| (key.as_str(), value.clone())));
        let mut parts = Self {
            ingest: Service::start("muster-ingest", "ingest", dir.path(), &nats, &own),
            orchestrators: Vec::new(),
            hub,
            home,
            project,
            socket,
            token,
            dir,
        };
        parts.ingest.ready().await;
        for number in 0..orchestrators {
            let own = [("OPERATOR__TOKEN_FILE", parts.token.display().to_string())];
            let name = format!("orchestrator-{number}");
            let mut service = Service::start("muster-orchestrator", &name, parts.root(), &nats, &own);
            service.ready().await;
            parts.orchestrators.push(service);
        }
        // The hook itself is what is installed, not the command under its name.
        let _ = bin("muster-hook");
        parts.muster(&["enroll", "claude-code"]);
        parts
    }

    fn root(&self) -> &Path {
        self.dir.path()
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut muster = Command::new(bin("muster"));
        muster
            .env("HOME", &self.home)
            .env_remove("XDG_STATE_HOME")
            .env_remove("XDG_RUNTIME_DIR");
        muster.env("MUSTER_NATS", self.hub.client_url());
        muster.env("MUSTER_OPERATOR_TOKEN_FILE", &self.token);
        muster.args(args).output().expect("muster runs")
    }

    /// Runs the command, which must succeed.
    pub(crate) fn muster(&self, args: &[&str]) {
        if let Err(refusal) = self.try_muster(args) {
            panic!("muster {args:?}: {refusal}");
        }
    }

    pub(crate) fn try_muster(&self, args: &[&str]) -> Result<(), String> {
        let output = self.run(args);
        if output.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// The one JSON document that the command prints; null when it refuses.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let output = self.run(&[&["--json"], args].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    /// All approvals, as the leader knows them.
    pub(crate) fn approvals(&self) -> Vec<Value> {
        let all = self.json(&["approvals", "--all"]);
        all.as_array().cloned().unwrap_or_default()
    }

    /// Waits until one approval is open; its id.
    pub(crate) async fn asked(&self) -> String {
        eventually(WITHIN, async || {
            let all = self.approvals();
            let open = all.iter().find(|row| row["resolution"].is_null());
            open.and_then(|row| row["id"].as_str()).map(str::to_owned).ok_or(all)
        })
        .await
    }

    /// How the only approval ended; null while it is open.
    pub(crate) fn answer(&self) -> Value {
        let all = self.approvals();
        assert!(all.len() <= 1, "{all:?}");
        all.into_iter()
            .next()
            .map_or(Value::Null, |row| row["resolution"]["answer"].clone())
    }

    /// The agent, which asks before it runs anything that writes.
    pub(crate) fn claude(&self, model: &ScriptedModel) -> Command {
        let mut claude = Claude::new(&self.home, &self.project, model.url()).command();
        claude.env("MUSTER_SOCKET", &self.socket);
        claude.args(["--permission-mode", "default"]);
        claude
    }

    /// The agent under a turn loop, which asks for nothing.
    pub(crate) fn turn_loop(&self, model: &ScriptedModel, args: &[&str]) -> Command {
        let claude = self.claude(model);
        let mut run = Command::new(bin("muster"));
        run.env_clear()
            .envs(claude.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .current_dir(&self.project);
        run.args(["run", "--agent", "claude-code", "--program"])
            .arg(claude.get_program())
            .args(args);
        run.args(["--", "--permission-mode", "bypassPermissions"]);
        run
    }

    /// The file that the scripted agent wants to make.
    pub(crate) fn made(&self) -> PathBuf {
        self.project.join("made.txt")
    }
}

/// The texts that the model was given as results of its calls.
pub(crate) fn results(model: &ScriptedModel) -> Vec<String> {
    let mut texts = Vec::new();
    for request in model.asked() {
        let messages = request["messages"].as_array().cloned().unwrap_or_default();
        for block in messages
            .iter()
            .flat_map(|message| message["content"].as_array().cloned().unwrap_or_default())
        {
            if block["type"] == json!("tool_result") {
                texts.push(
                    block["content"]
                        .as_str()
                        .map_or_else(|| block["content"].to_string(), str::to_owned),
                );
            }
        }
    }
    texts
}
