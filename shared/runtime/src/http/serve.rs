//! The accept loop.
//!
//! `axum::serve` sets no limits. This one bounds how many connections there are, how long a caller may take to say what
//! it wants, and how long a response may go on once the service drains.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

use super::Config;
use crate::drain::Drain;

/// Written by hand because there is no connection task to write it: those are used up.
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// Out of file descriptors is the usual cause, and passes when connections end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until the drain is requested and open requests have ended, or `grace` is over.
///
/// Responses without an end (event streams) should watch the drain's token themselves.
///
/// # Errors
///
/// None at present: failures to accept are logged and retried. The result is what a part of a [`Drain`] returns.
pub async fn serve(listener: TcpListener, router: Router, config: &Config, drain: &Drain) -> io::Result<()> {
    let room = Arc::new(Semaphore::new(config.max_connections));
    let connections = TaskTracker::new();
    let mut protocol = http1::Builder::new();
    protocol
        .timer(TokioTimer::new())
        .header_read_timeout(config.header_timeout.get());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = drain.requested() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            refuse(&stream);
            continue;
        };
        // Answers are small and waited for.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        let connection = protocol.serve_connection(TokioIo::new(stream), service).with_upgrades();
        let (drain, grace) = (drain.clone(), config.grace.get());
        connections.spawn(async move {
            let mut connection = std::pin::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = drain.requested() => {
                    connection.as_mut().graceful_shutdown();
                    timeout(grace, connection).await.unwrap_or(Ok(()))
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection broke");
            }
            drop(permit);
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
    Ok(())
}

fn refuse(stream: &TcpStream) {
    tracing::warn!("a connection was refused: http.max_connections are open");
    // Best effort: a caller that does not get it sees the connection close.
    let _ = stream.try_write(FULL);
}
