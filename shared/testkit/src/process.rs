//! The project's own programs as real processes, to be killed for real.

use std::fs::{self, File};
use std::net::TcpListener;
use std::ops::Range;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant, SystemTime};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tempfile::TempDir;

use crate::eventually::eventually;
use crate::lock::{exclusively, profile_dir, target_dir};

/// Ports handed out: below those that systems give to outgoing connections (Linux: from 32768), so that nothing takes one
/// while what listens on it is being restarted.
const PORTS: Range<u16> = 15_000..32_000;

/// A port that is free, and that no other caller in this process is given soon.
///
/// # Panics
/// When the machine has none left.
#[must_use]
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let room = PORTS.end - PORTS.start;
    // Processes that run side by side begin at different places.
    let start =
        u16::try_from(std::process::id().wrapping_mul(37) % u32::from(room)).expect("invariant: within the range");
    (0..room)
        .map(|_| PORTS.start + (start + NEXT.fetch_add(1, Ordering::Relaxed) % room) % room)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("loopback has a free port")
}

/// Path of one of the workspace's programs, in the profile this test was built in.
///
/// Cargo tells a test only about the programs of its own package, so the others may be missing or older than their
/// sources; then it is built here, once.
///
/// # Panics
/// When the build fails, or the workspace has no such program.
#[must_use]
pub fn bin(name: &str) -> PathBuf {
    let dir = profile_dir();
    let path = dir.join(name);
    exclusively(&dir.join("testkit-bins.lock"), || {
        if !is_fresh(&path) {
            build(name, &dir);
        }
    });
    path
}

/// Compares with the sources that cargo lists beside the program, as `program: source source …`.
fn is_fresh(program: &Path) -> bool {
    let built = fs::metadata(program).and_then(|meta| meta.modified());
    let sources = fs::read_to_string(program.with_extension("d"));
    let (Ok(built), Ok(sources)) = (built, sources) else {
        return false;
    };
    let modified = |path: &str| {
        fs::metadata(path)
            .and_then(|meta| meta.modified())
            .unwrap_or(SystemTime::now())
    };
    sources
        .lines()
        .flat_map(|line| line.split(' ').skip(1))
        .all(|source| modified(source) <= built)
}

/// Selects the whole workspace although one program is wanted: with the features of a workspace build, its parts are
/// there already.
fn build(name: &str, profile: &Path) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--quiet", "--workspace", "--bin", name, "--target-dir"])
        .arg(target_dir())
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    if profile.ends_with("release") {
        command.arg("--release");
    }
    let output = command.output().expect("cargo runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "building {name} failed:\n{errors}");
}

/// A running process, in a group of its own. Killed with its group when dropped; what it printed is shown when the test
/// panics.
#[derive(Debug)]
pub struct Spawned {
    name: String,
    child: Child,
    output: TempDir,
}

impl Spawned {
    /// Starts `command`; its standard output and error go to files.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(mut command: Command) -> Self {
        let output = tempfile::Builder::new()
            .prefix("muster-out-")
            .tempdir()
            .expect("a temporary folder can be made");
        let file = |name: &str| File::create(output.path().join(name)).expect("a temporary file can be made");
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        Self { name, child, output }
    }

    /// Process id, and id of its group.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to its standard output so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.read("stdout")
    }

    /// What it has written to its standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.read("stderr")
    }

    fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.output.path().join(name)).unwrap_or_default()).into_owned()
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it still runs after `within`.
    #[track_caller]
    pub fn wait(&mut self, within: Duration) -> impl Future<Output = ExitStatus> {
        let child = &mut self.child;
        eventually(within, move || std::future::ready(child.try_wait().ok().flatten()))
    }

    /// Asks it to end, as a service manager would, and waits for it.
    ///
    /// # Panics
    /// As [`Spawned::wait`].
    #[track_caller]
    pub fn terminate(&mut self, within: Duration) -> impl Future<Output = ExitStatus> {
        self.signal(Signal::TERM);
        self.wait(within)
    }

    /// Kills it alone, as a crash would: its children live on.
    ///
    /// # Panics
    /// When it is not gone after ten seconds.
    #[track_caller]
    pub fn kill9(&mut self) -> impl Future<Output = ExitStatus> {
        self.signal(Signal::KILL);
        self.wait(Duration::from_secs(10))
    }

    /// Freezes it; nothing of it moves any more when this returns.
    pub fn pause(&mut self) {
        self.signal(Signal::STOP);
        until_stopped(self.pid());
    }

    /// Lets it go on.
    pub fn resume(&mut self) {
        self.signal(Signal::CONT);
    }

    fn signal(&mut self, signal: Signal) {
        if self.is_running() {
            kill_process(self.rustix_pid(), signal).expect("an own child can be signaled");
        }
    }

    fn rustix_pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Spawned {
    #[expect(clippy::print_stderr, reason = "the test harness shows it beside the panic")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (name, pid) = (&self.name, self.pid());
            eprintln!(
                "--- {name} ({pid}) stdout\n{}\n--- {name} stderr\n{}",
                self.stdout(),
                self.stderr()
            );
        }
        // The group may outlive its leader, and may be gone.
        kill_process_group(self.rustix_pid(), Signal::KILL).ok();
        self.child.wait().ok();
    }
}

/// Waits until every thread of a process has taken the signal that stops it: sending it is not yet that.
///
/// # Panics
/// When one has not within ten seconds.
pub(crate) fn until_stopped(pid: u32) {
    let until = Instant::now() + Duration::from_secs(10);
    while !is_stopped(pid) {
        assert!(Instant::now() < until, "process {pid} was told to stop, and goes on");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn is_stopped(pid: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        return true;
    };
    threads.flatten().all(|thread| {
        // What has ended meanwhile moves no more either. The state follows the name, which may hold anything but its end.
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        state.is_none_or(|state| "TtZX".contains(state))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_shows_its_output_and_can_be_killed() {
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo out; echo err >&2; sleep 600"]);
        let mut shell = Spawned::start(shell);
        eventually(Duration::from_secs(5), async || {
            (shell.stdout() == "out\n" && shell.stderr() == "err\n").then_some(())
        })
        .await;
        assert!(shell.is_running());
        assert!(!shell.kill9().await.success());
    }
}
