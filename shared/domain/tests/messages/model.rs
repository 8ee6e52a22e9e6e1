//! Messages beside a naive model of them: a few lines that know who has which letter and until when, and nothing of events,
//! effects or what is on its way. Whatever is sent, taken, brought, lost and waited for, both say the same, whoever leads.

use super::*;
use muster_domain::alert::{self, Rule};
use muster_domain::overlay::Overlay;
use muster_domain::react;
use muster_domain::time::Timestamp;
use proptest::prelude::*;
use std::cell::Cell;

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const WEEK: i64 = 7 * 24 * HOUR;
/// Waits of one story, each longer than it says by another power of two: so that no sum of some of them is a deadline, nor
/// the sum of others, and nothing hangs on what is first within a millisecond.
const WAITS_MAX: usize = 13;
/// Letters of one story: fewer than are brought at the same time.
const LETTERS_MAX: usize = 6;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    /// The session that something may run.
    Carried,
    /// Another session.
    Other,
    Operators,
}

use Who::{Carried, Operators, Other};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Begun,
    Done,
    Error,
    Interrupted,
    Refused,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Send {
        to: Who,
        question: bool,
        later: bool,
    },
    Take(Who),
    Ack(Who, usize),
    Answer(Who, usize),
    TakeBack(usize),
    /// Another run of the session begins; the leader may die of it.
    Run {
        lost: bool,
    },
    /// Of the oldest letter that is being brought.
    Says {
        told: Told,
        lost: bool,
    },
    Wait(i64),
}

/// A letter that is being brought.
#[derive(Debug, Clone, Copy)]
struct Bringing {
    nth_try: u32,
    run: u32,
    asked: i64,
    begun: bool,
    open: bool,
    refused: Option<i64>,
}

#[derive(Debug, Clone)]
struct Letter {
    to: Who,
    question: bool,
    at: i64,
    due: i64,
    expires: i64,
    tries: u32,
    lease: i64,
    bringing: Option<Bringing>,
    delivered: bool,
    read: bool,
    answered: bool,
    gone: bool,
}

impl Letter {
    fn over(&self) -> bool {
        self.answered || self.gone || (self.read && !self.question)
    }

    fn unread(&self) -> bool {
        !self.read && !self.answered && !self.gone
    }

    fn held(&self, now: i64) -> bool {
        self.lease > now || self.bringing.is_some_and(|bringing| bringing.open)
    }

    fn may_be_brought(&self, now: i64) -> bool {
        self.unread() && self.due <= now && now < self.expires && self.tries < ATTEMPTS_MAX && !self.held(now)
    }

    /// When a run is asked again for what it would not begin.
    fn again(&self, run: u32) -> Option<i64> {
        let bringing = self.bringing.filter(|bringing| bringing.run == run)?;
        bringing.refused.map(|at| at + (at - self.at).max(30 * SECOND))
    }

    fn status(&self) -> Status {
        match self {
            Self { answered: true, .. } => Status::Answered,
            Self { gone: true, .. } => Status::Expired,
            Self { read: true, .. } => Status::Acked,
            Self { delivered: true, .. } => Status::Delivered,
            Self { .. } => Status::Waiting,
        }
    }
}

#[derive(Debug, Default)]
struct Model {
    now: i64,
    run: u32,
    /// Questions that are answered no more, and whose askers are to be told.
    missed: usize,
    letters: Vec<Letter>,
}

impl Model {
    fn send(&mut self, to: Who, question: bool, later: bool) {
        let due = self.now + if later { 10 * MINUTE } else { 0 };
        self.letters.push(Letter {
            to,
            question,
            at: self.now,
            due,
            expires: due + if question { HOUR } else { WEEK },
            tries: 0,
            lease: 0,
            bringing: None,
            delivered: false,
            read: false,
            answered: false,
            gone: false,
        });
    }

    fn step(&mut self, step: Step) {
        let now = self.now;
        match step {
            Step::Send { to, question, later } => self.send(to, question, later),
            Step::Take(who) => {
                for letter in self.letters.iter_mut().filter(|letter| letter.to == who) {
                    if letter.may_be_brought(now) {
                        (letter.tries, letter.lease, letter.delivered) = (letter.tries + 1, now + 5 * MINUTE, true);
                    }
                }
            }
            Step::Ack(who, n) => {
                if let Some(letter) = self.letters.get_mut(n).filter(|letter| letter.to == who) {
                    letter.read |= letter.unread();
                }
            }
            Step::Answer(who, n) => {
                let letter = self.letters.get_mut(n);
                let asked = letter.filter(|letter| letter.question && !letter.over());
                if let Some(letter) = asked.filter(|letter| letter.to == who || who == Operators) {
                    (letter.answered, letter.read) = (true, true);
                    self.send(Other, false, false);
                }
            }
            Step::TakeBack(n) => {
                if let Some(letter) = self.letters.get_mut(n).filter(|letter| !letter.over()) {
                    letter.gone = true;
                }
            }
            Step::Run { .. } => self.run += 1,
            Step::Says { told, .. } => self.says(told),
            Step::Wait(span) => self.now += span,
        }
        self.settle();
    }

    fn says(&mut self, told: Told) {
        let now = self.now;
        let open = |letter: &&mut Letter| letter.bringing.is_some_and(|bringing| bringing.open);
        let Some(letter) = self.letters.iter_mut().find(open) else {
            return;
        };
        let unread = letter.unread();
        let Some(bringing) = &mut letter.bringing else {
            return;
        };
        bringing.begun |= matches!(told, Told::Begun | Told::Done);
        bringing.open = told == Told::Begun;
        if bringing.begun {
            if unread {
                (letter.tries, letter.delivered) = (letter.tries.max(bringing.nth_try), true);
                letter.read = told == Told::Done;
                letter.gone = told == Told::Interrupted;
                self.missed += usize::from(letter.gone && letter.question);
            }
        } else {
            bringing.refused = Some(now);
        }
    }

    /// What follows, now.
    fn settle(&mut self) {
        let now = self.now;
        for letter in &mut self.letters {
            if let Some(bringing) = &mut letter.bringing {
                bringing.open &= bringing.begun || now < bringing.asked + 10 * MINUTE;
            }
            if !letter.over() {
                let given_up = letter.unread() && letter.tries >= ATTEMPTS_MAX && !letter.held(now);
                letter.gone = letter.expires <= now || given_up;
                self.missed += usize::from(letter.gone && letter.question);
            }
            if !letter.unread()
                && let Some(bringing) = &mut letter.bringing
            {
                bringing.open &= bringing.begun;
            }
        }
        for _ in 0..std::mem::take(&mut self.missed) {
            self.send(Other, false, false);
        }
        for letter in self
            .letters
            .iter_mut()
            .filter(|letter| letter.to == Carried && self.run > 0)
        {
            let patient = letter.again(self.run).is_some_and(|again| now < again);
            if letter.may_be_brought(now) && !patient {
                letter.bringing = Some(Bringing {
                    nth_try: letter.tries + 1,
                    run: self.run,
                    asked: now,
                    begun: false,
                    open: true,
                    refused: None,
                });
            }
        }
    }
}

impl Model {
    fn shown(&self) -> Vec<(Status, u32, bool, usize)> {
        let show = |letter: &Letter| {
            let bringing = letter.bringing.is_some_and(|bringing| bringing.open);
            (letter.status(), letter.tries, letter.unread(), usize::from(bringing))
        };
        self.letters.iter().map(show).collect()
    }

    /// When time alone is next news.
    fn next(&self) -> Option<i64> {
        let of = |letter: &Letter| {
            let bringing = letter.bringing.filter(|bringing| bringing.open && !bringing.begun);
            let unread = letter.unread().then_some([
                (letter.due > self.now).then_some(letter.due),
                (letter.lease > self.now).then_some(letter.lease),
                letter.again(self.run).filter(|at| *at > self.now),
            ]);
            let open = (!letter.over()).then_some(letter.expires);
            let moments = [open, bringing.map(|bringing| bringing.asked + 10 * MINUTE)];
            moments.into_iter().chain(unread.into_iter().flatten()).flatten().min()
        };
        self.letters.iter().filter_map(of).min()
    }
}

/// The real one: a leader that reads back what it writes, and is followed by another.
struct Real {
    script: Script,
    requests: u64,
}

impl Real {
    fn new() -> Self {
        let long = Duration::from_secs(u64::from(u32::MAX));
        let alerts = alert::Settings {
            off: Rule::ALL.iter().copied().collect(),
            ..alert::Settings::default()
        };
        // Nothing but letters is ever due.
        let mut script = two_under(Settings {
            silence: long,
            retention: long,
            alerts,
            ..Settings::default()
        });
        script.at_once();
        Self { script, requests: 0 }
    }

    fn asker(&mut self, who: Who) -> Asker {
        self.requests += 1;
        let request = self.requests.to_string();
        match who {
            Carried => s1(&request),
            Other => of_session("web-02", "s2", &request),
            Operators => operator(&request),
        }
    }

    /// Decides, and again before the first decision is read back, which must decide nothing.
    fn decide(&mut self, decide: impl Fn(&Script) -> Vec<Draft>) {
        let decide = |script: &Script| ours(decide(script));
        let drafts = decide(&self.script);
        for (n, draft) in (1..).zip(&drafts) {
            self.script.overlay.published(id(self.script.seq + n), draft);
        }
        assert_eq!(decide(&self.script), [], "what is on its way is decided again");
        self.script.writes(drafts);
    }

    /// The `n`th letter, in the order they were written.
    fn nth(&self, n: usize) -> Option<MessageId> {
        self.script.fleet.messages().all().keys().nth(n).copied()
    }

    fn told(&mut self, lost: bool, tell: impl FnOnce(&mut Script)) {
        tell(&mut self.script);
        if lost {
            // What this leader would have said, the next one says.
            self.script.overlay = Overlay::new();
            self.script.drafts = react::catch_up(&self.script.fleet, &self.script.overlay);
        }
        self.script.leads();
    }

    fn step(&mut self, step: Step) {
        let now = ms(self.script.now);
        match step {
            Step::Send {
                to,
                question: asked,
                later,
            } => {
                let party = match to {
                    Carried => session(HOST, SESSION),
                    Other => session("web-02", "s2"),
                    Operators => To::One(Party::Operators),
                };
                let wish = if asked { question(party, &[]) } else { note(party) };
                let due = later.then(|| now.after(Duration::from_mins(10)));
                let wish = Wish { due, ..wish };
                let asker = self.asker(Other);
                self.decide(|script| {
                    match message::send(&script.fleet, &script.overlay, &asker, &wish, now).unwrap() {
                        Sending::Write(drafts) => drafts,
                        Sending::Soon(_) | Sending::Before => Vec::new(),
                    }
                });
            }
            Step::Take(who) => {
                let (asker, asked) = (self.asker(who), Cell::new(0));
                self.decide(|script| {
                    // Not the same one again, which would be told to wait for what it took.
                    asked.set(asked.get() + 1);
                    let asker = Asker {
                        request: format!("{} {}", asker.request, asked.get()).into(),
                        ..asker.clone()
                    };
                    match message::receive(&script.fleet, &script.overlay, &asker, &mut |_, _| true, now).unwrap() {
                        Received::Take(_, drafts) => drafts,
                        Received::Again(_) | Received::Soon(_) | Received::Nothing => Vec::new(),
                    }
                });
            }
            Step::Ack(who, n) => {
                let (Some(id), asker) = (self.nth(n), self.asker(who)) else {
                    return;
                };
                self.decide(|script| message::ack(&script.fleet, &script.overlay, &asker, &[id]).unwrap_or_default());
            }
            Step::Answer(who, n) => {
                let (Some(id), asker) = (self.nth(n), self.asker(who)) else {
                    return;
                };
                let text = Some("as you like".into());
                let answer = Answer {
                    choices: Vec::new(),
                    text,
                };
                self.decide(
                    |script| match message::answer(&script.fleet, &script.overlay, &asker, id, &answer, now) {
                        Ok(Asked::Write(drafts)) => drafts,
                        Ok(Asked::Soon(_) | Asked::Over) | Err(_) => Vec::new(),
                    },
                );
            }
            Step::TakeBack(n) => {
                let (Some(id), asker) = (self.nth(n), self.asker(Operators)) else {
                    return;
                };
                self.decide(
                    |script| match message::cancel(&script.fleet, &script.overlay, &asker, id) {
                        Ok(Asked::Write(drafts)) => drafts,
                        Ok(Asked::Soon(_) | Asked::Over) | Err(_) => Vec::new(),
                    },
                );
            }
            Step::Run { lost } => {
                self.requests += 1;
                let carrier = Carrier {
                    run: run(&format!("r{}", self.requests)),
                    can: [ActionKind::Message].into(),
                };
                let began = ProcessFact::Carries {
                    process: process(u32::try_from(self.requests).unwrap()),
                    carrier: Box::new(carrier),
                };
                self.told(lost, |script| _ = script.process(began));
            }
            Step::Says { told, lost } => {
                let Some(effect) = self.oldest_brought() else {
                    return;
                };
                let word = match told {
                    Told::Begun => Word::Accepted,
                    Told::Done => Word::Ended(End::Done),
                    Told::Error => failed("error"),
                    Told::Interrupted => failed("interrupted"),
                    Told::Refused => failed("no_carrier"),
                };
                let receipt = Receipt { id: effect, word };
                self.told(lost, |script| _ = script.fact(Fact::Effect(receipt)));
            }
            Step::Wait(span) => {
                self.script.now += span;
                let now = ms(self.script.now);
                self.decide(|script| due::expire(&script.fleet, &script.overlay, now));
            }
        }
    }

    /// The effects that bring letters, and are not over.
    fn brought(&self) -> Vec<(MessageId, EffectId)> {
        let all = self.script.fleet.effects().all().iter();
        let open = all.filter(|(_, effect)| effect.status().is_open());
        open.filter_map(|(id, effect)| Some((effect.order.action.message()?, *id)))
            .collect()
    }

    fn oldest_brought(&self) -> Option<EffectId> {
        self.brought().into_iter().min().map(|(_, effect)| effect)
    }

    /// How each letter stands: how often it was tried, whether it is to be read, and how many bring it.
    fn shown(&self) -> Vec<(Status, u32, bool, usize)> {
        let brought = self.brought();
        let all = self.script.fleet.messages().all().iter();
        let show = |(id, message): (&MessageId, &message::Message)| {
            let bringing = brought.iter().filter(|(of, _)| of == id).count();
            (message.status(), message.attempts, message.is_unread(), bringing)
        };
        all.map(show).collect()
    }
}

fn step() -> impl Strategy<Value = Step> {
    let who = || prop_oneof![4 => Just(Carried), 1 => Just(Other), 1 => Just(Operators)];
    let nth = || 0..LETTERS_MAX;
    let told = prop_oneof![
        4 => Just(Told::Begun),
        2 => Just(Told::Done),
        3 => Just(Told::Error),
        1 => Just(Told::Interrupted),
        2 => Just(Told::Refused),
    ];
    let waits = vec![
        10 * SECOND,
        20 * SECOND,
        40 * SECOND,
        2 * MINUTE,
        5 * MINUTE,
        10 * MINUTE,
        HOUR,
        WEEK,
    ];
    prop_oneof![
        3 => (who(), any::<bool>(), any::<bool>())
            .prop_map(|(to, question, later)| Step::Send { to, question, later }),
        3 => who().prop_map(Step::Take),
        1 => (who(), nth()).prop_map(|(who, n)| Step::Ack(who, n)),
        1 => (who(), nth()).prop_map(|(who, n)| Step::Answer(who, n)),
        1 => nth().prop_map(Step::TakeBack),
        1 => any::<bool>().prop_map(|lost| Step::Run { lost }),
        6 => (told, any::<bool>()).prop_map(|(told, lost)| Step::Says { told, lost }),
        5 => prop::sample::select(waits).prop_map(Step::Wait),
    ]
}

fn compare(steps: &[Step]) -> Result<(), TestCaseError> {
    let mut real = Real::new();
    let mut model = Model {
        now: real.script.now,
        ..Model::default()
    };
    let mut waits = 0..WAITS_MAX;
    for (n, step) in steps.iter().enumerate() {
        let mut step = *step;
        if let Step::Wait(span) = &mut step {
            let Some(nth) = waits.next() else {
                continue;
            };
            *span += 1 << nth;
        }
        if matches!(step, Step::Send { .. }) && model.letters.len() >= LETTERS_MAX {
            continue;
        }
        real.step(step);
        model.step(step);
        prop_assert_eq!(real.shown(), model.shown(), "after step {} of {:?}", n, steps);
        let due = due::due(&real.script.fleet).map(Timestamp::as_millis);
        if let Some(next) = model.next() {
            prop_assert!(
                due.is_some_and(|due| due <= next + 1),
                "{due:?} {next} after step {n} of {steps:?}"
            );
        }
        let next_leader = ours(react::catch_up(&real.script.fleet, &Overlay::new()));
        prop_assert_eq!(next_leader, [], "after step {} of {:?}", n, steps);
    }
    Ok(())
}

proptest! {
    #[test]
    fn letters_are_where_the_naive_model_says(steps in prop::collection::vec(step(), 0..40)) {
        compare(&steps)?;
    }
}
