//! SIGTERM and SIGINT drain; a second one is meant.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::task::TaskTracker;

use crate::drain::Drain;

/// The shell's code for "ended by ^C".
const INTERRUPTED: i32 = 130;

/// Requests `drain` on the first signal and exits on the second.
///
/// # Errors
///
/// Where the process cannot listen for signals.
pub fn drain_on_shutdown(drain: &Drain) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let drain = drain.clone();
    // Not on the drain's own tracker: it must hear the second signal while the drain waits for everything else.
    TaskTracker::new().spawn(async move {
        let mut next = async || tokio::select! { _ = terminate.recv() => "SIGTERM", _ = interrupt.recv() => "SIGINT" };
        let first = next().await;
        tracing::info!(signal = first, "draining; a second signal exits at once");
        drain.request();
        next().await;
        #[expect(clippy::exit, reason = "the operator asked twice, so nothing more is waited for")]
        std::process::exit(INTERRUPTED);
    });
    Ok(())
}
