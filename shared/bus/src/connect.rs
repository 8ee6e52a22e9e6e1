//! The connection: one per process, shared by everything in it, and restored by itself for as long as the process lives.
//!
//! Two things about it can only be learned from events and not from any call's result: that it was lost (a publish then
//! merely times out), and that the hub forbids something (it answers nobody; the client just hears about it). Both are
//! kept in a [`ConnectionState`] that anyone can watch, and every waiting call watches it, so that it ends at once
//! instead of at its timeout.

use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectOptions, Event, ServerAddr};
use muster_domain::time::Timestamp;
use muster_telemetry::mask;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

/// How long any one answer of the hub is waited for: JetStream's own default, long against an R3 commit (about 1 ms) and
/// short against a person's patience.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// A silent peer is noticed after two of these: a host that lost its network spools within 10 s.
const PING_INTERVAL: Duration = Duration::from_secs(5);
/// Longest pause between two attempts to connect.
pub(crate) const RETRY_PAUSE_MAX: Duration = Duration::from_secs(4);
/// Messages one subscription may hold unread. Flow control keeps readers far below it; requests beyond it are shed.
const SUBSCRIPTION_MESSAGES_MAX: usize = 16 * 1024;

/// Where the hub is and who we are to it.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `nats://host:port` or `tls://host:port`; several, separated by commas, for a cluster.
    pub url: String,
    /// Shown in the hub's monitoring: `service/instance`.
    pub name: String,
    /// A `.creds` file, or a file that holds an NKey seed.
    pub credentials: Option<PathBuf>,
    /// Certificates to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Prefix of the inbox this identity may subscribe to; the hub's default where none is given.
    pub inbox_prefix: Option<String>,
}

impl Options {
    /// Options without credentials.
    pub fn new(url: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            name: name.into(),
            ..Self::default()
        }
    }

    /// The address without the user and the password that it may hold.
    pub fn shown_url(&self) -> String {
        mask::addresses(&self.url).into_owned()
    }
}

/// Why there is no connection. Addresses are shown without what they hold of secrets.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The credentials file cannot be used.
    #[error("cannot read credentials from {path:?}: {source}; expected a .creds file or an NKey seed")]
    Credentials {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: std::io::Error,
    },
    /// The certificates to trust cannot be used.
    #[error("cannot read certificates from {path:?}: {source}; expected a PEM file")]
    Certificates {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: std::io::Error,
    },
    /// No address.
    #[error("{url:?} is no address: {source}; expected nats://host:port")]
    Address {
        /// What was given.
        url: String,
        /// What is wrong with it.
        source: std::io::Error,
    },
    /// The hub cannot be reached, or refused us.
    #[error("cannot connect to {url}: {source}; is nats-server running there?")]
    Unreachable {
        /// Where it was expected.
        url: String,
        /// What went wrong.
        source: async_nats::ConnectError,
    },
    /// The hub did not come in time.
    #[error("no hub at {url} within {within:?}: {why}")]
    Late {
        /// Where it was expected.
        url: String,
        /// How long it was waited for.
        within: Duration,
        /// What was in the way last.
        why: String,
    },
}

impl ConnectError {
    /// Whether what was asked for cannot work: trying again does not help.
    pub const fn is_misconfigured(&self) -> bool {
        match self {
            Self::Credentials { .. } | Self::Certificates { .. } | Self::Address { .. } => true,
            Self::Unreachable { .. } | Self::Late { .. } => false,
        }
    }
}

/// What is known about the connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectionState {
    /// Whether it stands.
    pub connected: bool,
    /// Whether it ever stood.
    pub ever_connected: bool,
    /// How often it was lost.
    pub losses: u64,
    /// The last thing the hub or the client complained about, in its own words. A forbidden publish or subscription shows
    /// here and nowhere else.
    pub last_error: Option<Arc<str>>,
    /// How many complaints there were.
    pub errors: u64,
}

/// A position in time and sequence of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamState {
    /// When the stream was created: with its name, its identity.
    pub created: Timestamp,
    /// The oldest sequence kept; one more than `last_seq` in an empty stream.
    pub first_seq: u64,
    /// The newest sequence; 0 in a stream that never held anything.
    pub last_seq: u64,
}

/// The hub. Cheap to clone; clones share one connection.
#[derive(Clone)]
pub struct Bus {
    pub(crate) client: Client,
    pub(crate) context: Context,
    pub(crate) state: watch::Receiver<ConnectionState>,
    /// Work that outlives its caller: handing back deliveries that were dropped.
    pub(crate) tracker: TaskTracker,
}

impl std::fmt::Debug for Bus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bus")
            .field("state", &*self.state.borrow())
            .finish_non_exhaustive()
    }
}

impl Bus {
    /// Connects, and fails when that is not possible now.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect(options: &Options) -> Result<Self, ConnectError> {
        Self::with(options, false).await
    }

    /// Returns at once and goes on trying, for a service that can work while the hub is away.
    ///
    /// # Errors
    /// Those that are [`ConnectError::is_misconfigured`].
    pub async fn connect_lazy(options: &Options) -> Result<Self, ConnectError> {
        Self::with(options, true).await
    }

    /// Connects, and gives a hub that starts beside the caller so long to come.
    ///
    /// # Errors
    /// [`ConnectError::Late`], and those of [`Bus::connect_lazy`].
    pub async fn connect_within(options: &Options, within: Duration) -> Result<Self, ConnectError> {
        let bus = Self::with(options, true).await?;
        let mut state = bus.state();
        if tokio::time::timeout(within, state.wait_for(|state| state.connected))
            .await
            .is_ok()
        {
            return Ok(bus);
        }
        let why = bus
            .state
            .borrow()
            .last_error
            .as_deref()
            .unwrap_or("it does not answer")
            .to_owned();
        Err(ConnectError::Late {
            url: options.shown_url(),
            within,
            why,
        })
    }

    async fn with(options: &Options, lazy: bool) -> Result<Self, ConnectError> {
        let (record, state) = watch::channel(ConnectionState::default());
        let record = Arc::new(record);
        let mut connect = ConnectOptions::new()
            .name(&options.name)
            .ping_interval(PING_INTERVAL)
            .connection_timeout(ANSWER_WITHIN)
            .request_timeout(Some(ANSWER_WITHIN))
            .subscription_capacity(SUBSCRIPTION_MESSAGES_MAX)
            .reconnect_delay_callback(retry_pause)
            .event_callback(move |event| {
                note(&record, event);
                std::future::ready(())
            });
        if let Some(path) = &options.credentials {
            connect = authenticate(connect, path)?;
        }
        if let Some(path) = &options.ca_file {
            // Read by the client only when it connects, which may be never: then nobody would hear of it.
            std::fs::read(path).map_err(|source| ConnectError::Certificates {
                path: path.clone(),
                source,
            })?;
            connect = connect.add_root_certificates(path.clone());
        }
        if let Some(prefix) = &options.inbox_prefix {
            connect = connect.custom_inbox_prefix(prefix);
        }
        if lazy {
            connect = connect.retry_on_initial_connect();
        }
        let servers: Vec<ServerAddr> = options
            .url
            .split(',')
            .map(|server| server.trim().parse())
            .collect::<Result<_, _>>()
            .map_err(|source| ConnectError::Address {
                url: options.shown_url(),
                source,
            })?;
        // The client reads a user out of an address and then forgets it.
        if let Some((user, password)) = servers
            .iter()
            .find_map(|server| server.username().zip(server.password()))
        {
            connect = connect.user_and_password(user.to_owned(), password.to_owned());
        }
        let servers = servers.into_iter().map(nameless).collect::<Vec<_>>();
        let client = connect
            .connect(servers)
            .await
            .map_err(|source| ConnectError::Unreachable {
                url: options.shown_url(),
                source,
            })?;
        let context = jetstream::ContextBuilder::new()
            .timeout(ANSWER_WITHIN)
            .build(client.clone());
        if !lazy {
            // The event comes over a channel of the client's; a caller that was told "connected" must see it so.
            let mut seen = state.clone();
            let _ = tokio::time::timeout(ANSWER_WITHIN, seen.wait_for(|s| s.ever_connected)).await;
        }
        Ok(Self {
            client,
            context,
            state,
            tracker: TaskTracker::new(),
        })
    }

    /// The connection's state, to look at or to wait on.
    pub fn state(&self) -> watch::Receiver<ConnectionState> {
        self.state.clone()
    }

    /// Whether the connection stands.
    pub fn is_connected(&self) -> bool {
        self.state.borrow().connected
    }

    /// Hands back what is held, writes out what is queued, and closes. Every clone is of no use afterwards.
    pub async fn drain(&self) {
        self.tracker.close();
        let finish = async {
            self.tracker.wait().await;
            if self.is_connected() {
                // A drain alone returns before anything is written.
                let _ = self.client.flush().await;
                let _ = self.client.drain().await;
                let mut state = self.state.clone();
                let _ = state.wait_for(|state| !state.connected).await;
            }
        };
        if tokio::time::timeout(ANSWER_WITHIN, finish).await.is_err() {
            tracing::warn!("the connection to the hub did not close in time");
        }
    }
}

/// The address without its user and password, which the client would print wherever it logs where it connects.
fn nameless(server: ServerAddr) -> ServerAddr {
    let mut url = server.clone().into_inner();
    // Fails only for addresses that can have neither.
    let _ = (url.set_username(""), url.set_password(None));
    ServerAddr::from_url(url).unwrap_or(server)
}

fn authenticate(connect: ConnectOptions, path: &Path) -> Result<ConnectOptions, ConnectError> {
    let failed = |source| ConnectError::Credentials {
        path: path.to_owned(),
        source,
    };
    let text = std::fs::read_to_string(path).map_err(failed)?;
    if text.contains("-----BEGIN") {
        return connect.credentials(&text).map_err(failed);
    }
    let seed = text.trim();
    if !seed.starts_with("SU") {
        return Err(failed(std::io::ErrorKind::InvalidData.into()));
    }
    Ok(connect.nkey(seed.to_owned()))
}

/// Half to whole of a pause that doubles up to [`RETRY_PAUSE_MAX`]: a fleet that lost its hub must not come back in step.
pub(crate) fn retry_pause(attempt: usize) -> Duration {
    let doubled = Duration::from_millis(50).saturating_mul(1 << attempt.min(8));
    doubled.min(RETRY_PAUSE_MAX).mul_f64(rand::random_range(0.5..1.0))
}

fn note(record: &watch::Sender<ConnectionState>, event: Event) {
    match event {
        Event::Connected => {
            tracing::info!("connected to the hub");
            record.send_modify(|state| {
                state.connected = true;
                state.ever_connected = true;
            });
        }
        Event::Disconnected | Event::Closed => {
            // Closing is our own doing: a drain, or the last handle dropped.
            if matches!(event, Event::Closed) {
                tracing::debug!("closed the connection to the hub");
            } else {
                tracing::warn!("connection to the hub lost");
            }
            record.send_modify(|state| {
                state.losses += u64::from(state.connected);
                state.connected = false;
            });
        }
        Event::LameDuckMode | Event::Draining => tracing::info!(%event, "hub connection"),
        Event::SlowConsumer(_) | Event::ServerError(_) | Event::ClientError(_) => {
            let text = event.to_string();
            tracing::warn!(error = %text, "the hub complains");
            record.send_modify(|state| {
                state.last_error = Some(text.into());
                state.errors += 1;
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_between_attempts_grow_to_their_limit_and_differ() {
        for attempt in 0..100 {
            let pause = retry_pause(attempt);
            assert!(
                pause >= Duration::from_millis(25) && pause <= RETRY_PAUSE_MAX,
                "{pause:?}"
            );
        }
        assert!(retry_pause(usize::MAX) >= RETRY_PAUSE_MAX / 2);
        let some: std::collections::BTreeSet<_> = (0..20).map(|_| retry_pause(9)).collect();
        assert!(some.len() > 10);
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_is_a_wrong_setting_and_no_missing_hub() {
        let nowhere = Some(PathBuf::from("/nowhere/at/all"));
        let here = Options::new("nats://127.0.0.1:1", "test");
        for options in [
            Options {
                credentials: nowhere.clone(),
                ..here.clone()
            },
            Options {
                ca_file: nowhere,
                ..here.clone()
            },
        ] {
            let error = Bus::connect_lazy(&options).await.unwrap_err();
            assert!(
                error.is_misconfigured() && error.to_string().contains("/nowhere/at/all"),
                "{error}"
            );
        }
        assert!(!Bus::connect(&here).await.unwrap_err().is_misconfigured());
    }

    #[tokio::test]
    async fn no_error_shows_a_password() {
        for url in [
            "nats://a:pa55@127.0.0.1:1",
            "nats://a:pa55@127.0.0.1:x",
            "a:pa55@[",
            "nats://a:pa55/@h",
        ] {
            let options = Options::new(url, "test");
            let within = Bus::connect_within(&options, Duration::from_millis(50))
                .await
                .unwrap_err();
            let now = Bus::connect(&options).await.unwrap_err();
            for error in [within, now] {
                let text = format!("{error} {error:?}");
                assert!(text.contains("***") && !text.contains("pa55"), "{text}");
            }
        }
        let server: ServerAddr = "nats://a:pa55@127.0.0.1:1".parse().unwrap();
        assert_eq!(nameless(server).as_url_str(), "nats://127.0.0.1:1");
    }

    #[test]
    fn a_loss_is_counted_once() {
        let (record, state) = watch::channel(ConnectionState::default());
        for event in [
            Event::Connected,
            Event::Disconnected,
            Event::Disconnected,
            Event::Connected,
        ] {
            note(&record, event);
        }
        assert_eq!(state.borrow().losses, 1);
        assert!(state.borrow().connected);
    }
}
