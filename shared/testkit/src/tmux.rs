//! A terminal for programs that insist on one.

use std::path::PathBuf;
use std::process::{Command, Output};

use std::cell::Cell;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::eventually::eventually;

/// How long a program may take to draw itself, or to take a line.
const PATIENCE: Duration = Duration::from_secs(60);
/// After how long without effect a key is pressed again.
const AGAIN: Duration = Duration::from_secs(3);

/// A terminal of 200 × 50 characters in a tmux server of its own; killed with what runs in it when dropped.
#[derive(Debug)]
pub struct Tmux {
    dir: TempDir,
}

impl Tmux {
    /// Runs `command` in `cwd` with nothing but the environment set on it.
    ///
    /// # Panics
    /// When tmux is not installed, or the program cannot be started.
    #[must_use]
    pub fn start(command: &Command) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("muster-tmux-")
            .tempdir()
            .expect("a temporary folder can be made");
        let tmux = Self { dir };
        let mut new = tmux.command();
        new.args(["-f", "/dev/null", "new-session", "-d", "-x", "200", "-y", "50"]);
        if let Some(cwd) = command.get_current_dir() {
            new.arg("-c").arg(cwd);
        }
        // The pane would otherwise inherit the environment of the tmux server.
        new.args(["--", "env", "-i", "TERM=tmux-256color"]);
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                let mut pair = name.to_owned();
                pair.push("=");
                pair.push(value);
                new.arg(pair);
            }
        }
        new.arg(command.get_program()).args(command.get_args());
        run(&mut new);
        tmux
    }

    /// Types text as it is.
    ///
    /// # Panics
    /// When the program has ended.
    pub fn send_text(&self, text: &str) {
        run(self.command().args(["send-keys", "-l", "--", text]));
    }

    /// Presses a key by tmux's name for it, for example `Enter`, `Escape`, `C-c`.
    ///
    /// # Panics
    /// As [`Tmux::send_text`].
    pub fn press(&self, key: &str) {
        run(self.command().args(["send-keys", key]));
    }

    /// Types a line and gives it to the program, again and again until `taken` says that it has it: a program that is still
    /// drawing itself swallows keys.
    ///
    /// # Panics
    /// As [`Tmux::send_text`], and when it is never taken.
    pub async fn submit(&self, line: &str, taken: impl Fn() -> bool) {
        let shown = async || {
            if self.screen().contains(line) {
                Ok(())
            } else {
                Err(self.screen())
            }
        };
        self.send_text(line);
        eventually(PATIENCE, shown).await;
        let pressed = Cell::new(None::<Instant>);
        eventually(PATIENCE, async || {
            if taken() {
                return Ok(());
            }
            if pressed.get().is_none_or(|at| at.elapsed() > AGAIN) {
                self.press("Enter");
                pressed.set(Some(Instant::now()));
            }
            Err(self.screen())
        })
        .await;
    }

    /// What is on the screen; empty when the program has ended.
    #[must_use]
    pub fn screen(&self) -> String {
        let output = self.command().args(["capture-pane", "-p"]).output().expect("tmux runs");
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Process id of the program.
    ///
    /// # Panics
    /// When it has ended.
    #[must_use]
    pub fn pid(&self) -> u32 {
        let output = run(self.command().args(["display-message", "-p", "#{pane_pid}"]));
        String::from_utf8_lossy(&output.stdout)
            .trim()
            .parse()
            .expect("invariant: a pane has a process")
    }

    fn command(&self) -> Command {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(self.socket());
        command
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }
}

impl Drop for Tmux {
    #[expect(clippy::print_stderr, reason = "the test harness shows it beside the panic")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- screen\n{}", self.screen());
        }
        // It ends by itself with the last program in it.
        self.command().arg("kill-server").output().ok();
    }
}

fn run(command: &mut Command) -> Output {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("tmux cannot be run ({error}); install it"));
    assert!(
        output.status.success(),
        "tmux: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::eventually::eventually;

    #[tokio::test]
    async fn a_program_gets_keys_and_shows_a_screen() {
        let mut cat = Command::new("sh");
        cat.args(["-c", "echo \"$GREETING from $(pwd)\"; exec cat"])
            .env("GREETING", "hello")
            .current_dir("/");
        let tmux = Tmux::start(&cat);
        // The terminal echoes what is typed at once, also before the program has said anything.
        eventually(Duration::from_secs(10), async || {
            tmux.screen().starts_with("hello from /").then_some(())
        })
        .await;
        tmux.send_text("typed -l text");
        tmux.press("Enter");
        let seen = eventually(Duration::from_secs(10), async || {
            let screen = tmux.screen();
            if screen.matches("typed -l text").count() == 2 {
                Ok(())
            } else {
                Err(screen)
            }
        });
        seen.await;
        assert!(Path::new(&format!("/proc/{}", tmux.pid())).exists());
    }
}
