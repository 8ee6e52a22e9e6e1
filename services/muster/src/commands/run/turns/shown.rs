//! What goes on, for whoever looks at the terminal or reads the log of a run that nobody watches.

use super::frames::{Heard, Outcome, Problem};
use super::queue::Work;
use crate::output;
use muster_domain::names::SessionId;
use std::time::Duration;

/// Characters of a prompt or a call that are shown.
const BRIEF: usize = 200;

/// Prints; programs get the agent's own lines instead.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) raw: bool,
    turns: u32,
    cost_usd: f64,
}

impl Shown {
    pub(super) const fn new(raw: bool) -> Self {
        Self {
            raw,
            turns: 0,
            cost_usd: 0.0,
        }
    }

    pub(super) fn began(&mut self, session: &SessionId, program: &str, again: bool) {
        self.cost_usd = 0.0;
        let how = if again { "goes on" } else { "begins" };
        self.say(&format!("session {session} of {program} {how}; ctrl-c ends it"));
    }

    pub(super) fn turn(&mut self, work: &Work, unread: usize) {
        self.turns += 1;
        let more = if unread > 0 {
            format!(" ({unread} more wait)")
        } else {
            String::new()
        };
        self.say(&format!(
            "> turn {} from {}{more}: {}",
            self.turns,
            work.from(),
            brief(&work.prompt())
        ));
    }

    /// A line of the agent.
    pub(super) fn line(&self, line: &str) {
        if self.raw {
            output::log_line(line);
        }
    }

    pub(super) fn heard(&self, heard: &Heard) {
        match heard {
            Heard::Text(text) => text.lines().for_each(|line| self.say(&format!("  {line}"))),
            Heard::Call(tool, what) => self.say(&format!("  * {tool} {}", brief(what))),
            Heard::Compacted => self.say("  the conversation was compacted"),
            Heard::Answered(..) | Heard::Ended(_) => {}
        }
    }

    pub(super) fn ended(&mut self, outcome: &Outcome) {
        let how = match &outcome.problem {
            None => "is done".to_owned(),
            Some(Problem::Interrupted) => "was interrupted".to_owned(),
            Some(Problem::TooLong) => "failed: the conversation is too long for the model".to_owned(),
            Some(Problem::RateLimit) => "was refused: too many requests".to_owned(),
            Some(Problem::Error(why)) => format!("failed: {}", brief(why)),
        };
        let took = outcome.duration_ms.map_or_else(String::new, |ms| {
            format!(" after {:.1} s", Duration::from_millis(ms).as_secs_f64())
        });
        let run = outcome.run_cost_usd.unwrap_or(self.cost_usd);
        let cost = run - std::mem::replace(&mut self.cost_usd, run);
        let cost = if cost > 0.0 {
            format!(", {cost:.4} USD")
        } else {
            String::new()
        };
        self.say(&format!("= turn {} {how}{took}{cost}", self.turns));
    }

    pub(super) fn say(&self, text: &str) {
        if !self.raw {
            output::log(text);
        }
    }
}

fn brief(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(BRIEF) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}
