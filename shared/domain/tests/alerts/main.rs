//! When somebody should look, and when no longer, as stories: one a rule, and the ones that must stay quiet.

mod model;
mod properties;
#[path = "../script/mod.rs"]
mod script;
mod stories;

use muster_domain::alert::{AlertFact, Because, Rule, Settings, Severity};
use muster_domain::conclusion::{Conclusion, Draft};
use muster_domain::fact::{Fact, Hook, HookBody, InputDigest, ToolOutcome, ToolUse, TurnFact, Usage};
use muster_domain::fleet::{self, Fleet};
use muster_domain::overlay::Overlay;
use muster_domain::{due, react};
use script::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const MIN: i64 = 60;
const HOUR: i64 = 60 * MIN;

/// A fleet, and a leader that writes down what it concludes. Time passes through every deadline.
struct Story {
    script: Script,
    said: Vec<(Rule, bool)>,
    calls: u64,
}

impl Default for Story {
    fn default() -> Self {
        Self::with(|_| {})
    }
}

impl Story {
    fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = fleet::Settings {
            // Whoever hears nothing for hours is not what these stories are about.
            silence: Duration::from_hours(24),
            ..fleet::Settings::default()
        };
        change(&mut settings.alerts);
        let mut script = Script::new();
        script.fleet = Fleet::new(settings);
        Self {
            script,
            said: Vec::new(),
            calls: 0,
        }
    }

    fn lead(&mut self, drafts: Vec<Draft>) {
        for draft in self.script.lead(drafts) {
            if let Conclusion::Alert(fact) = draft.conclusion {
                let rule = Rule::of_key(fact.key()).expect("every alert is of a rule");
                self.said.push((rule, matches!(fact, AlertFact::Raised(_))));
            }
        }
    }

    fn tell(&mut self, fact: Fact) -> &mut Self {
        self.script.fact(fact);
        let drafts = std::mem::take(&mut self.script.drafts);
        self.lead(drafts);
        self
    }

    fn hook(&mut self, body: HookBody) -> &mut Self {
        self.tell(Fact::Hook(Box::new(hook(Some("p1"), body))))
    }

    /// A call, from its beginning to its end.
    fn call(&mut self, command: u64, outcome: ToolOutcome, output: u32) -> &mut Self {
        self.calls += 1;
        let tool = bash(self.calls, command);
        self.hook(HookBody::ToolStarted(tool.clone()));
        let ended = HookBody::ToolEnded {
            tool,
            outcome,
            duration_ms: None,
            spawned: None,
        };
        self.tell(Fact::Hook(Box::new(Hook {
            output: Some(output),
            ..hook(Some("p1"), ended)
        })))
    }

    fn works(&mut self, command: u64) -> &mut Self {
        self.call(command, ToolOutcome::Ok, command as u32)
    }

    fn fails(&mut self, command: u64, error: &str) -> &mut Self {
        let error = error.to_owned();
        self.call(command, ToolOutcome::Failed { error }, 0)
    }

    /// Lets time pass; whatever is due on the way is done when it is.
    fn pass(&mut self, seconds: i64) -> &mut Self {
        let end = self.script.now + seconds * 1000;
        while let Some(at) = due::due(&self.script.fleet).filter(|at| *at <= ms(end)) {
            self.script.now = self.script.now.max(at.as_millis());
            let drafts = due::expire(&self.script.fleet, &self.script.overlay, ms(self.script.now));
            assert!(
                !drafts.is_empty(),
                "a deadline that finds nothing would come again for ever"
            );
            self.lead(drafts);
        }
        self.script.now = self.script.now.max(end);
        self
    }

    #[track_caller]
    fn says(&mut self, expected: &[(Rule, bool)]) -> &mut Self {
        assert_eq!(std::mem::take(&mut self.said), expected);
        self
    }

    fn raises(&mut self, rule: Rule) -> &mut Self {
        self.says(&[(rule, true)])
    }

    fn clears(&mut self, rule: Rule) -> &mut Self {
        self.says(&[(rule, false)])
    }

    fn quiet(&mut self) -> &mut Self {
        self.says(&[])
    }

    /// The one alert that stands, as people read it.
    #[track_caller]
    fn reads(&mut self, words: &str) -> &mut Self {
        let standing: Vec<_> = self.script.fleet.alerts().standing().values().collect();
        assert_eq!(standing.len(), 1);
        assert_eq!(&*standing[0].summary, words);
        self
    }

    fn evidence(&self, name: &str) -> Option<u64> {
        let standing = self.script.fleet.alerts().standing().values().next()?;
        standing.evidence.get(name).copied()
    }

    fn kind(&self) -> Option<&str> {
        let standing = self.script.fleet.alerts().standing().values().next()?;
        standing.kind.as_deref()
    }
}

fn bash(call: u64, command: u64) -> ToolUse {
    ToolUse {
        input: InputDigest(command),
        summary: Some(format!("make {command}")),
        ..used("Bash", Some(&format!("toolu_{call}")))
    }
}

fn measured(used_tokens: u64, window_tokens: Option<u64>) -> Fact {
    Fact::Turn(TurnFact::ContextChanged {
        used_tokens,
        window_tokens,
    })
}

fn spent(index: u32, cost_so_far: u64) -> Fact {
    Fact::Turn(TurnFact::Ended {
        turn: run_turn("r1", index),
        ok: true,
        result: "success".to_owned(),
        duration_ms: Some(900),
        usage: Usage::default(),
        run_cost_micros: Some(cost_so_far),
        tools: BTreeMap::new(),
    })
}
