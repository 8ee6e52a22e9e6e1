//! Looks again and again, on a thread of its own: reading `/proc` blocks.

use super::tree::Tree;
use super::{Observed, Running, proc};
use crate::commands::run::process::Started;
use muster_domain::fact::ProcessRef;
use muster_domain::names::RunId;
use muster_wire::data::watch::{Categories, Category, Watched};
use std::path::Path;
use std::sync::mpsc::{self as threads, RecvTimeoutError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

/// Between two looks, while there is something to see; what that costs is measured in `docs/watching.md`.
const EVERY: Duration = Duration::from_millis(50);
/// The same once nothing was seen for [`AWAKE`]: an agent waits for its model most of the time.
const AT_REST: Duration = Duration::from_millis(200);
const AWAKE: Duration = Duration::from_secs(1);
/// A look is followed by a pause this many times as long: however large a run is, watching it takes a twentieth of one core.
const PAUSE: u32 = 19;
/// Observations that wait to be told.
const WAITING_MAX: usize = 1024;

/// Whether the children of a process can be found here: a kernel may be built without.
pub(in super::super) fn is_there() -> bool {
    Path::new("/proc/thread-self/children").exists()
}

/// Watches a run's processes, where the system lists them.
pub(super) fn start(categories: &Categories, run: &RunId, started: &Started) -> Option<Running> {
    if !is_there() {
        return None;
    }
    let root = ProcessRef {
        pid: started.pid,
        start_ticks: started.start_ticks,
    };
    let tree = Tree::new(run.clone(), categories.clone(), root, proc::given());
    let (sender, observed) = mpsc::channel(WAITING_MAX);
    let (stop, stopped) = threads::channel();
    Some(Running {
        observed,
        stop,
        sampler: TaskTracker::new().spawn_blocking(move || watch(tree, &sender, &stopped)),
    })
}

/// Looks until nobody wants to know any more, and then once more.
fn watch(mut tree: Tree, observed: &mpsc::Sender<Observed>, stopped: &threads::Receiver<()>) -> Watched {
    let mut active = Instant::now();
    loop {
        let began = Instant::now();
        if look(&mut tree, observed) {
            active = began;
        }
        let every = if active.elapsed() < AWAKE { EVERY } else { AT_REST };
        let pause = every.max(began.elapsed() * PAUSE);
        if stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
            look(&mut tree, observed);
            return tree.watched();
        }
    }
}

/// Whether there was something to see.
fn look(tree: &mut Tree, observed: &mpsc::Sender<Observed>) -> bool {
    let before = tree.seen();
    let network = tree.watches(Category::Network);
    let mut snapshot = proc::look(tree.processes(), network || tree.watches(Category::File));
    if network {
        let asks = tree.asks(&snapshot.processes);
        if !asks.is_empty() {
            snapshot.endpoints = proc::endpoints(&asks);
        }
    }
    let seen = tree.take(snapshot);
    // Whoever is told of it may be slow; the look never is.
    let lost = seen.into_iter().filter_map(|seen| observed.try_send(seen).err());
    tree.lost(lost.count() as u64);
    tree.seen() > before
}
