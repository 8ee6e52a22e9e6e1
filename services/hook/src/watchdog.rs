//! Ends the process when its time is up, whatever the main thread is blocked in.

use std::io;
use std::process;
use std::thread;

use crate::failure::{Failure, Manner};
use crate::progress::Progress;

/// The thread sleeps, and at most formats one line.
const STACK_BYTES: usize = 64 * 1024;

#[expect(clippy::exit, reason = "nothing else ends a connect or a read that blocks")]
pub(crate) fn start(progress: Progress, manner: Manner) -> io::Result<()> {
    let watch = move || {
        while let Some(pause) = progress.next_look() {
            thread::sleep(pause);
            progress.if_overdue(|stage| {
                process::exit(manner.conclude(&Failure::OutOfTime { stage }).into());
            });
        }
    };
    thread::Builder::new().stack_size(STACK_BYTES).spawn(watch).map(drop)
}
