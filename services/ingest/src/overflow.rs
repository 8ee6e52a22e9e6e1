//! Payloads that are too large for an event, on their way to the object store.
//!
//! Each is a file under its digest, synced before its event is written, and removed only when the hub has it. So the hub
//! may be away, and this process may be killed, at any point between.

use crate::prepare::{Whole, object_name};
use crate::spool::Priority;
use muster_bus::Bus;
use muster_bus::objects::Objects;
use muster_domain::names::HostName;
use muster_wire::topology::PAYLOADS;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Pause after a hub that did not take one: the files wait, nobody waits for them.
const RETRY: Duration = Duration::from_secs(2);

/// Why a payload was not kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeepError {
    #[error("payloads that wait for their upload fill their {limit_bytes} bytes")]
    Full { limit_bytes: u64 },
    #[error("cannot keep a payload: {0}")]
    Io(#[from] io::Error),
}

/// The folder of payloads that wait.
#[derive(Debug)]
pub(crate) struct Waiting {
    dir: PathBuf,
    limit_bytes: u64,
    used_bytes: AtomicU64,
    more: Notify,
}

impl Waiting {
    /// Opens the folder, making it when missing, and counts what is in it.
    pub(crate) fn open(dir: PathBuf, limit_bytes: u64) -> io::Result<Arc<Self>> {
        fs::create_dir_all(&dir)?;
        let mut used_bytes = 0;
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            if is_digest(&entry.file_name().to_string_lossy()) {
                used_bytes += entry.metadata()?.len();
            } else {
                // Half written when its process ended: its event was never acknowledged.
                fs::remove_file(entry.path())?;
            }
        }
        Ok(Arc::new(Self {
            dir,
            limit_bytes,
            used_bytes: AtomicU64::new(used_bytes),
            more: Notify::new(),
        }))
    }

    /// Puts a payload on disk; blocks. What matters most is taken beyond the limit too: there is little of it.
    pub(crate) fn keep(&self, whole: &Whole, priority: Priority) -> Result<(), KeepError> {
        let path = self.dir.join(&whole.digest);
        if path.exists() {
            return Ok(());
        }
        let size = whole.bytes.len() as u64;
        if priority == Priority::Low && self.used_bytes.load(Ordering::Relaxed) + size > self.limit_bytes {
            return Err(KeepError::Full {
                limit_bytes: self.limit_bytes,
            });
        }
        let partial = self.dir.join(format!("{}.{}", whole.digest, uuid::Uuid::new_v4()));
        let mut file = File::create(&partial)?;
        file.write_all(&whole.bytes)?;
        file.sync_all()?;
        fs::rename(&partial, &path)?;
        File::open(&self.dir)?.sync_all()?;
        self.used_bytes.fetch_add(size, Ordering::Relaxed);
        self.more.notify_one();
        Ok(())
    }

    /// Hands payloads to the hub for as long as the service runs.
    pub(crate) async fn upload(self: Arc<Self>, bus: Bus, host: HostName, stop: CancellationToken) -> io::Result<()> {
        let store = bus.objects(&PAYLOADS);
        loop {
            let mut connection = bus.state();
            let pass = async {
                // The sender lives as long as the bus, which this holds.
                let _ = connection.wait_for(|state| state.connected).await;
                match self.pass(&store, &host).await {
                    Ok(()) => self.more.notified().await,
                    Err(error) => {
                        tracing::debug!(%error, "a payload waits for the hub");
                        tokio::time::sleep(RETRY).await;
                    }
                }
            };
            tokio::select! {
                () = pass => {}
                () = stop.cancelled() => return Ok(()),
            }
        }
    }

    async fn pass(&self, store: &Objects, host: &HostName) -> anyhow::Result<()> {
        for digest in list(&self.dir)? {
            let path = self.dir.join(&digest);
            let bytes = tokio::fs::read(&path).await?;
            let size = bytes.len() as u64;
            store.put(&object_name(host, &digest), bytes.into()).await?;
            tokio::fs::remove_file(&path).await?;
            self.used_bytes.fetch_sub(size, Ordering::Relaxed);
        }
        Ok(())
    }
}

fn list(dir: &Path) -> io::Result<Vec<String>> {
    let names = fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    names
        .filter(|name| name.as_ref().map_or(true, |name| is_digest(name)))
        .collect()
}

fn is_digest(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(digit: char, size: usize) -> Whole {
        Whole {
            digest: digit.to_string().repeat(64),
            bytes: vec![b' '; size],
        }
    }

    #[test]
    fn a_payload_outlives_the_process_and_half_of_one_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let waiting = Waiting::open(dir.path().to_owned(), 1000).unwrap();
        waiting.keep(&whole('a', 600), Priority::Low).unwrap();
        waiting.keep(&whole('a', 600), Priority::Low).unwrap();
        fs::write(dir.path().join("b.partial"), "half").unwrap();
        let again = Waiting::open(dir.path().to_owned(), 1000).unwrap();
        assert_eq!(list(dir.path()).unwrap(), ["a".repeat(64)]);
        assert_eq!(again.used_bytes.load(Ordering::Relaxed), 600);
    }

    #[test]
    fn a_full_folder_still_takes_what_matters_most() {
        let dir = tempfile::tempdir().unwrap();
        let waiting = Waiting::open(dir.path().to_owned(), 1000).unwrap();
        waiting.keep(&whole('a', 600), Priority::Low).unwrap();
        assert!(matches!(
            waiting.keep(&whole('b', 600), Priority::Low),
            Err(KeepError::Full { .. })
        ));
        waiting.keep(&whole('b', 600), Priority::High).unwrap();
    }
}
