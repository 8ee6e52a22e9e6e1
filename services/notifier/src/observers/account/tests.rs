use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn account(backpressure: Backpressure, capacity: u32) -> Account {
    Account::restore(backpressure, capacity, &Counters::default())
}

/// A client reads these, as far as they still wait.
fn drain(account: &mut Account, wanted: impl IntoIterator<Item = u64>) -> (Vec<u64>, Vec<Gap>) {
    let (mut events, mut gaps) = (Vec::new(), Vec::new());
    for seq in wanted {
        if let Some(taken) = account.take(seq) {
            gaps.extend(taken.gap);
            account.told();
            account.hand_over();
            events.push(seq);
        }
    }
    (events, gaps)
}

fn numbers(account: &Account) -> (u64, u64, u64) {
    let counters = account.counters();
    (counters.delivered, counters.missed, counters.pending)
}

#[test]
fn the_oldest_are_dropped_and_the_newest_kept() {
    let mut account = account(Backpressure::DropOldest, 3);
    (1..=10).for_each(|seq| account.offer(seq));
    assert_eq!(numbers(&account), (0, 7, 3));
    let gap = Gap {
        first: 1,
        last: 7,
        missed: 7,
    };
    assert_eq!(drain(&mut account, 1..=10), (vec![8, 9, 10], vec![gap]));
    assert_eq!(numbers(&account), (3, 7, 0));
}

#[test]
fn who_blocks_misses_nothing_however_much_waits() {
    let mut account = account(Backpressure::Block, 1);
    (1..=1000).for_each(|seq| account.offer(seq));
    assert_eq!(numbers(&account), (0, 0, 1000));
    assert_eq!(drain(&mut account, 1..=1000), ((1..=1000).collect(), Vec::new()));
}

#[test]
fn what_the_log_discarded_from_the_middle_of_a_run_is_counted_when_the_rest_was_read() {
    let mut account = account(Backpressure::Block, 1);
    (1..=100).for_each(|seq| account.offer(seq * 2));
    account.discard(31);
    let (events, gaps) = drain(&mut account, (16..=100).map(|n| n * 2));
    assert_eq!(events, (16..=100).map(|n| n * 2).collect::<Vec<_>>());
    let gap = Gap {
        first: 2,
        last: 30,
        missed: 15,
    };
    assert_eq!(gaps, [gap]);
    assert_eq!(numbers(&account), (85, 15, 0));
}

#[test]
fn what_is_on_its_way_waits_again_when_its_client_is_gone() {
    let mut account = account(Backpressure::DropOldest, 2);
    (1..=4).for_each(|seq| account.offer(seq));
    let gap = Gap {
        first: 1,
        last: 2,
        missed: 2,
    };
    assert_eq!(account.take(3), Some(Taken { gap: Some(gap) }));
    assert_eq!(numbers(&account), (0, 2, 2));
    account.release();
    assert_eq!(numbers(&account), (0, 2, 2));
    assert_eq!(drain(&mut account, 1..=4), (vec![3, 4], vec![gap]));
}

#[test]
fn what_is_on_its_way_is_missed_when_younger_ones_had_no_room() {
    let mut account = account(Backpressure::DropOldest, 2);
    account.offer(1);
    account.take(1);
    (2..=5).for_each(|seq| account.offer(seq));
    assert_eq!(account.counters().missed, 3, "2 and 3 were dropped, and 1 would be");
    account.release();
    let gap = Gap {
        first: 1,
        last: 3,
        missed: 3,
    };
    assert_eq!(drain(&mut account, 1..=5), (vec![4, 5], vec![gap]));
}

#[test]
fn after_a_restart_what_is_not_found_again_was_missed() {
    let mut before = account(Backpressure::Block, 1);
    (1..=10).for_each(|seq| before.offer(seq));
    let kept = before.counters();
    let mut account = Account::restore(Backpressure::Block, 1, &kept);
    assert_eq!(account.counters(), kept);
    account.discard(5);
    (5..=12).for_each(|seq| account.offer(seq));
    assert_eq!(numbers(&account), (0, 4, 8));
    let (events, gaps) = drain(&mut account, 5..=12);
    assert_eq!(events, (5..=12).collect::<Vec<_>>());
    let gap = Gap {
        first: 1,
        last: 4,
        missed: 4,
    };
    assert_eq!(gaps, [gap]);
}

#[test]
fn what_a_client_says_to_have_was_not_missed() {
    let mut account = account(Backpressure::DropOldest, 2);
    (1..=5).for_each(|seq| account.offer(seq));
    account.acknowledge(3);
    assert_eq!(numbers(&account), (3, 0, 2));
}

#[test]
fn in_another_log_what_waited_is_missed_and_places_begin_anew() {
    let mut account = account(Backpressure::DropOldest, 5);
    (1..=4).for_each(|seq| account.offer(seq));
    drain(&mut account, [1]);
    account.restart();
    assert_eq!(numbers(&account), (1, 3, 0));
    account.offer(1);
    assert_eq!(drain(&mut account, [1]), (vec![1], Vec::new()));
}

/// What may happen to an account, between the events of the log.
#[derive(Debug, Clone, Copy)]
enum Step {
    Offer,
    Pass,
    /// The client's reader goes on to the next event it wants, and it is sent or not.
    Send {
        arrives: bool,
    },
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => Just(Step::Offer),
        2 => Just(Step::Pass),
        4 => Just(Step::Send { arrives: true }),
        1 => Just(Step::Send { arrives: false }),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 0..400)
}

proptest! {
    #[test]
    fn every_event_is_delivered_or_told_as_missed_or_waits(steps in steps(), capacity in 1_u32..6, blocks: bool) {
        let backpressure = if blocks { Backpressure::Block } else { Backpressure::DropOldest };
        let mut account = account(backpressure, capacity);
        let (mut seq, mut wanted) = (0, Vec::new());
        let (mut delivered, mut told): (BTreeSet<u64>, Vec<Gap>) = (BTreeSet::new(), Vec::new());
        for step in steps {
            match step {
                Step::Offer => {
                    seq += 1;
                    wanted.push(seq);
                    account.offer(seq);
                }
                Step::Pass => {
                    seq += 1;
                    account.pass(seq);
                }
                Step::Send { arrives } => {
                    let settled = account.settled();
                    let next = wanted.iter().copied().find(|wanted| *wanted > settled);
                    let taken = next.and_then(|next| Some((next, account.take(next)?)));
                    if let Some((next, taken)) = taken {
                        if arrives {
                            told.extend(taken.gap);
                            account.told();
                            account.hand_over();
                            prop_assert!(delivered.insert(next));
                        } else {
                            account.release();
                        }
                    }
                }
                Step::Restart => {
                    account = Account::restore(backpressure, capacity, &account.counters());
                    let settled = account.settled();
                    for again in settled + 1..=seq {
                        if wanted.contains(&again) { account.offer(again) } else { account.pass(again) }
                    }
                }
            }
            let counters = account.counters();
            prop_assert_eq!(counters.delivered + counters.missed + counters.pending, wanted.len() as u64);
            prop_assert_eq!(counters.delivered, delivered.len() as u64);
            prop_assert!(blocks || counters.pending <= u64::from(capacity));
            prop_assert!(!blocks || counters.missed == 0);
            let gaps = || told.iter().chain(&counters.untold);
            prop_assert_eq!(counters.missed, gaps().map(|gap| gap.missed).sum::<u64>());
            for gap in gaps() {
                let inside: Vec<u64> = wanted.iter().copied().filter(|seq| (gap.first..=gap.last).contains(seq)).collect();
                prop_assert_eq!(inside.len() as u64, gap.missed, "{:?}", gap);
                prop_assert!(inside.iter().all(|seq| !delivered.contains(seq)), "{:?}", gap);
            }
            if !blocks {
                let newest = wanted.iter().rev().take(capacity as usize);
                let told = |seq: &u64| gaps().any(|gap| (gap.first..=gap.last).contains(seq));
                prop_assert!(newest.copied().all(|seq| !told(&seq)), "of the newest, none is dropped");
            }
        }
    }
}
