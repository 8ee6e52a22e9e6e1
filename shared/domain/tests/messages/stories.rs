//! One story a rule.

use super::*;

#[test]
fn a_message_is_taken_with_a_lease_and_offered_again_until_it_is_read() {
    let mut script = two();
    let sent = script.sends(&operator("q1"), &note(session(HOST, SESSION))).unwrap();
    let id = sent[0];
    assert_eq!(script.sends(&operator("q1"), &note(session(HOST, SESSION))), Ok(sent));
    assert_eq!(
        script
            .fleet
            .messages()
            .unread_count(&Party::Session(key(HOST, SESSION)), ms(script.now)),
        1
    );
    assert_eq!(
        script.takes(&of_session("web-02", "s2", "r0")),
        [],
        "it is not for everybody"
    );
    assert_eq!(script.takes(&s1("r1")), [id]);
    assert_eq!(script.takes(&s1("r1")), [id], "the same request takes the same");
    assert_eq!(script.takes(&s1("r2")), [], "while somebody has it");
    script.is(id, Status::Delivered).time_passes(LEASE);
    assert_eq!(script.takes(&s1("r3")), [id]);
    assert_eq!(script.fleet.messages().get(id).unwrap().attempts, 2);
    let stranger = of_session("web-02", "s2", "r4");
    assert!(matches!(script.acks(&stranger, id), Err(Refusal::NotYours { .. })));
    assert_eq!(script.acks(&s1("a1"), id), Ok(1));
    assert_eq!(script.acks(&s1("a2"), id), Ok(0), "what was said is not said again");
    script.is(id, Status::Acked).time_passes(LEASE);
    assert_eq!(script.takes(&s1("r5")), []);
}

#[test]
fn what_nobody_reads_is_given_up() {
    let mut script = two();
    let id = script.sends(&operator("q1"), &note(session(HOST, SESSION))).unwrap()[0];
    for n in 0..ATTEMPTS_MAX {
        assert_eq!(script.takes(&s1(&n.to_string())), [id]);
        script.time_passes(LEASE);
    }
    script.is(id, Status::Expired);
    assert_eq!(
        &*script.fleet.messages().get(id).unwrap().expired.as_ref().unwrap().1,
        "undeliverable"
    );
    let id = script.sends(&operator("q2"), &note(session(HOST, SESSION))).unwrap()[0];
    script.time_passes(KEPT).is(id, Status::Expired);
}

#[test]
fn a_message_is_brought_to_whoever_runs_the_session() {
    let mut script = two();
    let id = script.sends(&operator("q1"), &note(session(HOST, SESSION))).unwrap()[0];
    assert_eq!(script.pushes(), []);
    carry(&mut script);
    let (push, attempt) = script.pushes()[0];
    assert_eq!((script.pushes().len(), attempt), (1, 1));
    assert_eq!(script.takes(&s1("r1")), [], "it is being brought");
    script.says(push, Word::Accepted).is(id, Status::Delivered);
    script
        .says(push, Word::Accepted)
        .says(push, Word::Ended(End::Done))
        .is(id, Status::Acked);
    assert_eq!(script.pushes().len(), 1);
    let next = script.sends(&operator("q2"), &note(session(HOST, SESSION))).unwrap()[0];
    assert_eq!(script.pushes().len(), 2, "the next at once");
    script.is(next, Status::Waiting);
}

#[test]
fn a_full_inbox_is_brought_a_few_at_a_time_in_the_order_it_was_written() {
    let mut script = two();
    let mut sent = Vec::new();
    for n in 0..20 {
        let id = script.sends(&operator(&n.to_string()), &note(session(HOST, SESSION)));
        sent.extend(id.unwrap());
    }
    carry(&mut script);
    let mut brought = Vec::new();
    while let Some((push, _)) = script.open_push() {
        assert!(script.pushes().len() - brought.len() <= 8, "a few at a time");
        brought.push(
            script
                .fleet
                .effects()
                .get(push)
                .unwrap()
                .order
                .action
                .message()
                .unwrap(),
        );
        script.says(push, Word::Accepted).says(push, Word::Ended(End::Done));
    }
    assert_eq!(brought, sent);
}

#[test]
fn a_turn_that_failed_is_tried_again_five_times_at_most() {
    let mut script = two();
    carry(&mut script);
    let id = script.sends(&operator("q1"), &note(session(HOST, SESSION))).unwrap()[0];
    for n in 1..=ATTEMPTS_MAX {
        let (push, attempt) = *script.pushes().last().unwrap();
        assert_eq!(attempt, n);
        script.says(push, Word::Accepted).says(push, failed("error"));
    }
    script.is(id, Status::Expired);
    assert_eq!(script.pushes().len(), ATTEMPTS_MAX as usize);
}

#[test]
fn a_failure_that_is_heard_before_the_delivery_is_read_back_is_not_forgotten() {
    let mut script = two();
    carry(&mut script);
    script.sends(&operator("q1"), &note(session(HOST, SESSION))).unwrap();
    let (push, _) = script.pushes()[0];
    script.fact(Fact::Effect(Receipt {
        id: push,
        word: Word::Accepted,
    }));
    let delivered = std::mem::take(&mut script.drafts);
    for (n, draft) in (2..).zip(&delivered) {
        script.overlay.published(id(script.seq + n), draft);
    }
    script.fact(Fact::Effect(Receipt {
        id: push,
        word: failed("error"),
    }));
    script.write(delivered);
    script.leads();
    assert_eq!(script.pushes().len(), 2);
}

#[test]
fn what_an_operator_interrupted_is_not_told_again() {
    let mut script = two();
    carry(&mut script);
    let id = script.sends(&operator("q1"), &note(session(HOST, SESSION))).unwrap()[0];
    let (push, _) = script.pushes()[0];
    script
        .says(push, Word::Accepted)
        .says(push, failed("interrupted"))
        .is(id, Status::Expired);
    assert_eq!(script.pushes().len(), 1);
}

#[test]
fn what_a_run_does_not_begin_waits_in_the_inbox() {
    let mut script = two();
    carry(&mut script);
    let id = script.sends(&operator("q1"), &note(session(HOST, SESSION))).unwrap()[0];
    let (push, _) = script.pushes()[0];
    script.says(push, failed("no_carrier")).is(id, Status::Waiting);
    assert_eq!(script.pushes().len(), 1, "the same run is not asked again and again");
    assert_eq!(script.takes(&s1("r1")), [id]);
}

#[test]
fn what_a_run_did_not_begin_is_brought_to_it_again_after_a_while_and_then_less_often() {
    let mut script = two();
    carry(&mut script);
    script.sends(&operator("q1"), &note(session(HOST, SESSION))).unwrap();
    for (n, (early, then)) in (1..).zip([(20, 15), (20, 20), (40, 50)]) {
        let (push, _) = script.pushes()[n - 1];
        script.says(push, failed("no_carrier"));
        script.time_passes(Duration::from_secs(early));
        assert_eq!(script.pushes().len(), n, "too early");
        script.time_passes(Duration::from_secs(then));
        assert_eq!(script.pushes().len(), n + 1, "never again");
    }
}

#[test]
fn a_question_is_answered_by_whom_it_was_asked_or_by_an_operator() {
    let mut script = two();
    let id = script
        .sends(&s1("q1"), &question(session("web-02", "s2"), &["yes", "no"]))
        .unwrap()[0];
    let answered = |script: &mut Script, asker: &Asker, answer: &Answer| script.answers(asker, id, answer);
    assert!(matches!(
        answered(&mut script, &s1("a0"), &chosen("yes")),
        Err(Refusal::NotYours { .. })
    ));
    let other = of_session("web-02", "s2", "a1");
    assert!(matches!(
        answered(&mut script, &other, &chosen("maybe")),
        Err(Refusal::NoOption(..))
    ));
    assert_eq!(answered(&mut script, &other, &chosen("yes")), Ok(true));
    assert_eq!(
        answered(&mut script, &operator("a2"), &chosen("no")),
        Ok(false),
        "the first counts"
    );
    script.is(id, Status::Answered);
    let told = script.takes(&s1("r1"));
    let told = script.fleet.messages().get(told[0]).unwrap();
    assert_eq!((&*told.sent.body, told.sent.reply_to), ("yes", Some(id)));
    assert_eq!(told.sent.from.to_string(), "web-02/s2");

    let to_operator = script
        .sends(&s1("q2"), &question(To::One(Party::Operators), &[]))
        .unwrap()[0];
    assert!(matches!(
        script.answers(&s1("a3"), to_operator, &chosen("x")),
        Err(Refusal::NotYours { .. })
    ));
    let words = Answer {
        choices: Vec::new(),
        text: Some("as you like".into()),
    };
    assert_eq!(script.answers(&operator("a4"), to_operator, &words), Ok(true));
    let note_id = script.sends(&operator("q3"), &note(session(HOST, SESSION))).unwrap()[0];
    assert_eq!(
        script.answers(&s1("a5"), note_id, &words),
        Err(Refusal::NoQuestion(note_id))
    );
}

#[test]
fn whoever_asked_is_told_that_no_answer_comes() {
    let mut script = two();
    let id = script
        .sends(&s1("q1"), &question(To::One(Party::Operators), &[]))
        .unwrap()[0];
    assert_eq!(script.takes(&operator("r0")), [id]);
    assert_eq!(script.acks(&operator("a0"), id), Ok(1));
    script.time_passes(message::TTL).is(id, Status::Expired);
    let told = script.takes(&s1("r1"));
    let told = script.fleet.messages().get(told[0]).unwrap();
    assert_eq!(
        (&*told.sent.body, told.sent.reply_to),
        ("[expired] nobody answered: look at this", Some(id))
    );
    assert_eq!(told.sent.from, Party::Muster);
    let long = Wish {
        ttl: Some(Duration::from_secs(7 * 3600)),
        ..question(To::One(Party::Operators), &[])
    };
    assert!(matches!(script.sends(&s1("q2"), &long), Err(Refusal::Malformed(_))));
}

#[test]
fn a_reminder_comes_at_its_time() {
    let mut script = two();
    let due = ms(script.now).after(Duration::from_secs(600));
    let wish = Wish {
        kind: Kind::Reminder,
        due: Some(due),
        ..note(session(HOST, SESSION))
    };
    let id = script.sends(&s1("q1"), &wish).unwrap()[0];
    assert_eq!(script.takes(&s1("r1")), []);
    carry(&mut script);
    assert_eq!(script.pushes(), []);
    assert_eq!(due::due(&script.fleet), Some(due));
    script.time_passes(Duration::from_secs(600));
    assert_eq!(script.pushes().len(), 1);
    script.is(id, Status::Waiting);
}

#[test]
fn who_writes_is_who_asks_and_may_only_write_to_whom_the_settings_say() {
    let mut script = two();
    let nobody = Asker {
        operator: false,
        ..operator("q0")
    };
    assert_eq!(
        script.sends(&nobody, &note(session(HOST, SESSION))),
        Err(Refusal::Nobody)
    );
    let claimed = of_session("op-anna", SESSION, "q1");
    assert!(matches!(
        script.sends(&claimed, &note(session("web-02", "s2"))),
        Err(Refusal::NotItself { .. })
    ));
    let tools = of_session("mcp", SESSION, "q1");
    assert!(script.sends(&tools, &note(session("web-02", "s2"))).is_ok());
    let unknown = script.sends(&operator("q2"), &note(session(HOST, "nobody")));
    assert_eq!(unknown, Err(Refusal::NoSession("web-01/nobody".to_owned())));
    let long = Wish {
        body: "x".repeat(4097),
        ..note(session(HOST, SESSION))
    };
    assert!(matches!(
        script.sends(&operator("q3"), &long),
        Err(Refusal::Malformed(_))
    ));

    let allowed = |allowed| {
        let mut script = Script::new();
        script.fleet = Fleet::new(Settings {
            messages: message::Settings { allowed },
            ..Settings::default()
        });
        script
    };
    for (set, far, near) in [
        (Allowed::Fleet, true, true),
        (Allowed::Host, false, true),
        (Allowed::Operators, false, false),
    ] {
        let mut script = allowed(set);
        script.host(started_host()).on("p1", prompt());
        for (host, id) in [(HOST, "s3"), ("web-02", "s2")] {
            let other = hook(Some("p1"), prompt());
            script.tell(event(0, host, Some(id), Fact::Hook(Box::new(other))));
        }
        assert_eq!(
            script.sends(&s1("q1"), &note(session("web-02", "s2"))).is_ok(),
            far,
            "{set:?}"
        );
        assert_eq!(
            script.sends(&s1("q2"), &note(session(HOST, "s3"))).is_ok(),
            near,
            "{set:?}"
        );
        assert!(script.sends(&s1("q3"), &note(To::One(Party::Operators))).is_ok());
        assert!(script.sends(&operator("q4"), &note(session(HOST, SESSION))).is_ok());
    }
}

#[test]
fn a_message_to_all_goes_to_every_other_live_session() {
    let mut script = two();
    script.tell(event(
        0,
        "web-02",
        Some("s3"),
        Fact::Hook(Box::new(hook(Some("p1"), prompt()))),
    ));
    script.tell(event(
        0,
        "web-02",
        Some("s3"),
        Fact::Hook(Box::new(hook(None, session_end()))),
    ));
    let sent = script.sends(&s1("q1"), &note(To::All)).unwrap();
    assert_eq!(sent.len(), 1, "not to itself, nor to the one that is over");
    assert_eq!(script.sends(&operator("q2"), &note(To::All)).unwrap().len(), 2);
}

#[test]
fn what_was_not_read_can_be_taken_back_by_its_sender() {
    let mut script = two();
    let id = script.sends(&s1("q1"), &note(session("web-02", "s2"))).unwrap()[0];
    let other = of_session("web-02", "s2", "c0");
    let no = message::cancel(&script.fleet, &script.overlay, &other, id);
    assert!(matches!(no, Err(Refusal::NotYours { .. })));
    let Ok(Asked::Write(drafts)) = message::cancel(&script.fleet, &script.overlay, &s1("c1"), id) else {
        panic!("it can be taken back");
    };
    script.writes(drafts);
    script.is(id, Status::Expired);
    assert_eq!(
        message::cancel(&script.fleet, &script.overlay, &s1("c2"), id),
        Ok(Asked::Over)
    );
}

#[test]
fn what_was_taken_back_before_its_run_began_it_is_not_brought() {
    let mut script = two();
    carry(&mut script);
    let id = script.sends(&operator("q1"), &note(session(HOST, SESSION))).unwrap()[0];
    let (push, _) = script.open_push().unwrap();
    let cancelled = message::cancel(&script.fleet, &script.overlay, &operator("c1"), id);
    let Ok(Asked::Write(drafts)) = cancelled else {
        panic!("{cancelled:?}")
    };
    script.writes(drafts);
    assert_eq!(script.open_push(), None);
    let effect = script.fleet.effects().get(push).unwrap();
    assert_eq!(effect.status(), effect::Status::Withdrawn);
    // Its host had begun it, and had not been heard: that is what happened.
    script.says(push, Word::Accepted).is(id, Status::Expired);
    assert_eq!(script.open_push().map(|(id, _)| id), Some(push));
}

#[test]
fn two_sessions_that_name_their_requests_alike_are_two_who_ask() {
    let mut script = two();
    let began = hook(Some("p1"), prompt());
    script.tell(event(0, HOST, Some("s3"), Fact::Hook(Box::new(began))));
    let other = |request: &str| of_session(HOST, "s3", request);
    let own = script.sends(&s1("r1"), &note(To::One(Party::Operators))).unwrap();
    let others = script.sends(&other("r1"), &note(To::One(Party::Operators))).unwrap();
    assert_eq!((own.len(), others.len()), (1, 1));
    assert_ne!(own, others);
    let to_own = script.sends(&operator("q1"), &note(session(HOST, SESSION))).unwrap();
    let to_other = script.sends(&operator("q2"), &note(session(HOST, "s3"))).unwrap();
    assert_eq!(script.takes(&s1("t")), to_own);
    assert_eq!(script.takes(&other("t")), to_other);
    assert_eq!(script.takes(&s1("t")), to_own, "the same request takes the same");
}

#[test]
fn who_is_not_known_leaves_nothing_in_an_inbox_of_theirs() {
    let mut script = two();
    let ghost = of_session(HOST, "ghost", "r1");
    let wish = Wish {
        kind: Kind::Reminder,
        due: Some(ms(script.now)),
        ..note(session(HOST, "ghost"))
    };
    assert_eq!(
        script.sends(&ghost, &wish),
        Err(Refusal::NoSession("web-01/ghost".to_owned()))
    );
}

#[test]
fn one_session_fills_neither_the_room_nor_an_inbox() {
    let mut script = two();
    let operators = To::One(Party::Operators);
    let mut asked = 0;
    let refused = loop {
        // A question that was read is no longer in anybody's inbox, and under way until it is answered.
        match script.sends(&s1(&format!("q{asked}")), &question(session(HOST, SESSION), &[])) {
            Ok(ids) => script.acks(&s1(&format!("a{asked}")), ids[0]).unwrap(),
            Err(refused) => break refused,
        };
        asked += 1;
    };
    assert_eq!(asked, 1000);
    let whose = "web-01/s1".to_owned();
    assert_eq!(refused, Refusal::TooMany { whose, limit: 1000 });
    let other = |request: &str| of_session("web-02", "s2", request);
    for n in 0..64 {
        script.sends(&other(&n.to_string()), &note(operators.clone())).unwrap();
    }
    assert_eq!(
        script.sends(&other("64"), &note(operators.clone())),
        Err(Refusal::Waiting("operator".to_owned()))
    );
    let began = hook(Some("p1"), prompt());
    script.tell(event(0, "web-02", Some("s3"), Fact::Hook(Box::new(began))));
    script
        .sends(&of_session("web-02", "s3", "r"), &note(operators))
        .unwrap();
    script.sends(&operator("r"), &note(session(HOST, SESSION))).unwrap();
}

#[test]
fn a_message_whose_host_never_returns_is_offered_again() {
    let mut script = two();
    carry(&mut script);
    let id = script.sends(&operator("q1"), &note(session(HOST, SESSION))).unwrap()[0];
    let (push, _) = script.open_push().unwrap();
    script.says(push, Word::Accepted).is(id, Status::Delivered);
    script.concluded(Decision::HostLost).leads();
    assert_eq!(script.takes(&s1("r1")), []);
    script.time_passes(effect::GIVEN_UP);
    assert_eq!(script.takes(&s1("r2")), [id]);
    assert_eq!(script.fleet.messages().get(id).unwrap().attempts, 2);
}
