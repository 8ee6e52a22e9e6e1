//! What several tiers of whole-system tests share: the services as real processes.

use muster_testkit::eventually;
use muster_testkit::process::{Spawned, bin, free_port};
use muster_wire::topology::Sizing;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A hub small enough for a test's server, which reserves what its streams may grow to.
pub fn sizing() -> Sizing {
    Sizing {
        events_bytes_max: 1 << 30,
        transcript_bytes_max: 1 << 28,
        ..Sizing::default()
    }
}

/// How long anything may take to come back. Generous: nothing is measured here.
pub const WITHIN: Duration = Duration::from_secs(90);

/// One child process, and how to start it again.
pub struct Service {
    binary: &'static str,
    /// What it is called.
    pub name: String,
    /// Its own folder: home, state and runtime folders lie in it.
    pub dir: PathBuf,
    port: u16,
    settings: Vec<(String, String)>,
    /// The process that runs now.
    pub process: Spawned,
}

impl Service {
    /// Starts `muster-…` with settings of its own, as `SECTION__KEY` and value.
    pub fn start(binary: &'static str, name: &str, root: &Path, nats: &str, own: &[(&str, String)]) -> Self {
        let prefix = format!("{}__", binary.to_uppercase().replace('-', "_"));
        let (dir, port) = (root.join(name), free_port());
        std::fs::create_dir_all(&dir).expect("a folder for a service");
        let mut settings = vec![
            (format!("{prefix}NATS__URL"), nats.to_owned()),
            (format!("{prefix}HTTP__LISTEN"), format!("127.0.0.1:{port}")),
            ("XDG_STATE_HOME".to_owned(), dir.join("state").display().to_string()),
            ("XDG_RUNTIME_DIR".to_owned(), dir.join("run").display().to_string()),
            ("HOME".to_owned(), dir.display().to_string()),
        ];
        settings.extend(own.iter().map(|(key, value)| (format!("{prefix}{key}"), value.clone())));
        let process = spawn(binary, &settings);
        Self {
            binary,
            name: name.to_owned(),
            dir,
            port,
            settings,
            process,
        }
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Kills it and starts it again on the same folder and port.
    pub async fn kill9_and_restart(&mut self) {
        self.process.kill9().await;
        self.process = spawn(self.binary, &self.settings);
    }

    /// Waits until it is ready and nothing about it is degraded.
    ///
    /// One that gave up because the hub was away is started again, as any supervisor would.
    pub async fn ready(&mut self) {
        let (url, name) = (format!("{}/readyz", self.url()), self.name.clone());
        let process = std::sync::Mutex::new(&mut self.process);
        eventually(WITHIN, async || {
            if let Ok(mut process) = process.lock()
                && !process.is_running()
            {
                **process = spawn(self.binary, &self.settings);
            }
            let response = reqwest::get(&url).await.map_err(|error| format!("{name}: {error}"))?;
            let (status, body) = (response.status(), response.text().await.unwrap_or_default());
            if status.is_success() && !body.contains("degraded") {
                Ok(())
            } else {
                Err(format!("{name}: {body}"))
            }
        })
        .await;
    }
}

fn spawn(binary: &str, settings: &[(String, String)]) -> Spawned {
    let mut command = Command::new(bin(binary));
    command.envs(settings.iter().cloned());
    Spawned::start(command)
}
