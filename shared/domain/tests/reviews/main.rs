//! What is thought of sessions, beside a naive model of it: lists that are searched. Whatever is asked in whatever order,
//! also while what was decided before is still on its way, both know the same; and however the log is read, the state is the
//! same.

mod model;
mod rules;
#[path = "../script/mod.rs"]
mod script;
mod stories;

use muster_domain::alert::Severity;
use muster_domain::asker::Asker;
use muster_domain::conclusion::{Conclusion, Draft};
use muster_domain::fact::{Decision, Fact, Recorded};
use muster_domain::lease::Ground;
use muster_domain::names::SessionId;
use muster_domain::query::Query;
use muster_domain::review::{
    Action, Decided, How, Label, NewRule, Refusal, RuleRun, Said, Score, Wanted, annotate, close, create_case,
    create_rule, run_rules, switch_rule,
};
use script::*;
use std::collections::VecDeque;

fn query(text: &str) -> Query {
    Query::parse(text).expect("a query")
}

/// A fleet with a few sessions, and those who speak of them.
struct Real {
    script: Script,
    log: Vec<Recorded>,
    /// On its way.
    waiting: VecDeque<Draft>,
    requests: u64,
}

impl Real {
    fn with(sessions: usize) -> Self {
        let mut real = Self {
            script: Script::new(),
            log: Vec::new(),
            waiting: VecDeque::new(),
            requests: 0,
        };
        for n in 0..sessions {
            let began = Fact::Hook(Box::new(hook(Some("p1"), prompt())));
            let told = real.script.tell(event(0, HOST, Some(&format!("s{n}")), began));
            real.log.push(told);
        }
        real
    }

    /// Somebody asks; what follows is on its way.
    fn ask(
        &mut self,
        who: (&str, Option<&str>),
        request: Option<&str>,
        digest: u64,
        ask: impl FnOnce(&Ground<'_>) -> Result<Decided, Refusal>,
    ) -> Result<Decided, Refusal> {
        self.requests += 1;
        let asker = Asker {
            caller: who.0.into(),
            operator: false,
            session: who.1.map(|id| SessionId::new(id).expect("an id")),
            request: request
                .map_or_else(|| format!("r{}", self.requests), str::to_owned)
                .into(),
        };
        let ground = Ground {
            fleet: &self.script.fleet,
            overlay: &self.script.overlay,
            now: ms(self.script.now),
            asker: &asker,
            digest,
        };
        let decided = ask(&ground)?;
        for draft in decided.drafts.clone() {
            self.publish(draft);
        }
        Ok(decided)
    }

    /// That is on its way.
    fn publish(&mut self, draft: Draft) {
        let place = self.script.seq + 1 + self.waiting.len() as u64;
        self.script.overlay.published(id(place), &draft);
        self.waiting.push_back(draft);
    }

    /// What is on its way comes back, and with it what follows of alerts.
    fn read_back(&mut self) {
        while let Some(draft) = self.waiting.pop_front() {
            let decision = if let Conclusion::Review(fact) = draft.conclusion {
                Decision::Review(fact)
            } else if let Conclusion::Alert(fact) = draft.conclusion {
                Decision::Alert(fact)
            } else {
                panic!("it is of reviews: {draft:?}");
            };
            let session = draft.session.as_ref().map(SessionId::as_str);
            let told = event(0, HOST, session, Fact::Decision(decision));
            let told = self.script.tell(told);
            self.log.push(told);
            for draft in std::mem::take(&mut self.script.drafts) {
                if matches!(draft.conclusion, Conclusion::Alert(_)) {
                    self.publish(draft);
                }
            }
        }
    }

    fn say(&mut self, who: &str, session: usize, score: u8) -> Result<Decided, Refusal> {
        let key = key(HOST, &format!("s{session}"));
        let said = Said {
            score: Score::try_from(score).ok(),
            ..Said::default()
        };
        self.ask((who, None), None, 1, |ground| annotate(ground, &key, said))
    }

    fn open(&mut self, session: usize) -> Result<Decided, Refusal> {
        let key = key(HOST, &format!("s{session}"));
        self.ask(("anna", None), None, 1, |ground| {
            create_case(ground, &key, "why", Some(Label::Bug))
        })
    }

    fn close(&mut self, how: How, id: u64) -> Result<Decided, Refusal> {
        self.ask(("anna", None), None, 1, |ground| close(ground, how, id, None))
    }

    fn rule(&mut self, name: &str, filter: &str, action: Action) -> Result<u64, Refusal> {
        let new = NewRule {
            name: name.into(),
            filter: query(filter),
            action,
            message: None,
            severity: Severity::Info,
        };
        let made = self.ask(("anna", None), None, 1, |ground| create_rule(ground, new));
        made.map(|made| made.about)
    }

    fn switch(&mut self, rule: u64, on: bool) -> Result<Decided, Refusal> {
        self.ask(("anna", None), None, 1, |ground| switch_rule(ground, rule, on))
    }

    fn run(&mut self, wanted: Wanted) -> Result<Vec<RuleRun>, Refusal> {
        let mut runs = Vec::new();
        self.ask(("anna", None), None, 1, |ground| {
            let (decided, ran) = run_rules(ground, wanted)?;
            runs = ran;
            Ok(decided)
        })?;
        Ok(runs)
    }
}
