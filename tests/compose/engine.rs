//! A Docker engine: the one at hand, or a private one.

use muster_testkit::eventually;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// An engine that answers.
pub(crate) struct Engine {
    host: Option<String>,
    /// Whether it is ours alone, and can pull nothing.
    pub(crate) private: bool,
    daemon: Option<Child>,
    dir: Option<PathBuf>,
}

impl Engine {
    pub(crate) async fn at_hand() -> Self {
        let given = Self {
            host: None,
            private: false,
            daemon: None,
            dir: None,
        };
        if given.answers() {
            given.compose_or_install();
            return given;
        }
        Self::private().await
    }

    async fn private() -> Self {
        install("dockerd", "docker.io");
        install("iptables", "iptables");
        // Sockets have short names only: a folder of the build would be too deep.
        let dir = std::env::temp_dir().join(format!("muster-engine-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a folder for the engine");
        let socket = format!("unix://{}", dir.join("docker.sock").display());
        let log = std::fs::File::create(dir.join("dockerd.log")).expect("a log for the engine");
        let daemon = Command::new("dockerd")
            .arg("--host")
            .arg(&socket)
            .arg("--data-root")
            .arg(dir.join("data"))
            .arg("--exec-root")
            .arg(dir.join("exec"))
            .arg("--pidfile")
            .arg(dir.join("dockerd.pid"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("dockerd starts: this test needs Docker, or root on Debian to install and start it");
        let engine = Self {
            host: Some(socket),
            private: true,
            daemon: Some(daemon),
            dir: Some(dir),
        };
        eventually(Duration::from_secs(60), async || {
            if engine.answers() { Ok(()) } else { Err(engine.log()) }
        })
        .await;
        engine.compose_or_install();
        engine
    }

    fn log(&self) -> String {
        self.dir
            .as_ref()
            .and_then(|dir| std::fs::read_to_string(dir.join("dockerd.log")).ok())
            .unwrap_or_default()
    }

    fn answers(&self) -> bool {
        self.docker()
            .arg("info")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    fn with_host(&self, mut command: Command) -> Command {
        if let Some(host) = &self.host {
            command
                .env("DOCKER_HOST", host)
                .env("DOCKER_BUILDKIT", "0")
                .env("COMPOSE_DOCKER_CLI_BUILD", "0");
        }
        command
    }

    /// The client, pointed at this engine.
    pub(crate) fn docker(&self) -> Command {
        self.with_host(Command::new("docker"))
    }

    /// Compose, in whichever of its two forms is there.
    pub(crate) fn compose(&self) -> Command {
        if has_plugin() {
            let mut command = self.docker();
            command.arg("compose");
            return command;
        }
        self.with_host(Command::new("docker-compose"))
    }

    fn compose_or_install(&self) {
        if !has_plugin() {
            install("docker-compose", "docker-compose");
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let Some(daemon) = &mut self.daemon else { return };
        // TERM lets it unmount what it mounted; the folder can be removed only then.
        let pid = rustix::process::Pid::from_child(daemon);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = daemon.wait();
        if let Some(dir) = &self.dir {
            let _ = std::fs::remove_dir_all(dir);
        }
    }
}

fn has_plugin() -> bool {
    let asked = Command::new("docker")
        .args(["compose", "version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    asked.is_ok_and(|status| status.success())
}

/// Installs a Debian package for a program that is missing.
pub(crate) fn install(program: &str, package: &str) {
    let found = |dir: PathBuf| dir.join(program).is_file();
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(found) || Path::new("/usr/sbin").join(program).is_file() {
        return;
    }
    let apt = |args: &[&str]| {
        Command::new("apt-get")
            .args(args)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdout(Stdio::null())
            .status()
    };
    let installed =
        apt(&["update", "-qq"]).and_then(|_| apt(&["install", "-y", "-qq", "--no-install-recommends", package]));
    let done = installed.is_ok_and(|status| status.success());
    assert!(
        done,
        "{program} is missing and the package {package} could not be installed; install Docker with compose and try again"
    );
}
