//! What the agent shall do next, in the order in which it came.

use muster_domain::effect::{Action, ActionKind};
use muster_domain::ids::EffectId;
use std::collections::VecDeque;

/// Prompts that wait at most; whoever sends more is refused, and may send again.
pub(super) const WAITING_MAX: usize = 64;

/// A turn to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Work {
    pub(super) what: What,
    /// The effect it carries out.
    pub(super) effect: Option<EffectId>,
    /// The conversation was compacted for it, because it did not fit.
    pub(super) squeezed: bool,
    /// How often the model's provider has refused it.
    pub(super) refused: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// The prompt of whoever started the loop.
    Prompt(String),
    /// Somebody's message.
    Message { from: String, text: String },
    /// Compaction of the context.
    Compact(Option<String>),
}

impl Work {
    pub(super) const fn new(what: What, effect: Option<EffectId>) -> Self {
        Self {
            what,
            effect,
            squeezed: false,
            refused: 0,
        }
    }

    /// What the agent is given.
    pub(super) fn prompt(&self) -> String {
        match &self.what {
            What::Prompt(text) | What::Message { text, .. } => text.clone(),
            What::Compact(None) => "/compact".to_owned(),
            What::Compact(Some(keep)) => format!("/compact {}", keep.split_whitespace().collect::<Vec<_>>().join(" ")),
        }
    }

    /// What its effect is.
    pub(super) const fn kind(&self) -> ActionKind {
        match self.what {
            What::Compact(_) => ActionKind::Compact,
            What::Prompt(_) | What::Message { .. } => ActionKind::Message,
        }
    }

    /// Who gave it.
    pub(super) fn from(&self) -> &str {
        match &self.what {
            What::Message { from, .. } => from,
            What::Prompt(_) => "prompt",
            What::Compact(_) => "muster",
        }
    }
}

/// A message as the agent reads it. The first line is always ours, so that no message is taken for a command of the agent.
fn letter(action: &Action) -> Option<What> {
    let Action::Message {
        message,
        from,
        body,
        reply_to,
        attempt,
    } = action
    else {
        return None;
    };
    let from = from.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut head = format!("Message {message} from {from}");
    if let Some(question) = reply_to {
        head += &format!(", in reply to {question}");
    }
    if *attempt > 1 {
        head += &format!(", brought for the {attempt}. time");
    }
    Some(What::Message {
        text: format!("{head}:\n\n{body}"),
        from,
    })
}

/// Turns to be, and what is done between two turns.
#[derive(Debug, Default)]
pub(super) struct Queue {
    work: VecDeque<Work>,
    models: VecDeque<(EffectId, String)>,
    new_session: Vec<EffectId>,
}

impl Queue {
    /// Takes what waits for the end of a turn. Gives back what is no such thing, or finds no room.
    pub(super) fn take(&mut self, effect: EffectId, action: Action) -> Result<(), Refused> {
        let waiting = self.work.len() + self.models.len() + self.new_session.len();
        if waiting >= WAITING_MAX {
            return Err(Refused::Full);
        }
        match action {
            Action::Message { .. } => {
                let what = letter(&action).ok_or(Refused::Other)?;
                self.work.push_back(Work::new(what, Some(effect)));
            }
            Action::Compact { instructions } => {
                let what = What::Compact(instructions.map(Into::into));
                self.work.push_back(Work::new(what, Some(effect)));
            }
            Action::Model { model } => self.models.push_back((effect, model.into())),
            Action::NewSession => self.new_session.push(effect),
            Action::Interrupt | Action::Stop | Action::Spawn { .. } => return Err(Refused::Other),
        }
        Ok(())
    }

    pub(super) fn push(&mut self, work: Work) {
        self.work.push_back(work);
    }

    /// Puts a turn before all others.
    pub(super) fn push_first(&mut self, work: Work) {
        self.work.push_front(work);
    }

    pub(super) fn next_work(&mut self) -> Option<Work> {
        self.work.pop_front()
    }

    pub(super) fn next_model(&mut self) -> Option<(EffectId, String)> {
        self.models.pop_front()
    }

    /// All that ask for a new conversation: one serves them all.
    pub(super) fn new_session(&mut self) -> Vec<EffectId> {
        std::mem::take(&mut self.new_session)
    }

    /// Prompts that wait.
    pub(super) fn unread(&self) -> usize {
        self.work
            .iter()
            .filter(|work| matches!(work.what, What::Message { .. }))
            .count()
    }

    /// Takes an effect back; nothing when it is not here, because it has begun.
    pub(super) fn withdraw(&mut self, effect: EffectId) -> Option<ActionKind> {
        let (_, kind) = self.effects().find(|(id, _)| *id == effect)?;
        self.work.retain(|work| work.effect != Some(effect));
        self.models.retain(|(id, _)| *id != effect);
        self.new_session.retain(|id| *id != effect);
        Some(kind)
    }

    /// The effects of all that waits, which nothing will become of any more.
    pub(super) fn give_up(&mut self) -> Vec<(EffectId, ActionKind)> {
        let effects = self.effects().collect();
        *self = Self::default();
        effects
    }

    fn effects(&self) -> impl Iterator<Item = (EffectId, ActionKind)> {
        let work = self.work.iter().filter_map(|work| Some((work.effect?, work.kind())));
        let models = self.models.iter().map(|(effect, _)| (*effect, ActionKind::Model));
        let new_session = self.new_session.iter().map(|effect| (*effect, ActionKind::NewSession));
        work.chain(models).chain(new_session)
    }
}

/// Why something does not wait here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    Full,
    /// It is done at once, or not by a turn loop.
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_domain::ids::{EventId, MessageId};
    use uuid::Uuid;

    fn id(n: u128) -> EffectId {
        EffectId::of(EventId::from_uuid(Uuid::from_u128(n)))
    }

    fn message(body: &str) -> Action {
        Action::Message {
            message: MessageId::of(EventId::from_uuid(Uuid::from_u128(9))),
            from: "op-anna\n(root)".into(),
            body: body.into(),
            reply_to: None,
            attempt: 1,
        }
    }

    #[test]
    fn a_message_is_never_taken_for_a_command_of_the_agent() {
        let mut queue = Queue::default();
        queue.take(id(1), message("/clear")).unwrap();
        let text = queue.next_work().unwrap().prompt();
        assert!(text.starts_with("Message 00000000-"), "{text}");
        assert!(text.contains("from op-anna (root):\n\n/clear"), "{text}");
    }

    #[test]
    fn instructions_of_a_compaction_stay_on_its_line() {
        let mut queue = Queue::default();
        let instructions = Some("keep names\n/clear".into());
        queue.take(id(1), Action::Compact { instructions }).unwrap();
        assert_eq!(queue.next_work().unwrap().prompt(), "/compact keep names /clear");
    }

    #[test]
    fn more_than_has_room_is_refused_and_what_is_withdrawn_makes_room() {
        let mut queue = Queue::default();
        for n in 0..WAITING_MAX as u128 {
            queue.take(id(n), message("x")).unwrap();
        }
        assert_eq!(queue.unread(), WAITING_MAX);
        let model = Action::Model { model: "opus".into() };
        assert_eq!(queue.take(id(99), model.clone()), Err(Refused::Full));
        assert_eq!(queue.withdraw(id(3)), Some(ActionKind::Message));
        assert_eq!(queue.withdraw(id(3)), None);
        queue.take(id(99), model).unwrap();
        assert_eq!(queue.take(id(7), Action::Stop), Err(Refused::Full));
        assert_eq!(queue.give_up().len(), WAITING_MAX);
        assert_eq!(queue.take(id(7), Action::Stop), Err(Refused::Other));
    }
}
