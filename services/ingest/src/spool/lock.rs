//! One process per spool: two writers would both hand out the same sequence.
//!
//! The kernel drops the lock with its holder, so a killed ingest never leaves a stale one; the pid inside is for the message.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::DirBuilderExt,
    path::Path,
    process, thread,
    time::{Duration, Instant},
};

use super::OpenError;

/// How long a holder that is just letting go is waited for: a killed one until the kernel has cleared it away, and a child
/// that the process forked meanwhile until it has become another program.
const PATIENCE: Duration = Duration::from_millis(500);
/// Between two tries.
const AGAIN: Duration = Duration::from_millis(10);

pub(super) fn take(dir: &Path) -> Result<File, OpenError> {
    let failed = |source: io::Error| OpenError::Io {
        dir: dir.to_owned(),
        source,
    };
    // What agents do is nobody else's business on a shared host.
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(failed)?;
    let path = dir.join("lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(failed)?;
    match patiently(&file) {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            file.read_to_string(&mut pid).map_err(failed)?;
            return Err(OpenError::Held {
                dir: dir.to_owned(),
                pid: pid.trim().parse().ok(),
            });
        }
        Err(TryLockError::Error(source)) => return Err(failed(source)),
    }
    file.set_len(0).map_err(failed)?;
    writeln!(file, "{}", process::id()).map_err(failed)?;
    Ok(file)
}

fn patiently(file: &File) -> Result<(), TryLockError> {
    let until = Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < until => thread::sleep(AGAIN),
            outcome => return outcome,
        }
    }
}
