//! One question to ingest, asked until it is answered.
//!
//! The same bytes are sent on every connection, and they carry one key: ingest takes a repeated
//! key for the same observation, so losing a connection loses nothing and counts nothing twice.

use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::facts::Facts;
use crate::failure::Failure;
use crate::frame::{self, PAYLOAD_MAX_BYTES};
use crate::json;
use crate::options::Options;
use crate::progress::{CONNECT, Progress, Stage};

const HELLO: &str = r#"{"type":"hello","proto_min":1,"proto_max":1,"client":"hook","token":null}"#;

/// First pause between attempts; doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(5);

/// A waiting approval notices a restarted ingest within this, at next to no cost while waiting.
const PAUSE_MAX: Duration = Duration::from_millis(200);

/// What tells a payload of Cursor, which also runs the hooks of Claude's settings.
const CURSOR_MARK: &[u8] = b"\"cursor_version\"";

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) exit_code: u8,
    pub(crate) body: Vec<u8>,
}

pub(crate) struct Exchange {
    socket: PathBuf,
    request: Vec<u8>,
}

/// What ingest said when it held the call.
struct Held {
    /// How long to go on asking when ingest is gone.
    alone: Duration,
    /// Since when it is.
    lost: Option<Instant>,
}

/// Why one connection brought no answer.
enum Setback {
    Lost(io::Error),
    Final(Failure),
}

impl Exchange {
    /// Reads the agent's input to its end and frames the question.
    pub(crate) fn prepare(options: &Options, facts: &Facts, mut stdin: impl Read) -> Result<Self, Failure> {
        let mut payload = Vec::new();
        let cap = PAYLOAD_MAX_BYTES as u64;
        stdin
            .by_ref()
            .take(cap)
            .read_to_end(&mut payload)
            .map_err(Failure::Input)?;
        // The rest is read too: an agent that cannot write all may take its hook for broken.
        let rest = io::copy(&mut stdin, &mut io::sink()).map_err(Failure::Input)?;
        let mut request = Vec::with_capacity(payload.len() + 2048);
        frame::append(&mut request, HELLO.as_bytes());
        let agent = agent(options, facts, &payload);
        frame::append(&mut request, question(agent, facts, options.wait, rest > 0).as_bytes());
        frame::append(&mut request, &payload);
        Ok(Self {
            socket: options.socket.clone(),
            request,
        })
    }

    /// Asks until there is an answer, a final failure, or the time is up.
    pub(crate) fn run(&self, progress: &Progress) -> Result<Answer, Failure> {
        progress.reach(Stage::Connecting);
        let started = Instant::now();
        let mut pause = PAUSE_MIN;
        let mut held = None;
        loop {
            let error = match self.attempt(progress, &mut held) {
                Ok(answer) => return Ok(answer),
                Err(Setback::Final(failure)) => return Err(failure),
                Err(Setback::Lost(error)) => error,
            };
            let waited = started.elapsed();
            let patience = match &mut held {
                Some(held) => held
                    .alone
                    .checked_sub(held.lost.get_or_insert_with(Instant::now).elapsed()),
                None if progress.stage() < Stage::AwaitingAnswer => CONNECT.checked_sub(waited),
                None => Some(pause),
            };
            if progress.deadline().is_some_and(|end| Instant::now() + pause >= end) || patience.is_none() {
                return Err(Failure::Unreachable {
                    socket: self.socket.clone(),
                    error,
                    waited,
                });
            }
            thread::sleep(pause);
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    fn attempt(&self, progress: &Progress, held: &mut Option<Held>) -> Result<Answer, Setback> {
        let mut stream = UnixStream::connect(&self.socket).map_err(|error| self.judge(error, progress))?;
        progress.reach(Stage::AwaitingGreeting);
        let written = stream.write_all(&self.request);
        // Read in any case: an ingest that refuses says why, and may close before it has read all.
        let greeting = frame::read(&mut stream).map_err(|error| lost(written.err().unwrap_or(error)))?;
        expect_type(&greeting, "hello")?;
        progress.reach(Stage::AwaitingAnswer);
        let mut said = frame::read(&mut stream).map_err(lost)?;
        if let Ok(hold) = expect_type(&said, "hold") {
            let alone = Duration::from_millis(find(&hold, "alone_ms").parse().unwrap_or_default());
            *held = Some(Held { alone, lost: None });
            progress.reach(Stage::Held);
            said = frame::read(&mut stream).map_err(lost)?;
        }
        let verdict = expect_type(&said, "hook_answer")?;
        let exit_code = find(&verdict, "exit_code").parse();
        let exit_code = exit_code.map_err(|_| Setback::Final(Failure::Protocol("no exit code")))?;
        let body = frame::read(&mut stream).map_err(lost)?;
        Ok(Answer { exit_code, body })
    }

    /// No socket file means that nobody is going to answer, unless somebody just did; a refusal
    /// means that the one who made the file was killed, and may be on its way back.
    fn judge(&self, error: io::Error, progress: &Progress) -> Setback {
        let never_met = progress.stage() < Stage::AwaitingGreeting;
        if never_met && error.kind() == io::ErrorKind::NotFound {
            return Setback::Final(Failure::Absent {
                socket: self.socket.clone(),
            });
        }
        Setback::Lost(error)
    }
}

fn agent<'a>(options: &'a Options, facts: &Facts, payload: &[u8]) -> &'a str {
    let foreign = options.agent == "claude-code"
        && !facts.under_claude_code()
        && payload.windows(CURSOR_MARK.len()).any(|window| window == CURSOR_MARK);
    if foreign { "cursor" } else { &options.agent }
}

fn question(agent: &str, facts: &Facts, wait: Option<Duration>, truncated: bool) -> String {
    let mut text = String::from(r#"{"type":"ingest_hook","agent":"#);
    json::quote(&mut text, agent);
    text.push_str(r#","key":"#);
    json::quote(&mut text, &request_key());
    text.push_str(r#","event_hint":null,"payload_follows":true,"truncated":"#);
    text.push_str(if truncated { "true" } else { "false" });
    if let Some(wait) = wait {
        text.push_str(&format!(r#","wait_ms":{}"#, wait.as_millis()));
    }
    text.push_str(r#","env":{"#);
    for (index, (name, value)) in facts.env.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        json::quote(&mut text, name);
        text.push(':');
        json::quote(&mut text, value);
    }
    text.push_str(&format!(r#"}},"pid":{},"pid_start":"#, facts.pid));
    text.push_str(&facts.pid_start.map_or("null".to_owned(), |ticks| ticks.to_string()));
    for (name, value) in [("boot_id", &facts.boot_id), ("pid_ns", &facts.pid_ns)] {
        text.push(',');
        json::quote(&mut text, name);
        text.push(':');
        match value {
            Some(value) => json::quote(&mut text, value),
            None => text.push_str("null"),
        }
    }
    text.push('}');
    text
}

/// Unique per hook process: std's hasher keys come from the operating system's randomness.
fn request_key() -> String {
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos());
    let pid = std::process::id();
    let random = RandomState::new().hash_one(pid);
    format!("{pid}-{nanos:x}-{random:016x}")
}

fn lost(error: io::Error) -> Setback {
    if error.kind() == io::ErrorKind::InvalidData {
        return Setback::Final(Failure::Protocol("a frame over the limit"));
    }
    Setback::Lost(error)
}

fn expect_type(body: &[u8], expected: &'static str) -> Result<Vec<(String, String)>, Setback> {
    let members = std::str::from_utf8(body).ok().and_then(json::scalars);
    let members = members.ok_or(Setback::Final(Failure::Protocol("a frame is not a JSON object")))?;
    match find(&members, "type") {
        found if found == expected => Ok(members),
        "error" => Err(Setback::Final(Failure::Refused {
            code: find(&members, "code").to_owned(),
            detail: find(&members, "detail").to_owned(),
        })),
        _ => Err(Setback::Final(Failure::Protocol("an unexpected frame"))),
    }
}

fn find<'a>(members: &'a [(String, String)], name: &str) -> &'a str {
    members
        .iter()
        .find(|(key, _)| key == name)
        .map_or("", |(_, value)| value)
}
