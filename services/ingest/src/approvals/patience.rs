//! How long a hook is held: as long as whoever waits offers, and not longer than is good for the person at the agent.

use crate::answers::{Asked, Question, Vendor};
use std::path::PathBuf;
use std::time::Duration;

/// An ask that would be held for less is not held: nobody can answer it in time.
const WAIT_MIN: Duration = Duration::from_secs(1);
/// How long an ask is still held after its deadline, because the leader decides what the deadline means.
const GRACE: Duration = Duration::from_secs(2);

/// What an operator chose.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) wait: Duration,
    pub(crate) hidden_dialog_wait: Duration,
    pub(crate) hub_away: Duration,
}

/// What whoever brings a hook says about waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) wait: Wait,
    /// Where Claude Code keeps its files, for this agent.
    pub(crate) config_dir: Option<PathBuf>,
}

/// How long somebody would wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Not at all.
    Never,
    /// It does not say, and has no time of its own to keep.
    Unsaid,
    /// So long for everything.
    For(Duration),
}

/// How long one ask is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Patience {
    /// Until its deadline.
    pub(crate) wait: Duration,
    /// After it.
    pub(crate) grace: Duration,
    /// While the hub does not have it, or this service is gone.
    pub(crate) alone: Duration,
}

impl Settings {
    /// How long this ask is held, if it is.
    pub(super) fn patience(
        &self,
        asked: &Asked,
        attended: Option<bool>,
        away: bool,
        offered: Wait,
    ) -> Option<Patience> {
        let unattended = attended == Some(false);
        if asked.question == Question::Dialog && !unattended && !away {
            // Its dialog comes after the hook: held, it would be hidden from whoever sits there.
            return None;
        }
        let said = match offered {
            Wait::Never => return None,
            // Copilot asks its hook for what is allowed anyway, and what others speak for is not known to wait.
            Wait::Unsaid if matches!(asked.vendor, Vendor::Copilot | Vendor::Other) => return None,
            Wait::Unsaid => Duration::MAX,
            Wait::For(time) => time,
        };
        let grace = GRACE.min(said / 8);
        // Claude Code shows its dialog beside the hook for permissions. The others show theirs after it.
        let hides = asked.vendor != Vendor::ClaudeCode;
        let longest = if hides && !unattended && !away {
            self.wait.min(self.hidden_dialog_wait)
        } else {
            self.wait
        };
        // Ends before the other end gives up, which would count as a hook that is gone.
        let wait = longest.min(said.saturating_sub(2 * grace));
        if wait < WAIT_MIN {
            return None;
        }
        let nothing_shown = hides || (asked.question == Question::Dialog && !unattended);
        Some(Patience {
            wait,
            grace,
            alone: if nothing_shown { self.hub_away.min(wait) } else { wait },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_domain::family::HookName;
    use serde_json::json;

    const SETTINGS: Settings = Settings {
        wait: Duration::from_secs(570),
        hidden_dialog_wait: Duration::from_secs(15),
        hub_away: Duration::from_secs(30),
    };

    fn asked(agent: &str, hook: &HookName, tool: &str) -> Asked {
        let payload = json!({"tool_name": tool, "tool_input": {}});
        Asked::read(agent, hook, payload.as_object().unwrap()).unwrap()
    }

    /// Seconds until the deadline, and alone; none where it is not held.
    fn held(asked: &Asked, attended: Option<bool>, away: bool, offered: Wait) -> Option<(u64, u64)> {
        let patience = SETTINGS.patience(asked, attended, away, offered)?;
        Some((patience.wait.as_secs(), patience.alone.as_secs()))
    }

    const HOOK: Wait = Wait::For(Duration::from_secs(595));

    #[test]
    fn a_request_for_permission_is_held_as_long_as_its_dialog_allows() {
        type Row = (&'static str, Option<bool>, bool, Wait, Option<(u64, u64)>);
        let (terminal, headless) = (Some(true), Some(false));
        let table: &[Row] = &[
            ("claude-code", terminal, false, HOOK, Some((570, 570))),
            ("claude-code", headless, false, HOOK, Some((570, 570))),
            ("claude-code", None, false, Wait::Unsaid, Some((570, 570))),
            ("claude-code", terminal, false, Wait::Never, None),
            (
                "claude-code",
                terminal,
                false,
                Wait::For(Duration::from_secs(60)),
                Some((56, 56)),
            ),
            ("claude-code", terminal, false, Wait::For(Duration::from_secs(1)), None),
            ("codex", None, false, HOOK, Some((15, 15))),
            ("codex", None, true, HOOK, Some((570, 30))),
            ("codex", headless, false, HOOK, Some((570, 30))),
            ("qwen-code", None, false, Wait::Unsaid, Some((15, 15))),
            ("copilot-cli", None, false, HOOK, Some((15, 15))),
            ("copilot-cli", None, false, Wait::Unsaid, None),
            ("generic", None, true, Wait::Unsaid, None),
            ("generic", None, true, HOOK, Some((570, 30))),
        ];
        for (agent, attended, away, offered, expected) in table {
            let asked = asked(agent, &HookName::PermissionRequest, "Bash");
            assert_eq!(
                held(&asked, *attended, *away, *offered),
                *expected,
                "{agent} {attended:?} {away} {offered:?}"
            );
        }
    }

    #[test]
    fn a_question_is_held_only_where_nobody_sits() {
        let question = asked("claude-code", &HookName::PreToolUse, "AskUserQuestion");
        assert_eq!(held(&question, Some(true), false, HOOK), None);
        assert_eq!(held(&question, None, false, HOOK), None);
        assert_eq!(held(&question, Some(false), false, HOOK), Some((570, 570)));
        // Whoever went away may come back before the hub does.
        assert_eq!(held(&question, Some(true), true, HOOK), Some((570, 30)));
    }

    #[test]
    fn every_wait_ends_before_the_one_who_offered_it_gives_up() {
        let asked = asked("claude-code", &HookName::PermissionRequest, "Bash");
        for seconds in 2..=700 {
            let offered = Duration::from_secs(seconds);
            let patience = SETTINGS.patience(&asked, None, false, Wait::For(offered)).unwrap();
            assert!(patience.wait + patience.grace < offered, "{seconds}");
        }
    }
}
