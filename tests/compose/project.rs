//! The compose project: up, looked at, down again with everything it made.

use crate::engine::Engine;
use muster_testkit::process::free_port;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

pub(crate) struct Project<'a> {
    engine: &'a Engine,
    name: String,
    ports: BTreeMap<&'static str, u16>,
}

impl<'a> Project<'a> {
    /// Builds and starts everything, on ports of its own.
    pub(crate) async fn up(engine: &'a Engine) -> Self {
        let ports = ["nats", "ingest", "orchestrator", "notifier"].map(|service| (service, free_port()));
        let project = Self {
            engine,
            name: format!("muster-test-{}", std::process::id()),
            ports: ports.into(),
        };
        let mut up = project.compose(&["up", "-d", "--build"]);
        let output = tokio::task::spawn_blocking(move || up.output())
            .await
            .expect("compose ends")
            .expect("compose runs");
        if !output.status.success() {
            let logs = project.compose(&["logs", "--no-color"]).output().expect("compose runs");
            panic!(
                "compose up failed:\n{}\n{}\n{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr),
                String::from_utf8_lossy(&logs.stdout)
            );
        }
        project
    }

    fn compose(&self, args: &[&str]) -> Command {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("the workspace")
            .to_owned();
        let mut command = self.engine.compose();
        command.current_dir(root).args(["-p", &self.name]).args(args);
        for (service, port) in &self.ports {
            command.env(format!("MUSTER_{}_PORT", service.to_uppercase()), port.to_string());
        }
        command
    }

    pub(crate) fn url(&self, service: &str) -> String {
        format!("http://127.0.0.1:{}", self.ports[service])
    }

    fn said(&self, args: &[&str]) -> String {
        let output = self.compose(args).output().expect("compose runs");
        assert!(
            output.status.success(),
            "compose {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// The generated token, read as the README says.
    pub(crate) fn token(&self) -> String {
        self.said(&["exec", "-T", "ingest", "cat", "/run/secrets/muster/token"])
    }

    /// What waits for an answer, asked with the command beside the services as the README says.
    pub(crate) fn approvals(&self) -> String {
        self.said(&["run", "--rm", "-T", "muster", "approvals", "--json"])
    }

    /// How an answer to nothing ends, which needs the operator's token all the same.
    pub(crate) fn refused(&self) -> String {
        let words = ["run", "--rm", "-T", "muster", "approve", "ffffffff"];
        let output = self.compose(&words).output().expect("compose runs");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// The user a service's container runs as.
    pub(crate) fn user_of(&self, service: &str) -> String {
        let container = self.said(&["ps", "-q", service]);
        let output = self
            .engine
            .docker()
            .args(["inspect", "--format", "{{.Config.User}}", &container])
            .output()
            .expect("docker runs");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Drop for Project<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let logs = self.compose(&["logs", "--no-color", "--tail", "40"]).output();
            eprintln!(
                "{}",
                logs.map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
                    .unwrap_or_default()
            );
        }
        // What is left after this goes with the private engine; on a user's engine there is no more to try.
        let _ = self.compose(&["down", "-v", "--timeout", "15"]).output();
    }
}
