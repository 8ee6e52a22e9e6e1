//! The way to one client, which may be slow, and may be gone.

use super::frame::{Place, alive};
use bytes::Bytes;
use muster_runtime::drain::Drain;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Chunks between the client's task and its socket: enough that both work at the same time, few enough that a stalled
/// socket holds little.
pub(crate) const CHUNKS_WAITING: usize = 16;

/// For the last word to a client: it need not be waited for longer than a person would.
const LAST_WORD: Duration = Duration::from_secs(2);

/// What the connection takes chunks from.
pub(crate) type Chunk = Result<Bytes, Infallible>;

/// The client will get nothing more: it left, or took nothing for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone;

/// Notices that a client left a quiet stream, or that the service goes, which no event would tell.
pub(crate) struct Left {
    chunks: mpsc::Sender<Chunk>,
    drain: Drain,
}

impl Left {
    pub(crate) fn new(chunks: mpsc::Sender<Chunk>, drain: Drain) -> Self {
        Self { chunks, drain }
    }

    /// Until there is nobody to stream to.
    pub(crate) async fn wait(&self) {
        tokio::select! {
            () = self.chunks.closed() => {}
            () = self.drain.requested() => {}
        }
    }

    /// A last word to a client that may not be taking anything.
    pub(crate) async fn last_word(&self, chunk: Bytes) {
        // Whoever does not take it in time sees the stream end.
        let _ = self.chunks.send_timeout(Ok(chunk), LAST_WORD).await;
    }
}

/// What was sent, and how to send more.
#[derive(Debug)]
pub(crate) struct Outlet {
    chunks: mpsc::Sender<Chunk>,
    write_timeout: Duration,
    keep_alive: Duration,
    written: Instant,
}

impl Outlet {
    pub(crate) fn new(chunks: mpsc::Sender<Chunk>, write_timeout: Duration, keep_alive: Duration) -> Self {
        Self {
            chunks,
            write_timeout,
            keep_alive,
            written: Instant::now(),
        }
    }

    /// Waits for the client for as long as it may take.
    pub(crate) async fn send(&mut self, chunk: Bytes) -> Result<(), Gone> {
        let sent = self.chunks.send_timeout(Ok(chunk), self.write_timeout).await;
        self.written = Instant::now();
        sent.map_err(|_| Gone)
    }

    /// Until the client must hear something.
    pub(crate) async fn quiet(&self) {
        tokio::time::sleep_until(self.written + self.keep_alive).await;
    }

    /// Says that the stream is there, and how far it is.
    pub(crate) async fn alive(&mut self, place: Option<Place>) -> Result<(), Gone> {
        self.send(alive(place)).await
    }

    /// Says so only if it was quiet for long.
    pub(crate) async fn alive_if_quiet(&mut self, place: Option<Place>) -> Result<(), Gone> {
        if self.written.elapsed() < self.keep_alive {
            return Ok(());
        }
        self.alive(place).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_given_up() {
        let (chunks, mut taken) = mpsc::channel(1);
        let mut outlet = Outlet::new(chunks, Duration::from_secs(30), Duration::from_secs(15));
        assert_eq!(outlet.send("a".into()).await, Ok(()));
        let before = Instant::now();
        assert_eq!(outlet.send("b".into()).await, Err(Gone));
        assert_eq!(before.elapsed(), Duration::from_secs(30));
        assert_eq!(taken.recv().await, Some(Ok("a".into())));
        assert_eq!(outlet.send("c".into()).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_stream_says_that_it_is_there() {
        let (chunks, mut taken) = mpsc::channel(4);
        let mut outlet = Outlet::new(chunks, Duration::from_secs(30), Duration::from_secs(15));
        outlet.alive_if_quiet(None).await.unwrap();
        assert!(taken.try_recv().is_err());
        outlet.quiet().await;
        outlet.alive_if_quiet(None).await.unwrap();
        assert_eq!(taken.recv().await, Some(Ok(": keep-alive\n\n".into())));
    }
}
