//! Sessions begun by order: from the template to the carrier that comes of it.

use super::clerk::Clerk;
use super::journal::Entry;
use super::{Request, again, settle};
use muster_domain::effect::{Action, ActionKind};
use muster_domain::ids::EffectId;
use muster_domain::names::{RunId, SessionId};

impl Clerk {
    pub(super) async fn spawn(&mut self, request: Request) {
        let Action::Spawn {
            template,
            prompt,
            model,
            budget_usd_micros,
        } = &request.requested.action
        else {
            return;
        };
        let planned = self.spawner.plan(
            template,
            request.session.as_ref(),
            model.as_deref(),
            *budget_usd_micros,
            &letter(&request.requested.by.caller, prompt),
        );
        let plan = match planned {
            Ok(plan) => plan,
            Err(error) => return self.refuse(request, "refused", &error.to_string()).await,
        };
        if !self.begin(&request, None).await {
            return again(request.delivery).await;
        }
        if let Err(error) = self.spawner.start(request.id, plan) {
            self.end(request.id, Some("error"), Some(format!("{error:#}"))).await;
        }
        settle(request.delivery).await;
    }

    /// A session that was to begin has a carrier.
    pub(super) async fn spawned(&mut self, session: &SessionId, run: &RunId) {
        self.spawner.settled(session);
        if let Some(id) = self.ordered(session) {
            self.end(id, None, Some(format!("run {run}"))).await;
        }
    }

    pub(super) async fn spawn_failed(&mut self, session: &SessionId, why: &str) {
        self.spawner.settled(session);
        if let Some(id) = self.ordered(session) {
            self.end(id, Some("error"), Some(why.to_owned())).await;
        }
    }

    /// The order that a session begins by, until it has.
    fn ordered(&self, session: &SessionId) -> Option<EffectId> {
        let is = |entry: &Entry| entry.kind == Some(ActionKind::Spawn) && entry.session.as_ref() == Some(session);
        let mut open = self.journal.open_entries();
        open.find(|(_, entry)| is(entry)).map(|(id, _)| id)
    }
}

/// An order's words as the agent reads them. The first line is always ours, so that they are never taken for a command of
/// the agent, as messages are not.
fn letter(from: &str, prompt: &str) -> String {
    let from = from.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("Prompt from {from}:\n\n{prompt}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_words_of_a_session_are_never_a_command_of_its_agent() {
        assert_eq!(
            letter("op-anna\n/clear", "/clear"),
            "Prompt from op-anna /clear:\n\n/clear"
        );
    }
}
