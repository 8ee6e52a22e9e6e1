//! Facts from the server's monitoring port.
//!
//! One GET to a loopback port, answered in full and closed: HTTP/1.0 by hand, where a client library would be the
//! larger half of this crate.

use std::io;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A loopback answer takes a millisecond; a stopped server takes for ever.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether the server syncs to disk before it acknowledges.
///
/// # Errors
/// When the monitoring port does not answer, or answers something else.
pub async fn sync_always(monitor_url: &str) -> Result<bool, MonitorError> {
    let jsz = get_json(monitor_url, "/jsz?config=1").await?;
    let config = jsz.get("config").ok_or(MonitorError::NoJetStream)?;
    // The server leaves the key out when it is false.
    Ok(config.get("sync_always").and_then(Value::as_bool).unwrap_or(false))
}

/// The document at `path` of the monitoring port, for example `/varz`.
///
/// # Errors
/// As [`sync_always`]; a status other than 200 is [`MonitorError::Status`].
pub async fn get_json(monitor_url: &str, path: &str) -> Result<Value, MonitorError> {
    let authority = monitor_url
        .strip_prefix("http://")
        .unwrap_or(monitor_url)
        .trim_end_matches('/');
    let response = timeout(PATIENCE, get(authority, path))
        .await
        .map_err(|_elapsed| MonitorError::Silent { waited: PATIENCE })?
        .map_err(MonitorError::Io)?;
    let text = String::from_utf8_lossy(&response);
    let (head, body) = text.split_once("\r\n\r\n").ok_or(MonitorError::NotHttp)?;
    match head.split(' ').nth(1) {
        Some("200") => serde_json::from_str(body).map_err(MonitorError::NotJson),
        Some(status) => Err(MonitorError::Status {
            status: status.to_owned(),
            body: body.trim().to_owned(),
        }),
        None => Err(MonitorError::NotHttp),
    }
}

async fn get(authority: &str, path: &str) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(authority).await?;
    stream
        .write_all(format!("GET {path} HTTP/1.0\r\nHost: {authority}\r\n\r\n").as_bytes())
        .await?;
    let mut response = Vec::new();
    stream.read_to_end(&mut response).await?;
    Ok(response)
}

/// Why the monitoring port told nothing.
#[derive(Debug, thiserror::Error)]
pub enum MonitorError {
    /// It cannot be reached.
    #[error("the monitoring port of nats-server cannot be reached; is `http` set in its configuration?")]
    Io(#[source] io::Error),
    /// It accepted and then said nothing.
    #[error("the monitoring port of nats-server did not answer within {waited:?}")]
    Silent {
        /// How long it was waited for.
        waited: Duration,
    },
    /// Something else listens there.
    #[error("what listens on the monitoring port of nats-server does not speak HTTP")]
    NotHttp,
    /// It answered with an error.
    #[error("the monitoring port of nats-server answered {status}: {body}")]
    Status {
        /// Status code.
        status: String,
        /// Body of the answer.
        body: String,
    },
    /// It answered with something else.
    #[error("the answer of the monitoring port is not JSON")]
    NotJson(#[source] serde_json::Error),
    /// The server runs without JetStream.
    #[error("nats-server runs without JetStream; start it with -js")]
    NoJetStream,
}
