//! Given/when/then: what sessions and operators tell and ask one another.

#![expect(clippy::unwrap_used, reason = "the names in a story are legal")]

mod model;
mod properties;
#[path = "../script/mod.rs"]
mod script;
mod stories;

use muster_domain::asker::Asker;
use muster_domain::conclusion::{Conclusion, Draft};
use muster_domain::due;
use muster_domain::effect::{self, Action, ActionKind, Carrier, End, Receipt, Word};
use muster_domain::fact::{Decision, Fact, ProcessFact};
use muster_domain::fleet::{Fleet, Settings};
use muster_domain::ids::{EffectId, MessageId};
use muster_domain::message::{
    self, ATTEMPTS_MAX, Allowed, Answer, Asked, KEPT, Kind, LEASE, Messages, Party, Received, Refusal, Sending, Status,
    To, Wish,
};
use muster_domain::names::SessionId;
use script::*;
use std::time::Duration;

fn operator(request: &str) -> Asker {
    Asker {
        caller: "op-anna".into(),
        operator: true,
        session: None,
        request: request.into(),
    }
}

fn of_session(host: &str, session: &str, request: &str) -> Asker {
    Asker {
        caller: host.into(),
        operator: false,
        session: SessionId::new(session).ok(),
        request: request.into(),
    }
}

fn s1(request: &str) -> Asker {
    of_session(HOST, SESSION, request)
}

fn session(host: &str, id: &str) -> To {
    To::One(Party::Session(key(host, id)))
}

fn note(to: To) -> Wish {
    Wish {
        to,
        body: "look at this".to_owned(),
        kind: Kind::Note,
        reply_to: None,
        due: None,
        ttl: None,
    }
}

fn question(to: To, options: &[&str]) -> Wish {
    Wish {
        kind: Kind::Question {
            options: options.iter().map(|option| (*option).into()).collect(),
            multi: false,
        },
        ttl: Some(message::TTL),
        ..note(to)
    }
}

fn chosen(choice: &str) -> Answer {
    Answer {
        choices: vec![choice.into()],
        text: None,
    }
}

/// What is said of messages.
fn ours(mut drafts: Vec<Draft>) -> Vec<Draft> {
    drafts.retain(|draft| matches!(draft.conclusion, Conclusion::Message(_) | Conclusion::Effect(_)));
    drafts
}

trait Story {
    fn leads(&mut self) -> &mut Self;
    fn writes(&mut self, drafts: Vec<Draft>) -> Vec<Draft>;
    fn sends(&mut self, asker: &Asker, wish: &Wish) -> Result<Vec<MessageId>, Refusal>;
    fn takes(&mut self, asker: &Asker) -> Vec<MessageId>;
    fn acks(&mut self, asker: &Asker, id: MessageId) -> Result<usize, Refusal>;
    fn answers(&mut self, asker: &Asker, id: MessageId, answer: &Answer) -> Result<bool, Refusal>;
    fn time_passes(&mut self, span: Duration) -> &mut Self;
    fn says(&mut self, id: EffectId, word: Word) -> &mut Self;
    fn is(&mut self, id: MessageId, status: Status) -> &mut Self;
    fn pushes(&self) -> Vec<(EffectId, u32)>;
    fn open_push(&self) -> Option<(EffectId, u32)>;
}

impl Story for Script {
    fn leads(&mut self) -> &mut Self {
        let drafts = std::mem::take(&mut self.drafts);
        self.writes(drafts);
        self
    }

    fn writes(&mut self, drafts: Vec<Draft>) -> Vec<Draft> {
        ours(self.lead(ours(drafts)))
    }

    fn sends(&mut self, asker: &Asker, wish: &Wish) -> Result<Vec<MessageId>, Refusal> {
        let sending = message::send(&self.fleet, &self.overlay, asker, wish, ms(self.now))?;
        if let Sending::Write(drafts) = sending {
            self.writes(drafts);
        }
        let from = message::speaker(&self.fleet, asker)?;
        let sent = self.fleet.messages().sent_by(&from, &asker.caller, &asker.request);
        Ok(sent.map(|(id, _)| id).collect())
    }

    fn takes(&mut self, asker: &Asker) -> Vec<MessageId> {
        match message::receive(&self.fleet, &self.overlay, asker, &mut |_, _| true, ms(self.now)).unwrap() {
            Received::Take(ids, drafts) => {
                self.writes(drafts);
                ids
            }
            Received::Again(ids) => ids,
            Received::Soon(_) | Received::Nothing => Vec::new(),
        }
    }

    fn acks(&mut self, asker: &Asker, id: MessageId) -> Result<usize, Refusal> {
        let drafts = message::ack(&self.fleet, &self.overlay, asker, &[id])?;
        Ok(self.writes(drafts).len())
    }

    fn answers(&mut self, asker: &Asker, id: MessageId, answer: &Answer) -> Result<bool, Refusal> {
        let asked = message::answer(&self.fleet, &self.overlay, asker, id, answer, ms(self.now))?;
        Ok(match asked {
            Asked::Write(drafts) => {
                self.writes(drafts);
                true
            }
            Asked::Soon(_) | Asked::Over => false,
        })
    }

    fn time_passes(&mut self, span: Duration) -> &mut Self {
        self.pass(i64::try_from(span.as_secs()).unwrap() + 1);
        let drafts = due::expire(&self.fleet, &self.overlay, ms(self.now));
        self.writes(drafts);
        self
    }

    fn says(&mut self, id: EffectId, word: Word) -> &mut Self {
        self.fact(Fact::Effect(Receipt { id, word })).leads()
    }

    #[track_caller]
    fn is(&mut self, id: MessageId, status: Status) -> &mut Self {
        assert_eq!(self.fleet.messages().get(id).unwrap().status(), status);
        self
    }

    fn pushes(&self) -> Vec<(EffectId, u32)> {
        let all = self.fleet.effects().all().iter();
        let attempts = all.filter_map(|(id, effect)| {
            let Action::Message { attempt, .. } = effect.order.action else {
                return None;
            };
            Some((*id, attempt))
        });
        attempts.collect()
    }

    /// The first that its host has not ended.
    fn open_push(&self) -> Option<(EffectId, u32)> {
        let open = |id: &EffectId| {
            self.fleet
                .effects()
                .get(*id)
                .is_some_and(|effect| effect.status().is_open())
        };
        self.pushes().into_iter().find(|(id, _)| open(id))
    }
}

/// Two sessions that nothing carries, on two hosts.
fn two() -> Script {
    two_under(Settings::default())
}

fn two_under(settings: Settings) -> Script {
    let mut script = Script::new();
    script.fleet = Fleet::new(settings);
    script.host(started_host()).on("p1", prompt());
    let other = hook(Some("p1"), prompt());
    script.tell(event(0, "web-02", Some("s2"), Fact::Hook(Box::new(other))));
    script
}

fn carry(script: &mut Script) {
    let carrier = Carrier {
        run: run("r1"),
        can: [ActionKind::Message].into(),
    };
    let began = ProcessFact::Carries {
        process: process(7),
        carrier: Box::new(carrier),
    };
    script.process(began).leads();
}

fn failed(reason: &str) -> Word {
    Word::Ended(End::Failed {
        reason: reason.into(),
        detail: None,
    })
}
