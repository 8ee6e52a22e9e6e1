//! Claude Code's 33 hook events: which are enrolled, and with how much time.
//!
//! All handlers are synchronous: an `async` one is killed at the end of `claude -p`, and its
//! observations would arrive out of order.

use super::settings::{Entry, Handler};
use super::{Error, Launcher, Skipped};

/// Seconds after which the agent gives a hook up. The hook ends itself after 2 s; the rest is for
/// starting it on a machine that is out of breath.
const TIMEOUT_SECONDS: u32 = 10;

/// The same where a person may have to answer: Claude Code's own default.
const PERSON_TIMEOUT_SECONDS: u32 = 600;

/// How long a hook waits for a person: it gives up before the agent gives it up, and after ingest has (`approvals.wait`,
/// 570 s), so that the end is an orderly one. Only a call that ingest says to hold is waited for at all.
const PERSON_WAIT: &str = "595s";

/// What a hook is for, seen from the one that installs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// Reports; a failure could block nothing.
    Report,
    /// Guards an action, which can be blocked.
    Guard,
    /// As [`Use::Guard`], and may wait for a person.
    GuardOrAsk,
    /// Guards an action, which a hook's exit 2 does not block; only its failure does.
    GuardByFailure,
    /// As [`Use::GuardByFailure`], and may wait for a person.
    Approve,
    /// Runs while the agent is leaving: all such hooks share as much time as the longest asks for.
    Leave,
    /// Blocks by its answer, but Claude Code ignores `onFailure` here.
    Deaf,
    Skip(&'static str),
}

#[derive(Debug)]
pub(super) struct Event {
    pub(super) name: &'static str,
    purpose: Use,
}

const fn event(name: &'static str, purpose: Use) -> Event {
    Event { name, purpose }
}

pub(super) const EVENTS: [Event; 33] = [
    event("SessionStart", Use::Report),
    event("Setup", Use::Report),
    event("UserPromptSubmit", Use::Guard),
    event("UserPromptExpansion", Use::Guard),
    event("InstructionsLoaded", Use::Report),
    event("PreToolUse", Use::GuardOrAsk),
    event("PermissionRequest", Use::Approve),
    event("PermissionDenied", Use::Report),
    event("PostToolUse", Use::Report),
    event("PostToolUseFailure", Use::Report),
    event("PostToolBatch", Use::Guard),
    event("Notification", Use::Report),
    event(
        "MessageDisplay",
        Use::Skip("it fires for every piece of streamed text, and the transcript has the whole"),
    ),
    event("Elicitation", Use::Guard),
    event("ElicitationResult", Use::Guard),
    event("SubagentStart", Use::Report),
    event("SubagentStop", Use::Deaf),
    event("TaskCreated", Use::Guard),
    event("TaskCompleted", Use::Deaf),
    event("TeammateIdle", Use::Deaf),
    event("PreCompact", Use::Guard),
    event("PostCompact", Use::Report),
    event("PreModelSwitch", Use::GuardByFailure),
    event("PostModelSwitch", Use::Report),
    event("ConfigChange", Use::Guard),
    event("CwdChanged", Use::Report),
    event("FileChanged", Use::Report),
    event("DirectoryAdded", Use::Report),
    event(
        "WorktreeCreate",
        Use::Skip("a command hook there must make the worktree itself and print its path"),
    ),
    event("WorktreeRemove", Use::Report),
    event("Stop", Use::Deaf),
    event("StopFailure", Use::Report),
    event("SessionEnd", Use::Leave),
];

impl Event {
    pub(super) fn enrolled(&self) -> bool {
        !matches!(self.purpose, Use::Skip(_))
    }

    fn refuses_fail_closed(&self) -> Option<&'static str> {
        match self.purpose {
            Use::Guard | Use::GuardOrAsk | Use::GuardByFailure | Use::Approve => None,
            Use::Report | Use::Leave => Some("there is nothing to block, it only reports"),
            Use::Deaf => Some("Claude Code ignores onFailure on it"),
            Use::Skip(_) => Some("it is not enrolled"),
        }
    }

    fn handler(&self, launcher: &Launcher, fail_closed: bool) -> Handler {
        let (timeout_seconds, time) = match self.purpose {
            Use::GuardOrAsk | Use::Approve => (PERSON_TIMEOUT_SECONDS, Some(["--wait", PERSON_WAIT])),
            Use::Leave => (2, Some(["--budget", "1500ms"])),
            Use::Report | Use::Guard | Use::GuardByFailure | Use::Deaf | Use::Skip(_) => (TIMEOUT_SECONDS, None),
        };
        let mut argv = launcher.argv().into_iter();
        let command = argv.next().unwrap_or_default();
        let mut args: Vec<String> = argv.collect();
        args.extend(["--agent", "claude-code"].map(str::to_owned));
        args.extend(time.into_iter().flatten().map(str::to_owned));
        if fail_closed {
            let failing = matches!(self.purpose, Use::GuardByFailure | Use::Approve);
            // With `onFailure: "block"` any status but 0 and 2 is a failure that blocks. Exit 2
            // blocks by itself, on versions without `onFailure` too.
            args.push(if failing { "--fail-closed=1" } else { "--fail-closed" }.to_owned());
        }
        Handler {
            command,
            args,
            timeout_seconds,
            fail_closed,
        }
    }
}

/// The entries to install.
///
/// # Errors
///
/// [`Error::FailClosed`] when one of `fail_closed` is no event, or one that cannot block.
pub(super) fn entries(launcher: &Launcher, fail_closed: &[String]) -> Result<Vec<Entry>, Error> {
    for name in fail_closed {
        let reason = match EVENTS.iter().find(|event| event.name == name) {
            Some(event) => event.refuses_fail_closed(),
            None => Some("Claude Code has no such event"),
        };
        if let Some(reason) = reason {
            let can = EVENTS.iter().filter(|event| event.refuses_fail_closed().is_none());
            let allowed: Vec<_> = can.map(|event| event.name).collect();
            return Err(Error::FailClosed {
                event: name.clone(),
                reason,
                allowed: allowed.join(", "),
            });
        }
    }
    let entry = |event: &Event| Entry {
        event: event.name,
        handler: event.handler(launcher, fail_closed.iter().any(|name| name == event.name)),
    };
    Ok(EVENTS.iter().filter(|event| event.enrolled()).map(entry).collect())
}

pub(super) fn skipped() -> Vec<Skipped> {
    let skipped = |event: &Event| match event.purpose {
        Use::Skip(reason) => Some(Skipped {
            event: event.name,
            reason,
        }),
        Use::Report | Use::Guard | Use::GuardOrAsk | Use::GuardByFailure | Use::Approve | Use::Leave | Use::Deaf => {
            None
        }
    };
    EVENTS.iter().filter_map(skipped).collect()
}
