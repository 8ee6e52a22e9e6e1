//! States of a session beside a naive model of them: for an agent that tells what it does as it does it, one thing at a time,
//! the state is what anybody would keep in a few flags, though the real one is derived from times alone and in any order.

mod script;

use muster_domain::fact::{Decision, Fact, HookBody, ProcessFact};
use muster_domain::fleet::Applied;
use muster_domain::state::SessionState;
use proptest::prelude::*;
use script::*;
use std::collections::BTreeSet;

/// Seconds from one step to the next: nothing races.
const APART: i64 = 60;

#[derive(Debug, Clone, Copy)]
enum Step {
    Starts,
    Prompt,
    Calls(u8),
    Asks(u8),
    Ends(u8),
    Awaits,
    Given,
    Compacts,
    Compacted,
    Stops,
    Fails,
    Leaves,
    Runs,
    Exits { well: bool },
    HostLost,
    HostReturned,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Turn {
    #[default]
    None,
    Running,
    Over,
    Failed,
}

#[derive(Debug, Clone, Default)]
struct Model {
    turn: Turn,
    calls: BTreeSet<u8>,
    asks: BTreeSet<u8>,
    awaits: bool,
    compacts: bool,
    left: bool,
    /// Its latest process: whether it runs, or how it exited.
    process: Option<Result<(), bool>>,
    host_lost: bool,
    unheard: bool,
}

impl Model {
    fn over(&self) -> bool {
        self.left || matches!(self.process, Some(Err(_)))
    }

    /// Whether an agent as it should be says this now.
    fn may(&self, step: Step) -> bool {
        let working = self.turn == Turn::Running && !self.over();
        match step {
            Step::Prompt => self.process != Some(Err(true)) || self.left,
            Step::Starts => true,
            Step::Calls(n) => working && !self.calls.contains(&n),
            Step::Asks(n) => working && self.calls.contains(&n) && !self.asks.contains(&n) && n != 0,
            Step::Ends(n) => working && self.calls.contains(&n),
            Step::Stops | Step::Fails => working,
            Step::Awaits | Step::Given | Step::Compacts | Step::Leaves => !self.over(),
            Step::Compacted => self.compacts && !self.over(),
            Step::Runs => self.process != Some(Ok(())),
            Step::Exits { .. } => self.process == Some(Ok(())),
            Step::HostLost => !self.host_lost,
            Step::HostReturned => self.host_lost,
        }
    }

    fn step(&mut self, step: Step) {
        self.unheard &= matches!(step, Step::HostLost | Step::HostReturned);
        match step {
            Step::Starts | Step::Prompt => {
                // What was going on is not any more.
                self.turn = match (step, self.turn) {
                    (Step::Prompt, _) => Turn::Running,
                    (_, Turn::Running) => Turn::Over,
                    (_, turn) => turn,
                };
                (self.left, self.awaits, self.compacts) = (false, false, false);
                self.process = self.process.filter(Result::is_ok);
                self.asks.clear();
                self.calls.clear();
            }
            Step::Calls(n) => _ = (self.calls.insert(n), self.compacts = false),
            Step::Asks(n) => _ = self.asks.insert(n),
            Step::Ends(n) => _ = (self.calls.remove(&n), self.asks.remove(&n)),
            Step::Awaits => self.awaits = true,
            Step::Given => self.awaits = false,
            Step::Compacts => self.compacts = true,
            Step::Compacted => self.compacts = false,
            Step::Stops | Step::Fails => {
                let failed = matches!(step, Step::Fails);
                *self = Self {
                    turn: if failed { Turn::Failed } else { Turn::Over },
                    process: self.process,
                    host_lost: self.host_lost,
                    ..Self::default()
                };
            }
            Step::Leaves => self.left = true,
            Step::Runs => self.process = Some(Ok(())),
            Step::Exits { well } => self.process = Some(Err(well)),
            Step::HostLost => (self.host_lost, self.unheard) = (true, true),
            Step::HostReturned => (self.host_lost, self.unheard) = (false, false),
        }
    }

    fn state(&self) -> SessionState {
        match self {
            Self { left: true, .. }
            | Self {
                process: Some(Err(true)),
                ..
            } => SessionState::Stopped,
            Self {
                process: Some(Err(false)),
                ..
            } => SessionState::Lost,
            Self { unheard: true, .. } => SessionState::Unknown,
            Self { asks, .. } if !asks.is_empty() => SessionState::WaitingApproval,
            // The call of this number asks its user something.
            Self {
                calls,
                turn: Turn::Running,
                ..
            } if calls.contains(&0) => SessionState::WaitingInput,
            Self { awaits: true, .. } => SessionState::WaitingInput,
            Self { compacts: true, .. } => SessionState::Compacting,
            Self { turn: Turn::None, .. } => SessionState::Starting,
            Self {
                turn: Turn::Running, ..
            } => SessionState::Working,
            Self { turn: Turn::Over, .. } => SessionState::Idle,
            Self { turn: Turn::Failed, .. } => SessionState::Failed,
        }
    }
}

const TOOLS: [&str; 4] = ["AskUserQuestion", "Bash", "Write", "WebFetch"];

#[derive(Default)]
struct Real {
    script: Script,
    prompts: u32,
    processes: u32,
    /// The latest call of each tool.
    calls: [u32; 4],
}

impl Real {
    fn step(&mut self, step: Step) {
        self.script.pass(APART);
        if let Step::Calls(n) = step {
            self.calls[usize::from(n)] += 1;
        }
        let tool = |n: u8| (TOOLS[usize::from(n)], format!("c{n}-{}", self.calls[usize::from(n)]));
        let body = match step {
            Step::Prompt => {
                self.prompts += 1;
                prompt()
            }
            Step::Starts => session_start("resume"),
            Step::Calls(n) => start(tool(n).0, &tool(n).1),
            Step::Asks(n) => ask(tool(n).0),
            Step::Ends(n) => end(tool(n).0, &tool(n).1),
            Step::Awaits => HookBody::InputAwaited {
                reason: "elicitation".to_owned(),
            },
            Step::Given => HookBody::InputGiven,
            Step::Compacts => HookBody::CompactionStarted,
            Step::Compacted => HookBody::CompactionEnded,
            Step::Stops => stop(),
            Step::Fails => HookBody::StopFailed {
                error: "overloaded".to_owned(),
            },
            Step::Leaves => session_end(),
            Step::Runs => {
                self.processes += 1;
                self.script.process(ProcessFact::Started(process(self.processes)));
                return;
            }
            Step::Exits { well } => {
                let status = Some(if well { 0 } else { -9 });
                let process = process(self.processes);
                self.script.process(ProcessFact::Exited { process, status });
                return;
            }
            Step::HostLost | Step::HostReturned => {
                let lost = matches!(step, Step::HostLost);
                let said = if lost {
                    Decision::HostLost
                } else {
                    Decision::HostReturned
                };
                self.script.concluded(said);
                return;
            }
        };
        let of_turn = self.prompts > 0 && !matches!(step, Step::Starts | Step::Leaves);
        let prompt = of_turn.then(|| format!("p{}", self.prompts));
        let told = hook(prompt.as_deref(), body);
        let recorded = self
            .script
            .tell(event(0, HOST, Some(SESSION), Fact::Hook(Box::new(told))));
        // The same again is none of its business.
        let again = muster_domain::fact::Recorded {
            seq: self.script.seq + 1,
            ..recorded
        };
        self.script.seq += 1;
        assert!(matches!(self.script.fold(&again), Applied::Ignored(_)));
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Starts),
        6 => Just(Step::Prompt),
        6 => (0..4u8).prop_map(Step::Calls),
        4 => (1..4u8).prop_map(Step::Asks),
        5 => (0..4u8).prop_map(Step::Ends),
        1 => Just(Step::Awaits),
        1 => Just(Step::Given),
        2 => Just(Step::Compacts),
        2 => Just(Step::Compacted),
        4 => Just(Step::Stops),
        1 => Just(Step::Fails),
        1 => Just(Step::Leaves),
        1 => Just(Step::Runs),
        1 => any::<bool>().prop_map(|well| Step::Exits { well }),
        1 => Just(Step::HostLost),
        2 => Just(Step::HostReturned),
    ]
}

proptest! {
    #[test]
    fn a_session_is_in_the_state_that_the_naive_model_says(steps in prop::collection::vec(step(), 0..60)) {
        let (mut real, mut model) = (Real::default(), Model::default());
        real.step(Step::Starts);
        for (n, step) in steps.iter().enumerate() {
            if model.may(*step) {
                real.step(*step);
                model.step(*step);
                let standing = real.script.session().standing();
                prop_assert_eq!(standing.state, model.state(), "after step {} of {:?}: {:?}", n, steps, standing);
            }
        }
    }
}
