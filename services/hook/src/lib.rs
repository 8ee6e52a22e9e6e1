//! The hook an agent runs: hands its input to ingest and prints the answer.
//!
//! An agent waits for this process, so it must be quick, must end, and must never be the reason
//! why the agent cannot go on. Hence std only (start-up is most of the cost), and one rule for
//! all that can go wrong: exit 0 and print nothing, so that the agent goes on as if there were no
//! hook. Only an installed `--fail-closed` turns a failure into exit 2 with its reason.
//!
//! A worker thread reads stdin and talks to ingest with plain blocking calls, some of which have
//! no timeout (connecting while the backlog is full, reading a stdin nobody closes). The caller's
//! thread only watches the clock; when it returns, the process ends and takes a blocked worker
//! with it. That thread costs less than what it replaces could save: see `docs/adr/0004`.

mod exchange;
mod facts;
mod failure;
mod frame;
mod json;
mod options;
mod progress;

use std::ffi::OsString;
use std::io::{Read, Write};
use std::process::ExitCode;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Instant;

use exchange::{Answer, Exchange};
use failure::Failure;
use options::{Command, Options};
use progress::Progress;

/// Exit status by which an agent takes a hook as blocking; stderr then holds the reason.
const EXIT_BLOCK: u8 = 2;

/// The worker recurses nowhere and keeps its buffers on the heap.
const WORKER_STACK_BYTES: usize = 128 * 1024;

/// Looks up one environment variable.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Runs the hook on the process's own streams and environment; `args` are those after the name
/// (or after the `hook` of `muster hook`).
///
/// The caller must end the process with the returned code: a worker that cannot be interrupted
/// may be left behind.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let code = run(
        args,
        &|name| std::env::var_os(name),
        std::io::stdin(),
        &mut std::io::stdout(),
        &mut std::io::stderr(),
    );
    ExitCode::from(code)
}

/// As [`main`], on the streams and environment given, and returns the exit status.
pub fn run(
    args: impl IntoIterator<Item = OsString>,
    env: Env<'_>,
    stdin: impl Read + Send + 'static,
    stdout: &mut impl Write,
    stderr: &mut impl Write,
) -> u8 {
    let started = Instant::now();
    let args: Vec<OsString> = args.into_iter().collect();
    let fail_closed = args.iter().any(|arg| arg == options::FAIL_CLOSED);
    let outcome = match options::parse(args, env) {
        Ok(Command::Print(text)) => Ok(Answer {
            exit_code: 0,
            body: text.into(),
        }),
        Ok(Command::Forward(options)) => forward(options, env, stdin, started),
        Err(failure) => Err(failure),
    };
    // What the agent no longer reads, or a closed stderr, is nothing the hook could act on.
    match outcome {
        Ok(answer) => {
            let _ = stdout.write_all(&answer.body).and_then(|()| stdout.flush());
            answer.exit_code
        }
        Err(failure) if fail_closed => {
            let _ = writeln!(
                stderr,
                "muster-hook: {failure}; blocking, as the hook is installed to fail closed"
            );
            EXIT_BLOCK
        }
        Err(failure) => {
            if env("MUSTER_HOOK_DEBUG").is_some() {
                let _ = writeln!(stderr, "muster-hook: {failure}");
            }
            0
        }
    }
}

fn forward(
    options: Options,
    env: Env<'_>,
    stdin: impl Read + Send + 'static,
    started: Instant,
) -> Result<Answer, Failure> {
    let facts = facts::gather(env);
    let progress = Progress::new(started, options.budget);
    let (sender, outcome) = mpsc::sync_channel(1);
    let worker = {
        let progress = progress.clone();
        move || {
            let result = Exchange::prepare(&options, &facts, stdin)
                .and_then(|exchange| exchange.run(&progress));
            // Nobody listens any more when the time was up first.
            let _ = sender.send(result);
        }
    };
    thread::Builder::new()
        .stack_size(WORKER_STACK_BYTES)
        .spawn(worker)
        .map_err(Failure::Worker)?;
    loop {
        match outcome.recv_timeout(progress.next_look()) {
            Ok(result) => return result,
            Err(RecvTimeoutError::Disconnected) => return Err(Failure::WorkerGone),
            Err(RecvTimeoutError::Timeout) => {
                if progress.deadline() <= Instant::now() {
                    return Err(Failure::OutOfTime {
                        stage: progress.stage(),
                    });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
