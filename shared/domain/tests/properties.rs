//! What holds for every log: order where it may race, repetition, snapshots, and anything at all.

mod script;

use muster_domain::fact::{Decision, Event, Fact, Hook, HookBody, HostFact, Origin, ProcessFact, Recorded, TurnFact};
use muster_domain::fleet::{Applied, Fleet, Settings};
use muster_domain::hold::{self, Selector};
use muster_domain::memory::{Compaction, MemoryFact};
use muster_domain::overlay::Overlay;
use muster_domain::state::SessionState;
use muster_domain::{budget, due, react, view};
use proptest::prelude::*;
use script::*;
use std::collections::BTreeMap;

/// An event with the moment it keeps, wherever in the log it comes to stand.
type Timed = (i64, Event);

const TOOLS: [&str; 3] = ["Bash", "Write", "AskUserQuestion"];

/// A call is always of the same tool and thread, as with an agent that names calls.
fn of_call(n: usize, make: impl Fn(&str, &str) -> HookBody, prompt: &str) -> Hook {
    let told = hook(Some(prompt), make(TOOLS[n % 3], &format!("c{n}")));
    if n < 4 { told } else { in_subagent("a1", told) }
}

/// Any hook of one prompt.
fn of_prompt(prompt_id: &'static str) -> impl Strategy<Value = Hook> {
    let on = move |body| hook(Some(prompt_id), body);
    let inside = move |body| in_subagent("a1", hook(Some(prompt_id), body));
    prop_oneof![
        Just(on(prompt())),
        (0..8usize).prop_map(move |n| of_call(n, start, prompt_id)),
        (0..8usize).prop_map(move |n| of_call(n, end, prompt_id)),
        (0..8usize).prop_map(move |n| of_call(n, fail, prompt_id)),
        (0..8usize).prop_map(move |n| of_call(n, |tool, _| ask(tool), prompt_id)),
        (0..8usize).prop_map(move |n| of_call(n, |tool, _| held_ask(tool, 30_000), prompt_id)),
        (0..8usize).prop_map(move |n| of_call(n, |tool, call| held_start(tool, call, 30_000), prompt_id)),
        Just(on(spawned("Agent", "c9", "a1"))),
        Just(inside(HookBody::SubagentStarted)),
        Just(inside(HookBody::SubagentStopped)),
        Just(inside(HookBody::ToolsDone)),
        Just(on(HookBody::ToolsDone)),
        Just(on(HookBody::CompactionStarted)),
        Just(on(HookBody::CompactionEnded)),
        Just(on(HookBody::InputGiven)),
        Just(on(HookBody::InputAwaited {
            reason: "elicitation".to_owned()
        })),
        Just(on(HookBody::StopFailed {
            error: "overloaded".to_owned()
        })),
        Just(on(stop())),
        Just(on(session_end())),
        Just(on(HookBody::Other)),
    ]
}

fn timed(hooks: impl Strategy<Value = Hook>, session: &'static str) -> impl Strategy<Value = Timed> {
    (0..40i64, hooks).prop_map(move |(half_seconds, hook)| {
        let fact = Fact::Hook(Box::new(hook));
        (half_seconds * 500, event(0, HOST, Some(session), fact))
    })
}

/// Anything that may be said of orders that hosts enforce.
fn any_hold() -> impl Strategy<Value = hold::Change> {
    let by = || hold::By::Budget {
        budget: "session:*/calls".to_owned(),
    };
    let host = Selector::Host { host: host_name(HOST) };
    let selector = prop::sample::select(vec![Selector::All, host]);
    prop_oneof![
        (selector, any::<Option<i64>>()).prop_map(move |(selector, until)| {
            hold::Change::Set(hold::Order {
                mode: hold::Mode::Hold,
                selector,
                reason: None,
                by: by(),
                expires_at: until.map(ms),
                request: None,
            })
        }),
        (0..60u64).prop_map(move |n| hold::Change::Released {
            hold: id(n),
            by: by(),
            reason: None,
        }),
        (0..60u64).prop_map(|n| hold::Change::Confirmed { hold: id(n) }),
    ]
}

/// Anything that may be said of budgets.
fn any_budget() -> impl Strategy<Value = budget::Change> {
    let rule =
        (0..20u64, prop::sample::select(vec![None, Some(budget::Window::Minute)])).prop_map(|(limit, window)| {
            let scope = budget::Scope::Session {
                host: None,
                session: None,
            };
            budget::Rule {
                scope,
                measure: budget::Measure::Calls,
                limit,
                window,
            }
        });
    prop_oneof![
        rule.prop_map(|rule| budget::Change::Set { rule, by: None }),
        Just(budget::Change::Removed {
            id: "session:*/calls".to_owned(),
            by: None,
        }),
        any::<u64>().prop_map(|spent| budget::Change::Exceeded(budget::Reached {
            id: "session:*/calls".to_owned(),
            subject: budget::Subject::Session(key(HOST, SESSION)),
            measure: budget::Measure::Calls,
            spent,
            limit: 1,
            until: None,
        })),
    ]
}

/// How full a context is, in words of an agent that prints.
fn measure() -> impl Strategy<Value = TurnFact> {
    prop_oneof![
        (any::<u64>(), any::<Option<u64>>()).prop_map(|(used_tokens, window_tokens)| TurnFact::ContextChanged {
            used_tokens,
            window_tokens,
        }),
        any::<bool>().prop_map(|compacting| TurnFact::StateChanged { compacting }),
    ]
}

/// Anything an event may say, sensible or not.
fn any_fact() -> impl Strategy<Value = Fact> {
    let nameless = of_prompt("p1").prop_map(|hook| Hook { prompt: None, ..hook });
    let hooks = prop_oneof![of_prompt("p1"), of_prompt("p2"), nameless];
    let state = prop::sample::select(SessionState::ALL);
    prop_oneof![
        8 => hooks.prop_map(|hook| Fact::Hook(Box::new(hook))),
        1 => Just(Fact::Hook(Box::new(hook(None, session_start("resume"))))),
        1 => (0..3u32).prop_map(|pid| Fact::Process(ProcessFact::Started(process(pid)))),
        1 => (0..3u32, any::<Option<i32>>()).prop_map(|(pid, status)| {
            Fact::Process(ProcessFact::Exited { process: process(pid), status })
        }),
        1 => (0..40u32, any::<bool>(), any::<u64>())
            .prop_map(|(index, ok, cost)| Fact::Turn(turn_ended("r1", index, ok, cost))),
        1 => (0..40u32).prop_map(|index| {
            Fact::Turn(TurnFact::Started { turn: run_turn("r2", index), cwd: None })
        }),
        1 => measure().prop_map(Fact::Turn),
        1 => any::<i32>().prop_map(|at| {
            let (began, ended) = (ms(0), ms(at.into()));
            let compaction = Compaction { began, ended, before: None, after: None };
            Fact::Decision(Decision::Memory(MemoryFact::Compacted(compaction)))
        }),
        1 => Just(Fact::Host(started_host())),
        1 => Just(Fact::Host(HostFact::Stopping)),
        1 => state.prop_map(|to| Fact::Decision(Decision::StateChanged { to, reason: None })),
        1 => Just(Fact::Decision(Decision::SessionLost { reason: "gone".to_owned() })),
        1 => Just(Fact::Decision(Decision::HostLost)),
        1 => Just(Fact::Decision(Decision::HostReturned)),
        1 => any_hold().prop_map(|change| Fact::Decision(Decision::Hold(change))),
        1 => any_budget().prop_map(|change| Fact::Decision(Decision::Budget(change))),
        1 => Just(Fact::Noted),
        1 => Just(Fact::Tombstone),
    ]
}

/// Any log at all: events of two sessions on two hosts, with any time, and counts that jump, repeat and fork.
fn any_log() -> impl Strategy<Value = Vec<Recorded>> {
    let one = (
        any_fact(),
        prop::sample::select(vec![("web-01", "s1"), ("web-02", "s2")]),
        any::<bool>(),
        prop_oneof![9 => 0..100_000_000i64, 1 => any::<i64>()],
        prop_oneof![9 => 0..40u64, 1 => any::<u64>()],
        0..60u64,
    );
    prop::collection::vec(one, 0..60).prop_map(|all| {
        let told = all.into_iter().enumerate();
        told.map(|(n, (fact, (host, session), counted, at, count, of))| {
            let mut event = event(of, host, Some(session), fact);
            event.origin = counted.then_some(Origin {
                producer: spool(1),
                seq: count,
            });
            Recorded {
                seq: n as u64 + 1,
                at: ms(at),
                event,
            }
        })
        .collect()
    })
}

/// Writes events to a log in this order: sequences and counts follow the order, times stay with the events. Nothing else
/// of the log stands at the same moment: what a batch holds is ordered by its place in it, and that order is not free.
fn write(events: &[Timed]) -> Vec<Recorded> {
    let mut log: Vec<Recorded> = Vec::new();
    for (n, (at, event)) in events.iter().enumerate() {
        if log.last().is_some_and(|before| before.at == ms(*at)) {
            let between = Event {
                host: None,
                session: None,
                origin: None,
                fact: Fact::Noted,
                ..event.clone()
            };
            log.push(Recorded {
                seq: log.len() as u64 + 1,
                at: ms(at - 1),
                event: between,
            });
        }
        let origin = Some(Origin {
            producer: spool(1),
            seq: n as u64 + 1,
        });
        let event = Event {
            origin,
            ..event.clone()
        };
        log.push(Recorded {
            seq: log.len() as u64 + 1,
            at: ms(*at),
            event,
        });
    }
    log
}

fn fold(log: &[Recorded]) -> Fleet {
    let mut fleet = Fleet::new(Settings::default());
    for recorded in log {
        let _ = fleet.apply(recorded);
    }
    fleet
}

fn identified(mut events: Vec<Timed>) -> Vec<Timed> {
    for (n, (at, event)) in events.iter_mut().enumerate() {
        event.id = id(n as u64);
        *at += n as i64;
    }
    events
}

/// The same events in another order, some of them more than once.
fn reordered(events: impl Strategy<Value = Vec<Timed>>) -> impl Strategy<Value = (Vec<Timed>, Vec<Timed>)> {
    events.prop_map(identified).prop_flat_map(|events| {
        let again = prop::sample::subsequence(events.clone(), 0..=events.len().min(8));
        let all = events.clone();
        let other = again.prop_map(move |again| [all.clone(), again].concat());
        (Just(events), other.prop_shuffle())
    })
}

proptest! {
    #[test]
    fn hooks_of_one_prompt_may_come_in_any_order_and_any_number(
        (told, other) in reordered(prop::collection::vec(timed(of_prompt("p1"), SESSION), 1..30))
    ) {
        let (one, two) = (fold(&write(&told)), fold(&write(&other)));
        prop_assert_eq!(one.sessions(), two.sessions());
        let of = |fleet: &Fleet| view::turns(fleet.session(&key(HOST, SESSION)).unwrap());
        prop_assert_eq!(of(&one), of(&two));
    }

    #[test]
    fn prompts_and_sessions_may_interleave_in_any_order(
        (told, other) in reordered(prop::collection::vec(
            prop_oneof![
                timed(of_prompt("p1"), SESSION),
                timed(of_prompt("p2"), SESSION),
                timed(of_prompt("p1"), "s2"),
            ],
            1..40,
        ))
    ) {
        let (one, two) = (fold(&write(&told)), fold(&write(&other)));
        prop_assert_eq!(one.sessions(), two.sessions());
        prop_assert_eq!(one.hosts(), two.hosts());
        prop_assert_eq!(due::due(&one), due::due(&two));
    }

    #[test]
    fn measures_and_compactions_may_come_in_any_order(
        (told, other) in reordered(prop::collection::vec(
            prop_oneof![
                timed(of_prompt("p1"), SESSION),
                (0..400i64, measure()).prop_map(|(at, fact)| (at * 100, event(0, HOST, Some(SESSION), Fact::Turn(fact)))),
            ],
            1..40,
        ))
    ) {
        let (one, two) = (fold(&write(&told)), fold(&write(&other)));
        prop_assert_eq!(one.sessions(), two.sessions());
        prop_assert_eq!(due::due(&one), due::due(&two));
    }

    #[test]
    fn late_ends_of_one_prompt_never_close_the_next(
        late in prop::collection::vec(0..6usize, 0..12).prop_shuffle()
    ) {
        let mut script = Script::new();
        script.on("p1", prompt()).on("p1", start("Bash", "c0")).on("p2", prompt());
        for n in late {
            let body = match n {
                0 => stop(),
                1 => HookBody::StopFailed { error: "overloaded".to_owned() },
                2 => end("Bash", "c0"),
                3 => HookBody::ToolsDone,
                4 => fail("Write", "c1"),
                _ => HookBody::SubagentStopped,
            };
            script.on("p1", body).then(SessionState::Working);
        }
        script.on("p2", stop()).then(SessionState::Idle);
    }

    #[test]
    fn a_log_that_is_read_twice_counts_once(log in any_log()) {
        let mut fleet = fold(&log);
        let once = fleet.clone();
        for recorded in &log {
            prop_assert!(!fleet.apply(recorded).counted());
        }
        prop_assert_eq!(&fleet, &once);
    }

    #[test]
    fn observations_that_are_stored_again_change_nothing(
        told in prop::collection::vec(timed(of_prompt("p1"), SESSION), 1..20)
    ) {
        let log = write(&identified(told));
        let mut fleet = fold(&log);
        let once = fleet.clone();
        for (n, recorded) in log.iter().enumerate() {
            let again = Recorded { seq: (log.len() + n) as u64 + 1, ..recorded.clone() };
            prop_assert_eq!(
                fleet.apply(&again),
                Applied::Ignored(muster_domain::fleet::Why::Redelivered)
            );
        }
        prop_assert_eq!(fleet.sessions(), once.sessions());
        prop_assert_eq!(fleet.counters().redelivered, log.len() as u64);
        prop_assert_eq!(fleet.gaps(), 0);
    }

    #[test]
    fn a_snapshot_and_the_rest_is_the_whole(log in any_log(), at in any::<prop::sample::Index>()) {
        let whole = fold(&log);
        let cut = at.index(log.len() + 1);
        let text = serde_json::to_string(&fold(&log[..cut])).unwrap();
        let mut resumed: Fleet = serde_json::from_str(&text).unwrap();
        for recorded in &log[cut..] {
            let _ = resumed.apply(recorded);
        }
        prop_assert_eq!(resumed.digest(), whole.digest());
        prop_assert_eq!(resumed, whole);
    }

    #[test]
    fn nothing_told_can_break_the_fold_its_views_or_its_conclusions(log in any_log()) {
        let mut fleet = Fleet::new(Settings::default());
        let overlay = Overlay::new();
        for recorded in &log {
            let _ = fleet.apply(recorded);
            for draft in react::react(&fleet, &overlay, recorded) {
                prop_assert!(!draft.identity().is_empty());
            }
        }
        let _ = (due::due(&fleet), due::expire(&fleet, &overlay, ms(i64::MAX)));
        let _ = (react::catch_up(&fleet, &overlay), view::hosts(&fleet).count());
        for (view, session) in view::sessions(&fleet).zip(fleet.sessions().values()) {
            prop_assert_eq!(view.turns as usize, view::turns(session).len());
        }
    }

    #[test]
    fn the_fold_keeps_no_more_than_it_promises(
        prompts in prop::collection::btree_map("[a-z]{1,2}", 1..4usize, 30..60)
    ) {
        let mut script = Script::new();
        let calls: BTreeMap<String, usize> = prompts;
        for (prompt_id, n) in &calls {
            script.on(prompt_id, prompt());
            for call in 0..*n {
                script.on(prompt_id, end("Bash", &format!("c{call}")));
            }
        }
        let view = script.view();
        prop_assert_eq!(view.turns as usize, calls.len());
        prop_assert_eq!(view.tool_calls as usize, calls.values().sum::<usize>());
        prop_assert!(script.turns().len() <= 32);
    }
}
