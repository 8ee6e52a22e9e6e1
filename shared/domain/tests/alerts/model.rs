//! Alerts beside a naive model of them: a few lines that look at what happened as a whole, each time anew, and know nothing of
//! spans, agendas or the log. Whatever a session does and however long nothing happens, the same alerts stand, raised equally
//! often, and a leader who begins finds nothing left to say.

use super::*;
use proptest::prelude::*;

/// Real deadlines come up to a second late, and what follows from them may: no step is nearer to one than this.
const APART: i64 = 20;
/// What is asked here; the others are asked of turns that are printed, and of compactions.
const ASKED: [Rule; 4] = [Rule::Stuck, Rule::Waiting, Rule::ErrorRate, Rule::RateLimitCascade];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Came {
    Of(u32),
    Error,
    Denial,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Prompt,
    /// The same call so many times.
    Call {
        command: u64,
        came: Came,
        times: u8,
    },
    /// A call that its user is asked about.
    Asks,
    Allowed,
    TurnedAway(u8),
    Stop,
    Wait(i64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Idle,
    Working,
    Asking,
}

#[derive(Debug, Default)]
struct Model {
    /// In seconds.
    now: i64,
    state: State,
    since: i64,
    calls: Vec<(u64, Came)>,
    last_call: i64,
    /// Calls before this turn.
    before: usize,
    turned_away: Vec<i64>,
    standing: BTreeSet<Rule>,
    raised: BTreeMap<Rule, u32>,
    quiet: BTreeMap<Rule, i64>,
}

impl Model {
    fn becomes(&mut self, state: State) {
        (self.state, self.since) = (state, self.now);
    }

    fn call(&mut self, command: u64, came: Came) {
        self.calls.push((command, came));
        self.last_call = self.now;
    }

    /// When this rule's answer may change by time alone.
    fn moments(&self, rule: Rule) -> Vec<i64> {
        match rule {
            Rule::Waiting if self.state == State::Asking => vec![self.since + 10 * MIN],
            Rule::Waiting if self.state == State::Idle => vec![self.since + HOUR],
            Rule::ErrorRate => vec![self.last_call + HOUR],
            Rule::RateLimitCascade => self.turned_away.iter().map(|at| at + 5 * MIN).collect(),
            Rule::Stuck | Rule::Waiting | Rule::CostSpike | Rule::ContextPressure | Rule::Forked => Vec::new(),
        }
    }

    fn holds(&self, rule: Rule) -> bool {
        let latest = &self.calls[self.calls.len().saturating_sub(20)..];
        match rule {
            Rule::Stuck => {
                let turn = &latest[self
                    .before
                    .saturating_sub(self.calls.len() - latest.len())
                    .min(latest.len())..];
                let again =
                    |same: &dyn Fn((u64, Came)) -> bool| turn.iter().rev().take_while(|call| same(**call)).count();
                let same_call = turn.last().map_or(0, |last| again(&|call| call == *last));
                let same_error = again(&|(_, came)| came == Came::Error);
                self.state != State::Idle && (same_call >= 6 || same_error >= 4)
            }
            Rule::Waiting => self.moments(rule).iter().any(|at| *at <= self.now),
            Rule::ErrorRate => {
                let stands = self.standing.contains(&rule);
                let ran = latest.iter().filter(|(_, came)| *came != Came::Denial);
                let failed = ran.clone().filter(|(_, came)| *came == Came::Error).count();
                let (all, percent) = (ran.count(), if stands { 25 } else { 50 });
                let many = all >= 10 && failed * 100 >= percent * all;
                many && self.now < self.last_call + HOUR && (stands || !self.standing.contains(&Rule::Stuck))
            }
            Rule::RateLimitCascade => self.turned_away.iter().filter(|at| self.now < **at + 5 * MIN).count() >= 3,
            Rule::CostSpike | Rule::ContextPressure | Rule::Forked => false,
        }
    }

    /// Says what is to be said until nothing is.
    fn settle(&mut self) {
        loop {
            let quiet = |rule: &Rule| self.quiet.get(rule).is_some_and(|until| self.now < *until);
            let begin = |rule: &Rule| self.holds(*rule) && !self.standing.contains(rule) && !quiet(rule);
            let end = |rule: &Rule| !self.holds(*rule) && self.standing.contains(rule);
            let (begun, ended): (Vec<Rule>, Vec<Rule>) = (
                ASKED.into_iter().filter(begin).collect(),
                ASKED.into_iter().filter(end).collect(),
            );
            if begun.is_empty() && ended.is_empty() {
                return;
            }
            for rule in begun {
                self.standing.insert(rule);
                *self.raised.entry(rule).or_default() += 1;
            }
            for rule in ended {
                self.standing.remove(&rule);
                self.quiet.insert(rule, self.now + 15 * MIN);
            }
        }
    }

    fn deadlines(&self) -> BTreeSet<i64> {
        let moments = ASKED.into_iter().flat_map(|rule| self.moments(rule));
        moments.chain(self.quiet.values().copied()).collect()
    }

    fn wait(&mut self, until: i64) {
        while let Some(next) = self.deadlines().into_iter().find(|at| self.now < *at && *at <= until) {
            self.now = next;
            self.settle();
        }
        self.now = until;
    }

    /// When a wait of about this long is over, far from anything that is due.
    fn end_of(&self, span: i64) -> i64 {
        let mut model = Self {
            calls: self.calls.clone(),
            turned_away: self.turned_away.clone(),
            standing: self.standing.clone(),
            quiet: self.quiet.clone(),
            raised: BTreeMap::new(),
            ..*self
        };
        let mut end = self.now + span;
        loop {
            model.wait(end);
            let near = model.deadlines().into_iter().any(|at| (at - end).abs() <= APART);
            if !near {
                return end;
            }
            end += APART;
        }
    }
}

fn outcome(came: Came) -> (ToolOutcome, u32) {
    match came {
        Came::Of(output) => (ToolOutcome::Ok, output),
        Came::Error => {
            let error = "error: it is as it was, and that is wrong".to_owned();
            (ToolOutcome::Failed { error }, 0)
        }
        Came::Denial => (
            ToolOutcome::Denied {
                reason: "not now".to_owned(),
            },
            0,
        ),
    }
}

/// Does it, to both.
fn take(step: Step, story: &mut Story, model: &mut Model, prompts: &mut u32) {
    let on = |story: &mut Story, body: HookBody| {
        story.tell(Fact::Hook(Box::new(hook(Some(&format!("p{prompts}")), body))));
    };
    match (step, model.state) {
        (Step::Prompt, _) => {
            *prompts += 1;
            story.tell(Fact::Hook(Box::new(hook(Some(&format!("p{prompts}")), prompt()))));
            model.becomes(State::Working);
            model.before = model.calls.len();
            model.settle();
        }
        (Step::Call { command, came, times }, State::Working) => {
            for _ in 0..times {
                story.calls += 1;
                let tool = bash(story.calls, command);
                on(story, HookBody::ToolStarted(tool.clone()));
                let (outcome, output) = outcome(came);
                let (duration_ms, spawned) = (None, None);
                let ended = hook(
                    Some(&format!("p{prompts}")),
                    HookBody::ToolEnded {
                        tool,
                        outcome,
                        duration_ms,
                        spawned,
                    },
                );
                story.tell(Fact::Hook(Box::new(Hook {
                    output: Some(output),
                    ..ended
                })));
                model.call(command, came);
                model.settle();
            }
        }
        (Step::Asks, State::Working) => {
            story.calls += 1;
            let call = format!("c{}", story.calls);
            on(story, start("Bash", &call));
            on(story, ask("Bash"));
            model.becomes(State::Asking);
            model.settle();
        }
        (Step::Allowed, State::Asking) => {
            let call = format!("c{}", story.calls);
            on(story, end("Bash", &call));
            model.becomes(State::Working);
            model.call(1000, Came::Of(0));
            model.settle();
        }
        (Step::TurnedAway(times), State::Working) => {
            for _ in 0..times {
                story.tell(Fact::Turn(TurnFact::Retried));
                model.turned_away.push(model.now);
                model.settle();
            }
        }
        (Step::Stop, State::Working) => {
            on(story, stop());
            model.becomes(State::Idle);
            model.settle();
        }
        (Step::Wait(span), _) => {
            let end = model.end_of(span);
            story.pass(end - model.now);
            model.wait(end);
            model.settle();
        }
        (Step::Call { .. } | Step::Asks | Step::Allowed | Step::TurnedAway(_) | Step::Stop, _) => {}
    }
}

fn step() -> impl Strategy<Value = Step> {
    let came = prop_oneof![2 => (0..2u32).prop_map(Came::Of), 3 => Just(Came::Error), 1 => Just(Came::Denial)];
    let waits = vec![MIN, 2 * MIN, 6 * MIN, 11 * MIN, 20 * MIN, 61 * MIN];
    prop_oneof![
        2 => Just(Step::Prompt),
        8 => (0..2u64, came, 1..5u8).prop_map(|(command, came, times)| Step::Call { command, came, times }),
        2 => Just(Step::Asks),
        2 => Just(Step::Allowed),
        2 => (1..3u8).prop_map(Step::TurnedAway),
        1 => Just(Step::Stop),
        4 => prop::sample::select(waits).prop_map(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn alerts_stand_as_the_naive_model_says(steps in prop::collection::vec(step(), 0..40)) {
        let mut story = Story::with(|settings| settings.tool = Duration::ZERO);
        story.script.at_once();
        let mut model = Model { now: story.script.now / 1000, ..Model::default() };
        let (mut prompts, mut raised) = (0, BTreeMap::<Rule, u32>::new());
        for (n, step) in [Step::Prompt].iter().chain(&steps).enumerate() {
            take(*step, &mut story, &mut model, &mut prompts);
            for (rule, _) in story.said.drain(..).filter(|(_, begins)| *begins) {
                *raised.entry(rule).or_default() += 1;
            }
            let standing = story.script.fleet.alerts().standing().values();
            let standing: BTreeSet<Rule> = standing.filter_map(|alert| alert.rule).collect();
            prop_assert_eq!((&standing, &raised), (&model.standing, &model.raised), "after step {} of {:?}", n, steps);
            let left = react::catch_up(&story.script.fleet, &Overlay::new());
            prop_assert!(left.is_empty(), "{left:?} after step {n} of {steps:?}");
        }
    }
}
