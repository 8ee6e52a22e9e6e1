//! One story a rule, and the ones that must stay quiet.

use super::*;

#[test]
fn the_same_call_with_the_same_result_again_and_again_is_stuck() {
    let mut story = Story::default();
    story.hook(prompt()).works(1);
    for _ in 0..4 {
        story.works(1).quiet();
    }
    story.works(1).raises(Rule::Stuck);
    story.reads("session s1 on web-01 made the same call 6 times in a row, with the same result (Bash: make 1)");
    assert_eq!((story.kind(), story.evidence("times")), (Some("same_call"), Some(6)));
    // It is told once, however long it goes on.
    story.works(1).works(1).quiet();
    story.works(2).clears(Rule::Stuck);
}

#[test]
fn what_a_batch_tells_of_a_loop_neither_ends_its_alert_nor_waits_for_the_clock() {
    let mut story = Story::default();
    story.script.at_once();
    story.hook(prompt());
    for _ in 0..6 {
        story.works(1);
    }
    story.raises(Rule::Stuck).works(1).quiet();
}

#[test]
fn a_poll_whose_answers_differ_and_a_tool_that_is_made_to_wait_are_not_stuck() {
    let mut story = Story::default();
    story.hook(prompt());
    for answer in 0..30 {
        story.call(1, ToolOutcome::Ok, answer);
    }
    for n in 0..10 {
        let tool = used("BashOutput", Some(&format!("b{n}")));
        let outcome = ToolOutcome::Ok;
        let (duration_ms, spawned) = (None, None);
        story.hook(HookBody::ToolEnded {
            tool,
            outcome,
            duration_ms,
            spawned,
        });
    }
    story.quiet();
}

#[test]
fn the_same_error_again_and_again_is_stuck_though_line_numbers_change() {
    let mut story = Story::default();
    story.hook(prompt());
    for n in 0..3 {
        story
            .fails(n, &format!("error[E0{n}8]: cannot find value on line {n}"))
            .quiet();
    }
    story
        .fails(7, "error[E0999]: cannot find value on line 7")
        .raises(Rule::Stuck);
    assert_eq!((story.kind(), story.evidence("times")), (Some("same_error"), Some(4)));
    story.works(8).clears(Rule::Stuck);
}

#[test]
fn different_calls_that_only_say_that_they_failed_are_not_the_same_error() {
    let mut story = Story::default();
    story.hook(prompt());
    for n in 0..4 {
        story.fails(n, "Exit code 1").quiet();
    }
    // The same one is.
    story
        .fails(9, "Exit code 1")
        .fails(9, "Exit code 1")
        .fails(9, "Exit code 1")
        .quiet();
    story.fails(9, "Exit code 1").raises(Rule::Stuck);
}

#[test]
fn another_thread_neither_hides_a_loop_nor_makes_one() {
    let mut story = Story::default();
    story.hook(prompt());
    let in_thread = |story: &mut Story, n: u64, command| {
        let ended = HookBody::ToolEnded {
            tool: bash(1000 + n, command),
            outcome: ToolOutcome::Ok,
            duration_ms: None,
            spawned: None,
        };
        let told = Hook {
            output: Some(1),
            ..in_subagent("a1", hook(Some("p1"), ended))
        };
        story.tell(Fact::Hook(Box::new(told)));
    };
    for n in 0..5 {
        // Both do the same, each three times less than would be too often together.
        in_thread(&mut story, n, 1);
        story.works(100 + n);
    }
    story.quiet();
    in_thread(&mut story, 5, 1);
    story.raises(Rule::Stuck).works(200).quiet();
    in_thread(&mut story, 6, 2);
    story.clears(Rule::Stuck);
}

#[test]
fn a_call_that_runs_too_long_is_found_by_the_clock() {
    let mut story = Story::default();
    story.hook(prompt()).hook(HookBody::ToolStarted(bash(1, 1)));
    story.pass(29 * MIN).quiet().pass(2 * MIN).raises(Rule::Stuck);
    story.reads("session s1 on web-01 runs one call for 30 min: Bash: make 1");
    assert_eq!(story.kind(), Some("long_tool"));
    let ended = HookBody::ToolEnded {
        tool: bash(1, 1),
        outcome: ToolOutcome::Ok,
        duration_ms: None,
        spawned: None,
    };
    story.hook(ended).clears(Rule::Stuck);
}

#[test]
fn a_subagents_work_and_a_turn_that_stopped_are_no_long_call() {
    let mut story = Story::default();
    story.hook(prompt()).hook(start("Agent", "c1"));
    story.pass(3 * HOUR).quiet();
    let mut story = Story::with(|settings| settings.idle = Duration::ZERO);
    story
        .hook(prompt())
        .hook(HookBody::ToolStarted(bash(1, 1)))
        .hook(stop());
    story.pass(3 * HOUR).quiet();
}

#[test]
fn tokens_that_bring_nothing_new_are_told_of_as_they_burn() {
    let mut story = Story::default();
    story.hook(prompt()).works(1).works(2).works(3);
    // Three calls, round and round: none is the same as the one before.
    for round in 0..9 {
        story.tell(measured(60_000, None)).works(1 + round % 3);
    }
    story.raises(Rule::Stuck);
    assert_eq!(story.kind(), Some("flat_progress"));
    let standing = story.script.fleet.alerts().standing().values().next().unwrap();
    assert_eq!(standing.severity, Severity::Critical);
    assert_eq!(standing.evidence["tokens"], 540_000);
    story.works(77).clears(Rule::Stuck);
}

#[test]
fn tokens_that_bring_something_new_are_well_spent() {
    let mut story = Story::default();
    story.hook(prompt());
    for command in 0..40 {
        story
            .tell(measured(150_000, Some(1_000_000)))
            .works(command % 7 + 100 * (command / 5));
    }
    story.quiet();
    // Of one that prints its tokens and tells no calls, nobody can say.
    let mut story = Story::default();
    story.hook(prompt());
    for _ in 0..40 {
        story.tell(measured(150_000, Some(1_000_000)));
    }
    story.quiet();
}

#[test]
fn a_long_healthy_session_with_one_failure_is_no_alert() {
    let mut story = Story::default();
    story.hook(prompt());
    for command in 0..1500 {
        if command == 700 {
            story.fails(
                command,
                "error: could not compile `muster` (lib) due to 1 previous error",
            );
        } else {
            story.tell(measured(120_000, Some(200_000))).works(command);
        }
        story.pass(20);
    }
    story.hook(stop()).quiet();
}

#[test]
fn a_long_healthy_session_with_a_failure_now_and_then_is_no_alert() {
    let mut story = Story::default();
    for n in 0..20 {
        story.tell(Fact::Hook(Box::new(hook(Some(&format!("p{n}")), prompt()))));
        for command in 0..60 {
            let command = n * 100 + command;
            if command % 4 == 0 {
                // A test that fails, is worked on, and fails the same way again.
                story.fails(1, "error: 1 test of 20 failed: it_works_as_it_did");
            } else {
                story.works(command);
            }
            story.pass(45);
        }
        let stopped = hook(Some(&format!("p{n}")), stop());
        story.tell(Fact::Hook(Box::new(stopped))).pass(20 * MIN);
    }
    story.hook(session_end()).quiet();
}

#[test]
fn many_failures_of_all_kinds_are_an_error_rate() {
    let mut story = Story::default();
    story.hook(prompt());
    for n in 0..9 {
        if n % 3 == 0 {
            story.works(n);
        } else {
            story.fails(
                n,
                &format!("no such file or directory: {}", "x".repeat(usize::try_from(n).unwrap())),
            );
        }
    }
    story
        .quiet()
        .fails(50, "permission denied, and for a reason of its own")
        .raises(Rule::ErrorRate);
    story.reads("session s1 on web-01 fails: 7 of its last 10 calls did");
    // Less than half is not yet well; a quarter is.
    for n in 60..70 {
        story.works(n).quiet();
    }
    for n in 70..72 {
        story.works(n);
    }
    story.quiet();
    for n in 72..76 {
        story.works(n);
    }
    story.clears(Rule::ErrorRate);
}

#[test]
fn what_its_user_broke_off_and_what_was_not_allowed_is_no_failure() {
    let mut story = Story::default();
    story.hook(prompt());
    for n in 0..30 {
        let outcome = if n % 2 == 0 {
            ToolOutcome::Failed {
                error: "interrupted: by the user".to_owned(),
            }
        } else {
            ToolOutcome::Denied {
                reason: format!("not {}", "so ".repeat(usize::try_from(n).unwrap())),
            }
        };
        story.call(n, outcome, 0);
    }
    story.quiet();
}

#[test]
fn a_session_that_waits_for_a_permission_is_told_of_by_the_clock() {
    let mut story = Story::default();
    story.hook(prompt()).hook(start("Bash", "c1")).hook(ask("Bash"));
    story.pass(9 * MIN).quiet().pass(2 * MIN).raises(Rule::Waiting);
    story.reads("session s1 on web-01 waits for a permission for 10 min: Bash: uses Bash");
    assert_eq!((story.kind(), story.evidence("seconds")), (Some("approval"), Some(600)));
    story.hook(end("Bash", "c1")).clears(Rule::Waiting);
}

#[test]
fn a_question_and_an_idle_prompt_wait_too_each_as_long_as_it_may() {
    let mut story = Story::default();
    story.hook(prompt()).hook(start("AskUserQuestion", "c1"));
    story.pass(11 * MIN).raises(Rule::Waiting);
    assert_eq!(story.kind(), Some("input"));
    story.hook(end("AskUserQuestion", "c1")).clears(Rule::Waiting);
    story
        .hook(stop())
        .pass(59 * MIN)
        .quiet()
        .pass(2 * MIN)
        .raises(Rule::Waiting);
    assert_eq!(story.kind(), Some("idle"));
    let standing = story.script.fleet.alerts().standing().values().next().unwrap();
    assert_eq!(standing.severity, Severity::Info);
    story.hook(session_end()).clears(Rule::Waiting);
    let ended = story.script.fleet.alerts().ended().next().unwrap();
    assert_eq!(ended.because, Because::SessionOver);
}

#[test]
fn a_turn_that_costs_far_more_than_those_before_is_a_spike() {
    let mut story = Story::default();
    let mut so_far = 0;
    for index in 0..3 {
        so_far += 200_000;
        story.tell(spent(index, so_far));
    }
    // Twice as much is nothing; five times as much is.
    so_far += 400_000;
    story.tell(spent(3, so_far)).quiet();
    so_far += 1_500_000;
    story.tell(spent(4, so_far)).raises(Rule::CostSpike);
    story.reads("session s1 on web-01 spent 1.50 USD on one turn; the 4 before cost 0.25 USD on average");
    so_far += 200_000;
    story.tell(spent(5, so_far)).clears(Rule::CostSpike);
}

#[test]
fn a_spike_of_cents_and_one_without_turns_before_it_are_none() {
    let mut story = Story::default();
    story.tell(spent(0, 9_000_000)).tell(spent(1, 9_010_000)).quiet();
    let mut story = Story::default();
    for index in 0..5 {
        story.tell(spent(index, u64::from(index) * 1000));
    }
    story.tell(spent(5, 304_000)).quiet();
}

#[test]
fn a_spike_is_no_news_after_an_hour() {
    let mut story = Story::with(|settings| settings.idle = Duration::ZERO);
    for index in 0..3 {
        story.tell(spent(index, u64::from(index + 1) * 100_000));
    }
    story.tell(spent(3, 5_000_000)).raises(Rule::CostSpike);
    story.pass(HOUR + 1).clears(Rule::CostSpike).pass(5 * HOUR).quiet();
}

#[test]
fn a_context_that_nobody_compacts_is_told_of_until_there_is_room() {
    let mut story = Story::default();
    story
        .hook(prompt())
        .tell(measured(189_000, Some(200_000)))
        .raises(Rule::ContextPressure);
    assert_eq!(story.evidence("used_tokens"), Some(189_000));
    story
        .tell(measured(20_000, Some(200_000)))
        .clears(Rule::ContextPressure);
}

#[test]
fn a_session_that_is_turned_away_again_and_again_is_a_cascade() {
    let mut story = Story::default();
    let retried = || Fact::Turn(TurnFact::Retried);
    story
        .hook(prompt())
        .tell(retried())
        .pass(6 * MIN)
        .tell(retried())
        .tell(retried())
        .quiet();
    story.tell(retried()).raises(Rule::RateLimitCascade);
    story.reads("session s1 on web-01 was turned away by its model's provider 3 times in 2 s");
    story.pass(4 * MIN).quiet().pass(2 * MIN).clears(Rule::RateLimitCascade);
    // An agent that gives up says so, too.
    let mut story = Story::with(|settings| settings.idle = Duration::ZERO);
    let error = || HookBody::StopFailed {
        error: "rate_limit".to_owned(),
    };
    for _ in 0..3 {
        story.hook(prompt()).hook(error());
    }
    story.raises(Rule::RateLimitCascade);
}

#[test]
fn what_comes_and_goes_is_told_once_a_while() {
    let mut story = Story::default();
    story.hook(prompt());
    let flap = |story: &mut Story| {
        story.tell(measured(190_000, Some(200_000)));
        story.tell(measured(100_000, Some(200_000)));
    };
    flap(&mut story);
    story.says(&[(Rule::ContextPressure, true), (Rule::ContextPressure, false)]);
    for _ in 0..20 {
        flap(&mut story);
        story.pass(30);
    }
    story.quiet().tell(measured(190_000, Some(200_000))).quiet();
    // It is still so when the while is over.
    story
        .pass(15 * MIN)
        .tell(measured(191_000, Some(200_000)))
        .raises(Rule::ContextPressure);
}

#[test]
fn a_rule_that_is_off_says_nothing() {
    let mut story = Story::with(|settings| settings.off = Rule::ALL.iter().copied().collect());
    story.hook(prompt());
    for _ in 0..10 {
        story.fails(1, "Exit code 1");
    }
    story.tell(measured(190_000, Some(200_000))).pass(5 * HOUR);
    story.hook(stop()).pass(5 * HOUR).quiet();
}

#[test]
fn of_a_session_that_falls_silent_an_alert_is_over_after_a_while() {
    let mut story = Story::default();
    story
        .hook(prompt())
        .hook(ask("Bash"))
        .pass(11 * MIN)
        .raises(Rule::Waiting);
    story.pass(24 * HOUR).quiet();
    story.pass(2 * HOUR).clears(Rule::Waiting);
    let ended = story.script.fleet.alerts().ended().next().unwrap();
    assert_eq!(ended.because, Because::Silent);
}

#[test]
fn the_next_leader_raises_what_the_one_before_did_not_and_no_more() {
    let mut script = Script::new();
    script
        .on("p1", prompt())
        .on("p1", start("Bash", "c1"))
        .on("p1", ask("Bash"));
    script.fleet = script.fleet.clone();
    let at = due::due(&script.fleet).unwrap();
    let limit = ms(script.now).after(Settings::default().approval);
    assert!(limit <= at && at <= limit.after(Duration::from_secs(1)));
    let alerts = |drafts: &[Draft]| {
        drafts
            .iter()
            .filter(|draft| matches!(draft.conclusion, Conclusion::Alert(_)))
            .count()
    };
    let none = react::catch_up(&script.fleet, &Overlay::new());
    assert_eq!(alerts(&none), 0);
    let drafts = due::expire(&script.fleet, &Overlay::new(), at);
    assert_eq!(alerts(&drafts), 1);
    script.write(drafts);
    assert_eq!(alerts(&due::expire(&script.fleet, &Overlay::new(), at)), 0);
    // It ends while nobody leads.
    script.on("p1", end("Bash", "c1"));
    let drafts = react::catch_up(&script.fleet, &Overlay::new());
    assert_eq!(alerts(&drafts), 1);
    script.write(drafts);
    assert_eq!(alerts(&react::catch_up(&script.fleet, &Overlay::new())), 0);
}

#[test]
fn a_rules_name_and_its_keys_lead_back_to_it() {
    let names: BTreeSet<_> = Rule::ALL.iter().map(|rule| rule.as_str()).collect();
    assert_eq!(names.len(), Rule::ALL.len());
    for rule in Rule::ALL {
        assert_eq!(Rule::parse(rule.as_str()), Some(*rule));
        assert_eq!(Rule::of_key(&rule.key(&key(HOST, SESSION))), Some(*rule));
    }
}
