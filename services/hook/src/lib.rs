//! The hook an agent runs: hands its input to ingest and prints the answer.
//!
//! An agent waits for this process, so it must be quick, must end, and must never be the reason
//! why the agent cannot go on. Hence std only (start-up is most of the cost), and one rule for
//! all that can go wrong: exit 0 and print nothing, so that the agent goes on as if there were no
//! hook. Only an installed `--fail-closed` turns a failure into a status that blocks, with its reason.
//!
//! The main thread does the work with plain blocking calls, some of which std gives no timeout
//! (connecting while the backlog is full, reading a stdin nobody closes). A second thread watches
//! the clock and ends the process; it is the only thing that bounds time, and so bounds all of it.

mod exchange;
mod facts;
mod failure;
mod frame;
mod json;
mod options;
mod progress;
mod watchdog;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Instant;

use exchange::{Answer, Exchange};
use failure::{Failure, Manner};
use options::Command;
use progress::Progress;

/// Looks up one environment variable.
type Env<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Runs the hook on the process's own streams and environment; `args` are those after the name
/// (or after the `hook` of `muster hook`).
///
/// To be called first thing in `main`, whose result it gives: it may end the process itself.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let started = Instant::now();
    let env: Env<'_> = &|name| std::env::var_os(name);
    let args: Vec<OsString> = args.into_iter().collect();
    let manner = Manner {
        fail_closed: options::fail_closed(&args),
        debug: env("MUSTER_HOOK_DEBUG").is_some(),
    };
    let code = match answer(args, env, manner, started) {
        Ok(answer) => {
            let mut stdout = io::stdout().lock();
            // An agent that reads no answer is left nothing to be told.
            let _ = stdout.write_all(&answer.body).and_then(|()| stdout.flush());
            answer.exit_code
        }
        Err(failure) => manner.conclude(&failure),
    };
    ExitCode::from(code)
}

fn answer(args: Vec<OsString>, env: Env<'_>, manner: Manner, started: Instant) -> Result<Answer, Failure> {
    let options = match options::parse(args, env)? {
        Command::Forward(options) => options,
        Command::Print(text) => {
            return Ok(Answer {
                exit_code: 0,
                body: text.into(),
            });
        }
    };
    let progress = Progress::new(started, options.budget, options.wait);
    watchdog::start(progress.clone(), manner).map_err(Failure::Watchdog)?;
    let facts = facts::gather(env);
    let outcome = Exchange::prepare(&options, &facts, io::stdin().lock()).and_then(|exchange| exchange.run(&progress));
    progress.finish();
    outcome
}
