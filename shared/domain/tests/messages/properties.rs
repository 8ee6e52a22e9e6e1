//! What holds of any story.

use super::*;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Send(u8),
    Take(u8),
    Ack,
    Pass,
    Carry,
    Says(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..4_u8).prop_map(Step::Send),
        (0..4_u8).prop_map(Step::Take),
        Just(Step::Ack),
        Just(Step::Pass),
        Just(Step::Carry),
        (0..4_u8).prop_map(Step::Says),
    ]
}

proptest! {
    /// Whatever is sent, taken, doubled and failed: nothing is brought more often than five times, nothing is with two at
    /// once, and what was read is never brought again.
    #[test]
    fn a_message_is_never_with_two_and_never_comes_back_once_it_was_read(steps in prop::collection::vec(step(), 1..40)) {
        let mut script = two();
        let mut read = Vec::new();
        for (n, step) in steps.into_iter().enumerate() {
            match step {
                Step::Send(n) => {
                    script.sends(&operator(&format!("q{n}")), &note(session(HOST, SESSION))).unwrap();
                }
                Step::Take(n) => {
                    let before: Vec<MessageId> = script.fleet.messages().all().keys().copied().collect();
                    let taken = script.takes(&s1(&format!("r{n}")));
                    prop_assert!(taken.iter().all(|id| before.contains(id) && !read.contains(id)));
                    let again = script.takes(&s1(&format!("other{n}")));
                    prop_assert!(again.iter().all(|id| !taken.contains(id)));
                }
                Step::Ack => {
                    let first = script.fleet.messages().all().iter().find(|(_, message)| message.is_unread());
                    if let Some(id) = first.map(|(id, _)| *id) {
                        script.acks(&s1(&format!("a{n}")), id).unwrap();
                        read.push(id);
                    }
                }
                Step::Pass => {
                    script.time_passes(LEASE);
                }
                Step::Carry => carry(&mut script),
                Step::Says(n) => {
                    let Some((push, _)) = script.pushes().last().copied() else { continue };
                    let word = match n {
                        0 => Word::Accepted,
                        1 => Word::Ended(End::Done),
                        2 => failed("error"),
                        _ => failed("no_carrier"),
                    };
                    script.says(push, word.clone()).says(push, word);
                }
            }
            for message in script.fleet.messages().all().values() {
                prop_assert!(message.attempts <= ATTEMPTS_MAX);
            }
            let sent = script.fleet.messages().all().len();
            prop_assert!(sent <= 4, "a request sends once");
        }
        let messages = script.fleet.messages();
        let inbox = Party::Session(key(HOST, SESSION));
        let to_read = messages.inbox(&inbox).filter(|(_, message)| message.is_unread());
        prop_assert!(messages.unread(&inbox).eq(to_read));
        let kept = serde_json::to_string(messages).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Messages>(&kept).unwrap(), messages);
    }
}
