//! The real Claude Code, without an account: its model is played by [`crate::model`].
//!
//! It is installed from npm when a test first wants it, into the build folder, and never becomes part of this
//! repository. The npm package's own install script only links a native program that is there anyway; it is not run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::lock::{exclusively, target_dir};

/// The release whose behavior the tests were written against.
pub const VERSION: &str = "2.1.330";

/// A key that the scripted model never looks at; the home below has it approved.
const API_KEY: &str = "sk-dummy";

/// Claude Code in a home of its own, which has seen all first-run dialogs.
#[derive(Debug)]
pub struct Claude {
    home: PathBuf,
    project: PathBuf,
    model_url: String,
}

impl Claude {
    /// Prepares `home` and `project`, two folders that exist.
    ///
    /// # Panics
    /// When they cannot be written to.
    #[must_use]
    pub fn new(home: &Path, project: &Path, model_url: &str) -> Self {
        let project = project.canonicalize().expect("the project's folder exists");
        let state = json!({
            "hasCompletedOnboarding": true,
            "bypassPermissionsModeAccepted": true,
            "customApiKeyResponses": { "approved": [API_KEY] },
            "projects": { project.to_string_lossy(): { "hasTrustDialogAccepted": true } },
        });
        fs::write(home.join(".claude.json"), state.to_string()).expect("the home can be written to");
        Self {
            home: home.to_owned(),
            project,
            model_url: model_url.to_owned(),
        }
    }

    /// The program with its environment and nothing of ours; arguments are the caller's. For a terminal, see
    /// [`crate::tmux::Tmux::start`].
    ///
    /// # Panics
    /// When it cannot be installed.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(installed());
        command
            .current_dir(&self.project)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.home)
            .env("ANTHROPIC_API_KEY", API_KEY)
            .env("ANTHROPIC_BASE_URL", &self.model_url)
            .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
            .env("DISABLE_AUTOUPDATER", "1")
            // Without it, permissions cannot be bypassed by root, which tests in a container are.
            .env("IS_SANDBOX", "1");
        command
    }
}

/// Path of the program, installed with npm when it is not there yet.
///
/// # Panics
/// When npm fails, or there is no program for this machine.
#[must_use]
pub fn installed() -> PathBuf {
    let os = if cfg!(target_os = "macos") { "darwin" } else { "linux" };
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    let dir = target_dir().join("agents").join(format!("claude-code-{VERSION}"));
    let binary = dir.join(format!("node_modules/@anthropic-ai/claude-code-{os}-{arch}/claude"));
    fs::create_dir_all(&dir).expect("the build folder can be written to");
    exclusively(&dir.join("lock"), || {
        if !binary.is_file() {
            install(&dir);
        }
    });
    assert!(binary.is_file(), "npm installed no {}", binary.display());
    binary
}

fn install(dir: &Path) {
    let output = Command::new("npm")
        .args([
            "install",
            "--silent",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--prefix",
        ])
        .arg(dir)
        .arg(format!("@anthropic-ai/claude-code@{VERSION}"))
        .output()
        .unwrap_or_else(|error| panic!("npm cannot be run ({error}); install Node.js"));
    assert!(
        output.status.success(),
        "npm: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
