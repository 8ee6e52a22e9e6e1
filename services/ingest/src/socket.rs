//! The Unix socket: `muster-hook`, `muster run` and local tools. Framed JSON, hello first, any number of requests.
//!
//! The file belongs to this user alone. It stays when the service ends, because a hook takes a missing file for a machine
//! without ingest, and a refusing one for an ingest on its way back.

mod carrier;
mod connection;

pub(crate) use connection::Desk;

use anyhow::Context as _;
use muster_runtime::health::Condition;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt as _, PermissionsExt};
use std::os::unix::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How often it is looked whether hooks can still find the socket.
const LOOK: Duration = Duration::from_secs(2);
/// What Linux allows (107), less what the name it is made under has more: two dots and a process id of up to 7 digits.
const PATH_BYTES_MAX: usize = 98;

/// A socket that hooks find at its path.
pub(crate) struct Bound {
    listener: UnixListener,
    path: PathBuf,
    inode: Option<(u64, u64)>,
}

/// Binds the socket at `path`, in place of one that nobody listens on.
///
/// # Errors
/// When somebody listens there, or the folder cannot be used.
pub(crate) async fn bind(path: &Path) -> anyhow::Result<Bound> {
    let dir = path.parent().context("socket.path has no folder")?;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("making {}", dir.display()))?;
    match UnixStream::connect(path).await {
        Ok(_) => anyhow::bail!(
            "another ingest listens on {}: stop it, or set socket.path",
            path.display()
        ),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {}
        Err(error) => return Err(error).with_context(|| format!("looking at {}", path.display())),
    }
    // Bound beside and moved into place: at no moment is there no file, or one that others may open.
    let beside = beside(path)?;
    // Left by a process of the same pid that was killed here.
    let _ = fs::remove_file(&beside);
    let listener = UnixListener::bind(&beside).with_context(|| format!("binding in {}", dir.display()))?;
    fs::set_permissions(&beside, Permissions::from_mode(0o600))?;
    fs::rename(&beside, path).with_context(|| format!("putting the socket at {}", path.display()))?;
    Ok(Bound {
        inode: inode(path),
        path: path.to_owned(),
        listener,
    })
}

impl Bound {
    /// Binds again where the file was deleted or replaced: no hook finds what has no name.
    async fn keep(&mut self, condition: &Condition) {
        if inode(&self.path) == self.inode {
            condition.set_ok();
            return;
        }
        match bind(&self.path).await {
            Ok(bound) => {
                *self = bound;
                tracing::warn!(path = %self.path.display(), "the socket's file was gone; it is there again");
                condition.set_ok();
            }
            Err(error) => condition.set_degraded(format!("the socket's file is gone: {error:#}")),
        }
    }
}

/// Checks that a socket can have this path.
///
/// # Errors
/// When it is longer than the system allows.
pub(crate) fn check(path: &Path) -> anyhow::Result<()> {
    SocketAddr::from_pathname(beside(path)?).with_context(|| {
        let bytes = path.as_os_str().len();
        format!("socket.path is {bytes} bytes long, use at most {PATH_BYTES_MAX}")
    })?;
    Ok(())
}

/// Where the socket is made. Its name has the socket's own in it: one process may listen for several hosts in one folder.
fn beside(path: &Path) -> anyhow::Result<PathBuf> {
    let name = path.file_name().context("socket.path names no file")?.to_string_lossy();
    Ok(path.with_file_name(format!(".{name}.{}", std::process::id())))
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// Serves connections until `stop`; those that are open finish their request.
pub(crate) async fn serve(
    mut bound: Bound,
    desk: Arc<Desk>,
    condition: Condition,
    at_once: usize,
    tracker: TaskTracker,
    stop: CancellationToken,
) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(at_once));
    let mut look = tokio::time::interval(LOOK);
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return Ok(());
        };
        let stream = tokio::select! {
            _ = look.tick() => {
                bound.keep(&condition).await;
                continue;
            }
            accepted = bound.listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of files, most likely: others must close theirs first.
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            () = stop.cancelled() => return Ok(()),
        };
        let (desk, stop) = (Arc::clone(&desk), stop.clone());
        tracker.spawn(async move {
            if let Err(error) = desk.serve(stream, stop).await {
                tracing::debug!(%error, "a connection ended");
            }
            drop(place);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/ingest.sock");
        let first = bind(&path).await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(
            fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777,
            0o700
        );
        assert!(
            bind(&path)
                .await
                .err()
                .unwrap()
                .to_string()
                .contains("another ingest listens")
        );
        drop(first);
        let second = bind(&path).await.unwrap();
        UnixStream::connect(&path).await.unwrap();
        drop(second);
    }
}
