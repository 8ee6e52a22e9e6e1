//! What a session does, told as stories: one for each rule.

mod script;

use muster_domain::fact::TurnFact;
use muster_domain::fact::{Decision, HookBody, HostFact, ProcessFact};
use muster_domain::state::SessionState::{
    Compacting, Failed, Idle, Lost, Starting, Stopped, Unknown, WaitingApproval, WaitingInput, Working,
};
use script::*;

fn failure() -> HookBody {
    HookBody::StopFailed {
        error: "rate_limit".to_owned(),
    }
}

#[test]
fn a_session_starts_works_and_is_idle() {
    let mut script = Script::new();
    script.off(session_start("startup")).then(Starting);
    script.on("p1", prompt()).then(Working);
    script.on("p1", start("Bash", "c1")).then(Working);
    script.on("p1", end("Bash", "c1")).then(Working);
    script.on("p1", stop()).then(Idle);
    script.on("p1", session_end()).then(Stopped).because("other");
}

#[test]
fn a_stop_of_one_prompt_never_closes_the_next() {
    let mut script = Script::new();
    script.on("p1", prompt()).on("p2", prompt()).then(Working);
    script.on("p1", stop()).then(Working);
    script.on("p2", stop()).then(Idle);
}

#[test]
fn a_lone_stop_of_an_unknown_prompt_closes_nothing() {
    let mut script = Script::new();
    script.on("p2", prompt()).on("p1", stop()).then(Working);
}

#[test]
fn a_stop_that_overtook_its_turn_still_ends_it() {
    let mut script = Script::new();
    script.on("p1", stop()).then(Idle);
    script.on("p1", end("Bash", "c1"));
    script.on("p1", start("Bash", "c1"));
    script.on("p1", prompt()).then(Idle);
}

#[test]
fn an_agent_that_a_stop_hook_sent_on_works_until_it_stops_again() {
    let mut script = Script::new();
    script.on("p1", prompt()).on("p1", stop()).then(Idle);
    script.pass(5).on("p1", start("Bash", "c1")).then(Working);
    script.on("p1", end("Bash", "c1")).then(Working);
    script.on("p1", stop()).then(Idle);
}

#[test]
fn a_permission_is_awaited_until_its_call_ends() {
    let mut script = Script::new();
    script.on("p1", prompt()).on("p1", start("Bash", "c1"));
    script
        .on("p1", ask("Bash"))
        .then(WaitingApproval)
        .because("Bash: uses Bash");
    script.on("p1", end("Write", "c2")).then(WaitingApproval);
    script.on("p1", end("Bash", "c1")).then(Working);
}

#[test]
fn an_end_older_than_the_ask_does_not_answer_it() {
    let mut script = Script::new();
    script.on("p1", prompt()).on("p1", end("Bash", "c1"));
    script.on("p1", ask("Bash")).then(WaitingApproval);
}

#[test]
fn a_denied_ask_without_an_end_is_closed_by_the_batch_the_stop_or_the_next_prompt() {
    for closer in [("p1", HookBody::ToolsDone), ("p1", stop()), ("p2", prompt())] {
        let mut script = Script::new();
        script.on("p1", prompt()).on("p1", ask("Bash")).then(WaitingApproval);
        let (of, body) = closer;
        script.on(of, body);
        assert_ne!(script.session().standing().state, WaitingApproval);
    }
}

#[test]
fn an_ask_of_a_subagent_is_its_own() {
    let mut script = Script::new();
    script.on("p1", prompt());
    script
        .hook(in_subagent("a1", hook(Some("p1"), ask("Bash"))))
        .then(WaitingApproval);
    script.on("p1", end("Bash", "c1")).then(WaitingApproval);
    script
        .hook(in_subagent("a1", hook(Some("p1"), end("Bash", "c2"))))
        .then(Working);
}

#[test]
fn a_subagents_stop_is_no_stop_of_the_turn() {
    let mut script = Script::new();
    script.on("p1", prompt());
    script.hook(in_subagent("a1", hook(Some("p1"), HookBody::SubagentStarted)));
    assert_eq!(script.view().subagents_running, 1);
    script.hook(in_subagent("a1", hook(Some("p1"), stop()))).then(Working);
    assert_eq!(script.view().subagents_running, 0);
}

#[test]
fn a_question_is_waited_for_as_input() {
    let mut script = Script::new();
    script
        .on("p1", prompt())
        .on("p1", start("AskUserQuestion", "c1"))
        .then(WaitingInput);
    script.on("p1", ask("AskUserQuestion")).then(WaitingInput);
    script.on("p1", end("AskUserQuestion", "c1")).then(Working);
}

#[test]
fn awaited_words_come_or_the_turn_ends() {
    let awaited = || HookBody::InputAwaited {
        reason: "elicitation".to_owned(),
    };
    let mut script = Script::new();
    script
        .on("p1", prompt())
        .on("p1", awaited())
        .then(WaitingInput)
        .because("elicitation");
    script.on("p1", HookBody::InputGiven).then(Working);
    script.on("p1", awaited()).then(WaitingInput);
    script.on("p1", stop()).then(Idle);
}

#[test]
fn tasks_that_go_on_are_told_of_an_idle_session() {
    let mut script = Script::new();
    let body = HookBody::Stopped { background_tasks: 2 };
    script
        .on("p1", prompt())
        .on("p1", body)
        .then(Idle)
        .because("2 background tasks go on");
}

#[test]
fn compaction_lasts_until_it_ends_or_work_goes_on() {
    let mut script = Script::new();
    script
        .on("p1", prompt())
        .on("p1", HookBody::CompactionStarted)
        .then(Compacting);
    script.on("p1", HookBody::CompactionEnded).then(Working);
    script.pass(5).on("p1", HookBody::CompactionStarted).then(Compacting);
    script.on("p1", start("Bash", "c1")).then(Working);
    script
        .on("p1", stop())
        .pass(5)
        .off(HookBody::CompactionStarted)
        .then(Compacting);
    script.off(session_start("compact")).then(Idle);
    script.turn(TurnFact::StateChanged { compacting: true }).then(Idle);
    script
        .pass(5)
        .turn(TurnFact::StateChanged { compacting: true })
        .then(Compacting);
}

#[test]
fn a_failed_turn_is_cleared_by_the_next_prompt() {
    let mut script = Script::new();
    script
        .on("p1", prompt())
        .on("p1", failure())
        .then(Failed)
        .because("rate_limit");
    script.on("p2", prompt()).then(Working);
}

#[test]
fn a_session_that_ended_is_reopened_by_a_start_or_a_prompt_but_not_by_a_late_hook() {
    let mut script = Script::new();
    script.on("p1", prompt()).on("p1", session_end()).then(Stopped);
    script.on("p1", end("Bash", "c1")).then(Stopped);
    script.off(session_start("resume")).then(Idle);
    script.on("p1", session_end()).then(Stopped);
    script.pass(5).on("p2", prompt()).then(Working);
}

#[test]
fn an_end_told_three_times_is_one_end() {
    let mut script = Script::new();
    script
        .off(prompt())
        .off(session_end())
        .off(session_end())
        .off(session_end())
        .then(Stopped);
    assert_eq!(script.view().turns, 1);
}

#[test]
fn a_process_that_is_gone_without_a_word_makes_its_session_lost() {
    let mut script = Script::new();
    script
        .process(ProcessFact::Started(process(7)))
        .on("p1", prompt())
        .then(Working);
    let exited = |pid, status| ProcessFact::Exited {
        process: process(pid),
        status,
    };
    script.process(exited(6, None)).then(Working);
    script.process(exited(7, None)).then(Lost).because("process is gone");
    script.on("p1", session_end()).then(Stopped);
}

#[test]
fn a_process_that_exits_well_or_after_the_end_loses_nothing() {
    let exited = || ProcessFact::Exited {
        process: process(7),
        status: Some(0),
    };
    let mut script = Script::new();
    script.process(ProcessFact::Started(process(7))).on("p1", prompt());
    script.process(exited()).then(Stopped).because("exited");
    let mut script = Script::new();
    script.process(ProcessFact::Started(process(7))).on("p1", session_end());
    script.process(exited()).then(Stopped).because("other");
}

#[test]
fn a_lost_session_is_resumed_in_another_process() {
    let mut script = Script::new();
    script.process(ProcessFact::Started(process(7))).on("p1", prompt());
    script.decided(Decision::SessionLost {
        reason: "process is gone".to_owned(),
    });
    script.then(Lost).off(session_start("resume")).then(Idle);
    script
        .process(ProcessFact::Started(process(8)))
        .on("p2", prompt())
        .then(Working);
    let old = ProcessFact::Exited {
        process: process(7),
        status: Some(-9),
    };
    script.process(old).then(Working);
}

#[test]
fn a_lost_host_makes_its_sessions_unknown_until_either_is_heard_again() {
    let mut script = Script::new();
    script
        .host(started_host())
        .on("p1", prompt())
        .concluded(Decision::HostLost);
    script.then(Unknown).because("host is lost");
    script.concluded(Decision::HostReturned).then(Working);
    script.concluded(Decision::HostLost).then(Unknown);
    script.on("p1", start("Bash", "c1")).then(Working);
}

#[test]
fn a_session_given_up_is_known_again_when_it_is_heard() {
    let mut script = Script::new();
    let unknown = || Decision::StateChanged {
        to: Unknown,
        reason: Some("silent".to_owned()),
    };
    script
        .host(started_host())
        .on("p1", prompt())
        .decided(unknown())
        .then(Unknown);
    script.because("silent").on("p1", HookBody::Other).then(Working);
    script.decided(unknown()).then(Unknown);
    script
        .concluded(Decision::HostLost)
        .concluded(Decision::HostReturned)
        .then(Working);
}

#[test]
fn an_agent_that_names_nothing_is_followed_by_order() {
    let nameless = |started: bool| {
        let tool = used("Bash", None);
        if started {
            HookBody::ToolStarted(tool)
        } else {
            HookBody::ToolEnded {
                tool,
                outcome: muster_domain::fact::ToolOutcome::Ok,
                duration_ms: None,
                spawned: None,
            }
        }
    };
    let mut script = Script::new();
    script
        .off(prompt())
        .off(nameless(true))
        .off(nameless(false))
        .off(nameless(true));
    script.then(Working).off(nameless(false)).off(stop()).then(Idle);
    script.off(prompt()).then(Working);
    assert_eq!((script.view().turns, script.view().tool_calls), (2, 2));
    assert_eq!(script.turns()[0].spans.len(), 2);
}

#[test]
fn a_run_without_hooks_is_followed_by_its_lines() {
    let mut script = Script::new();
    let began = TurnFact::Started {
        turn: run_turn("r1", 0),
        cwd: Some("/src".to_owned()),
    };
    script.turn(began).then(Working);
    script.turn(turn_ended("r1", 0, true, 100)).then(Idle);
    script
        .turn(turn_ended("r1", 1, false, 300))
        .then(Failed)
        .because("error_max_turns");
}

#[test]
fn a_host_that_stops_on_purpose_says_nothing_of_its_sessions() {
    let mut script = Script::new();
    script
        .host(started_host())
        .on("p1", prompt())
        .host(HostFact::Stopping)
        .then(Working);
}

#[test]
fn what_a_batch_holds_happened_in_the_order_it_is_held_in() {
    // The log gives all messages of one batch the same time.
    let told = [session_start("startup"), prompt(), start("Bash", "c1"), ask("Bash")];
    let compacted = [
        prompt(),
        start("Bash", "c1"),
        end("Bash", "c1"),
        HookBody::CompactionStarted,
    ];
    let resumed = [prompt(), stop(), session_end(), session_start("resume")];
    for (hooks, state) in [(told, WaitingApproval), (compacted, Compacting), (resumed, Idle)] {
        let mut script = Script::new();
        script.at_once();
        for hook in hooks {
            script.on("p1", hook);
        }
        script.then(state);
    }
}
