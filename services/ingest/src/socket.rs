//! The Unix socket: `muster-hook`, `muster run` and local tools. Framed JSON, hello first, any number of requests.
//!
//! The file belongs to this user alone. It stays when the service ends, because a hook takes a missing file for a machine
//! without ingest, and a refusing one for an ingest on its way back.

mod connection;

pub(crate) use connection::Desk;

use anyhow::Context as _;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Binds the socket at `path`, in place of one that nobody listens on.
///
/// # Errors
/// When somebody listens there, or the folder cannot be used.
pub(crate) async fn bind(path: &Path) -> anyhow::Result<UnixListener> {
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
    // Its name has the socket's own in it: one process may listen for several hosts in one folder.
    let name = path.file_name().context("socket.path names no file")?.to_string_lossy();
    let beside: PathBuf = dir.join(format!(".{name}.{}", std::process::id()));
    // Left by a process of the same pid that was killed here.
    let _ = fs::remove_file(&beside);
    let listener = UnixListener::bind(&beside).with_context(|| format!("binding in {}", dir.display()))?;
    fs::set_permissions(&beside, Permissions::from_mode(0o600))?;
    fs::rename(&beside, path).with_context(|| format!("putting the socket at {}", path.display()))?;
    Ok(listener)
}

/// Serves connections until `stop`; those that are open finish their request.
pub(crate) async fn serve(
    listener: UnixListener,
    desk: Arc<Desk>,
    at_once: usize,
    tracker: TaskTracker,
    stop: CancellationToken,
) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(at_once));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return Ok(());
        };
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of files, most likely: others must close theirs first.
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
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
                .unwrap_err()
                .to_string()
                .contains("another ingest listens")
        );
        drop(first);
        let second = bind(&path).await.unwrap();
        UnixStream::connect(&path).await.unwrap();
        drop(second);
    }
}
