//! Command line, and where ingest's socket is.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::Env;
use crate::failure::Failure;

const FAIL_CLOSED: &str = "--fail-closed";

/// Exit status by which most events of most agents are blocked; stderr then holds the reason.
const EXIT_BLOCK: u8 = 2;

/// Enough for a loaded machine, short enough that a black-holed ingest is noticed as slow, not as hung.
const DEFAULT_BUDGET: Duration = Duration::from_secs(2);

const HELP: &str = "\
Hands an agent's hook input to muster's ingest and prints the answer.

Usage: muster-hook [--agent NAME] [--socket PATH] [--fail-closed[=STATUS]] [--budget DURATION] [--wait DURATION]

  --agent NAME       who runs this hook [default: claude-code]
  --socket PATH      ingest's socket [default: $MUSTER_SOCKET, else
                     $XDG_RUNTIME_DIR/muster/ingest.sock, else
                     ${XDG_STATE_HOME:-~/.local/state}/muster/ingest.sock]
  --fail-closed[=STATUS]
                     exit with STATUS [default: 2] and a reason when there is no
                     answer, instead of 0
  --budget DURATION  time for everything, e.g. 1500ms [default: 2s]
  --wait DURATION    time for everything when ingest holds the call for a person
                     to answer, e.g. 595s [default: an answer is not waited for]

With MUSTER_HOOK_DEBUG set, the reason of a failure is printed on stderr.
";

const VERSION: &str = concat!("muster-hook ", env!("CARGO_PKG_VERSION"), "\n");

pub(crate) enum Command {
    Forward(Options),
    Print(&'static str),
}

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) agent: String,
    pub(crate) socket: PathBuf,
    pub(crate) budget: Duration,
    pub(crate) wait: Option<Duration>,
}

/// Looked for apart from the rest, because it also says what a mistake in the rest leads to.
pub(crate) fn fail_closed(args: &[OsString]) -> Option<u8> {
    let mut given = args.iter().filter_map(|arg| arg.to_str()?.strip_prefix(FAIL_CLOSED));
    let status = given
        .next_back()?
        .strip_prefix('=')
        .and_then(|status| status.parse().ok());
    Some(status.unwrap_or(EXIT_BLOCK))
}

pub(crate) fn parse(args: Vec<OsString>, env: Env<'_>) -> Result<Command, Failure> {
    let mut agent = None;
    let mut socket = None;
    let mut budget = DEFAULT_BUDGET;
    let mut wait = None;
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let Some(flag) = arg.to_str() else {
            return Err(Failure::Usage("an argument is not UTF-8".to_owned()));
        };
        // `--flag=value` is as common in hand-edited settings as `--flag value`.
        let (flag, inline) = match flag.split_once('=') {
            Some((flag, value)) => (flag.to_owned(), Some(OsString::from(value))),
            None => (flag.to_owned(), None),
        };
        let mut value = || {
            inline
                .clone()
                .or_else(|| args.next())
                .ok_or_else(|| Failure::Usage(format!("{flag} needs a value")))
        };
        match flag.as_str() {
            FAIL_CLOSED => {}
            "--agent" => agent = Some(value()?.to_string_lossy().into_owned()),
            "--socket" => socket = Some(PathBuf::from(value()?)),
            "--budget" => budget = duration(&value()?.to_string_lossy())?,
            "--wait" => wait = Some(duration(&value()?.to_string_lossy())?),
            "--help" | "-h" => return Ok(Command::Print(HELP)),
            "--version" | "-V" => return Ok(Command::Print(VERSION)),
            other => return Err(Failure::Usage(format!("unknown argument {other}"))),
        }
    }
    let socket = match socket {
        Some(path) => path,
        None => default_socket(env)?,
    };
    Ok(Command::Forward(Options {
        agent: agent.unwrap_or_else(|| "claude-code".to_owned()),
        socket,
        budget,
        wait,
    }))
}

fn default_socket(env: Env<'_>) -> Result<PathBuf, Failure> {
    let set = |name| env(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(path) = set("MUSTER_SOCKET") {
        return Ok(path);
    }
    let folder = set("XDG_RUNTIME_DIR")
        .or_else(|| set("XDG_STATE_HOME"))
        .or_else(|| Some(set("HOME")?.join(".local/state")));
    Ok(folder.ok_or(Failure::NoSocketPath)?.join("muster/ingest.sock"))
}

fn duration(text: &str) -> Result<Duration, Failure> {
    let parsed = if let Some(number) = text.strip_suffix("ms") {
        number.parse().ok().map(Duration::from_millis)
    } else if let Some(number) = text.strip_suffix('s') {
        // Bounded, so that a deadline built from it cannot overflow the clock.
        number
            .parse::<u32>()
            .ok()
            .map(|seconds| Duration::from_secs(seconds.into()))
    } else {
        None
    };
    parsed.ok_or_else(|| Failure::Usage(format!("cannot read the duration {text:?} (write 1500ms or 2s)")))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_socket_is_where_flag_variable_or_xdg_folder_say() {
        type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str);
        let table: [Case<'_>; 6] = [
            (&["--socket", "/f"], &[("MUSTER_SOCKET", "/m")], "/f"),
            (&["--socket=/f"], &[], "/f"),
            (&[], &[("MUSTER_SOCKET", "/m"), ("XDG_RUNTIME_DIR", "/run/u")], "/m"),
            (
                &[],
                &[("XDG_RUNTIME_DIR", "/run/u"), ("HOME", "/h")],
                "/run/u/muster/ingest.sock",
            ),
            (
                &[],
                &[("XDG_STATE_HOME", "/s"), ("HOME", "/h")],
                "/s/muster/ingest.sock",
            ),
            (
                &[],
                &[("XDG_RUNTIME_DIR", ""), ("HOME", "/h")],
                "/h/.local/state/muster/ingest.sock",
            ),
        ];
        for (args, env, expected) in table {
            let env = |name: &str| {
                let found = env.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| value.into())
            };
            let args = args.iter().map(OsString::from).collect();
            let Ok(Command::Forward(options)) = parse(args, &env) else {
                panic!("refused");
            };
            assert_eq!(options.socket, Path::new(expected));
        }
    }
}
