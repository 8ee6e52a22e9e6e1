//! Kill everything, again and again, under load; then prove by the log that nothing acknowledged was lost and nothing
//! counted twice.
//!
//! The processes are the real binaries, each with a folder of its own. Which is killed when follows from a seed, which is
//! printed; `MUSTER_CHAOS_SEED` runs one again.

#![expect(
    clippy::print_stdout,
    reason = "the seed and each kill belong to the record of a run"
)]

mod fleet;
mod load;
mod storm;

use fleet::{Part, Stack};
use load::Load;
use muster_testkit::eventually;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use std::time::Duration;

/// Events each of the three hosts reports; together more than the 20 000 that the guarantee is shown with.
const EVENTS_PER_HOST: usize = 7_000;
/// Kills, each of a part drawn at random; every part is drawn at least twice.
const KILLS: usize = 16;
/// The hub's window for recognising a message id, shortened so that one outage outlasts it.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(2);

fn seed() -> u64 {
    let seed = std::env::var("MUSTER_CHAOS_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(rand::random);
    println!("MUSTER_CHAOS_SEED={seed}");
    seed
}

/// Which part dies when: each at least twice, in an order drawn from the seed.
fn schedule(random: &mut StdRng) -> Vec<Part> {
    let mut parts: Vec<Part> = (0..KILLS).map(|turn| Part::ALL[turn % Part::ALL.len()]).collect();
    for last in (1..parts.len()).rev() {
        parts.swap(last, random.random_range(0..=last));
    }
    parts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_and_nothing_counts_twice() {
    let mut random = StdRng::seed_from_u64(seed());
    let mut stack = Stack::start(DUPLICATE_WINDOW).await;
    let load = Load::start(stack.hosts(), EVENTS_PER_HOST);

    let schedule = schedule(&mut random);
    for (turn, part) in schedule.iter().enumerate() {
        // Progress, not time, decides when the next one dies: each kill meets a system that works.
        load.accepted_at_least(load.accepted() + load.total() / (schedule.len() + 2))
            .await;
        let victim = random.random_range(0..stack.count(*part));
        println!("kill {turn}: {part:?} {victim} at {} accepted", load.accepted());
        if *part == Part::Hub && turn >= schedule.len() / 2 && !stack.outlasted_window() {
            stack.hub_away_longer_than_window().await;
        } else {
            stack.kill9_and_restart(*part, victim).await;
        }
    }
    if !stack.outlasted_window() {
        stack.hub_away_longer_than_window().await;
    }
    let answered = load.finish().await;
    stack.drained().await;

    let stored = stack.stored_ids().await;
    let missing: Vec<_> = answered.ids.iter().filter(|id| !stored.contains(*id)).collect();
    assert!(
        missing.is_empty(),
        "{} acknowledged events are not in the log, as {:?}",
        missing.len(),
        missing.first()
    );
    assert!(
        answered.ids.len() >= 3 * EVENTS_PER_HOST,
        "only {} events were acknowledged",
        answered.ids.len()
    );

    let audit = eventually(Duration::from_secs(60), async || {
        let audit = stack.audit();
        if audit["digest_live"] == audit["digest_replay"] {
            Ok(audit)
        } else {
            Err(audit)
        }
    })
    .await;
    println!(
        "{} acknowledged, {} stored; audit {audit}",
        answered.ids.len(),
        stored.len()
    );
    assert_eq!(audit["gaps"], 0, "{audit}");
    assert_eq!(audit["doubles_applied"], 0, "{audit}");
    assert_eq!(audit["forked"], 0, "{audit}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_and_replaced_leader_writes_nothing() {
    let mut stack = Stack::start(Duration::from_secs(120)).await;
    let first = stack.leader().await;
    stack.pause_leader(&first);
    let second = eventually(Duration::from_secs(20), async || {
        let now = stack.leader().await;
        if now == first { Err(now) } else { Ok(now) }
    })
    .await;
    let before = stack.decisions_by(&first).await;
    stack.resume_leader(&first);
    // It wakes up in the middle of a term it believes in, with a session's end to react to.
    let host = stack.hosts().remove(0);
    let load = Load::start(vec![host], 200);
    load.finish().await;
    stack.drained().await;
    let after = eventually(Duration::from_secs(20), async || {
        let by_second = stack.decisions_by(&second).await;
        if by_second > 0 {
            Ok(stack.decisions_by(&first).await)
        } else {
            Err("the second leader has decided nothing yet")
        }
    })
    .await;
    assert_eq!(before, after, "the replaced leader wrote");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spool_restored_from_an_older_copy_loses_nothing_and_is_reported() {
    let mut stack = Stack::start(Duration::from_secs(120)).await;
    let host = stack.hosts().remove(0);
    let mut ids = Load::start(vec![host.clone()], 300).finish().await.ids;
    stack.drained().await;
    let copy = stack.copy_spool(0).await;
    ids.extend(Load::start(vec![host.clone()], 300).finish().await.ids);
    stack.drained().await;
    stack.restore_spool(0, copy).await;
    ids.extend(Load::start(vec![host], 300).finish().await.ids);
    stack.drained().await;

    let stored = stack.stored_ids().await;
    assert!(
        ids.iter().all(|id| stored.contains(id)),
        "an acknowledged event is not in the log"
    );
    let audit = stack.audit();
    assert_eq!(
        (&audit["gaps"], &audit["doubles_applied"]),
        (&0.into(), &0.into()),
        "{audit}"
    );
    assert!(
        stack.ingest_log(0).contains("counting on as producer"),
        "the restored spool was not reported"
    );
}
