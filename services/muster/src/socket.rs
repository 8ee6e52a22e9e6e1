//! A client of ingest's Unix socket.

use muster_runtime::paths::Dirs;
use muster_wire::frame::{self, ClientFrame, FrameError, HEADER_BYTES, Hello, HelloReply, ServerFrame, TooLarge};
use muster_wire::limits::{PROTOCOL_MAX, PROTOCOL_MIN};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

/// How long one answer may take. Ingest answers once its disk has what was sent.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why nothing can be told to ingest.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SocketError {
    #[error("nobody answers at {path}; is ingest, or `muster up`, running?", path = path.display())]
    Absent { path: PathBuf, source: io::Error },
    #[error("the connection to ingest broke")]
    Broken(#[from] io::Error),
    #[error("ingest did not answer within {0:?}")]
    Silent(Duration),
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    #[error("ingest answered something else: {0}")]
    Frame(#[from] FrameError),
    #[error("{} ({})", .0.detail, .0.code)]
    Refused(frame::Error),
    #[error("ingest answered something else")]
    Unexpected,
}

/// A connection after its hello.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: UnixStream,
    pub(crate) hello: HelloReply,
}

/// Where ingest listens: where the installed hook looks too.
pub(crate) fn path() -> Option<PathBuf> {
    let named = std::env::var_os("MUSTER_SOCKET")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from);
    named.or_else(|| Dirs::from_env().ok().map(|dirs| dirs.runtime.join("ingest.sock")))
}

impl Connection {
    /// Connects as a client of this name.
    pub(crate) async fn open(path: &Path, client: &str) -> Result<Self, SocketError> {
        let absent = |source| SocketError::Absent {
            path: path.to_owned(),
            source,
        };
        let mut stream = timeout(PATIENCE, UnixStream::connect(path))
            .await
            .map_err(|_| SocketError::Silent(PATIENCE))?
            .map_err(absent)?;
        let hello = Hello {
            proto_min: PROTOCOL_MIN,
            proto_max: PROTOCOL_MAX,
            client: client.to_owned(),
            token: token(),
        };
        let ServerFrame::Hello(hello) = exchange(&mut stream, &ClientFrame::Hello(hello), PATIENCE).await? else {
            return Err(SocketError::Unexpected);
        };
        Ok(Self { stream, hello })
    }

    /// Sends a frame and reads the one that answers it. After an error the connection is of no use any more.
    pub(crate) async fn ask(&mut self, frame: &ClientFrame) -> Result<ServerFrame, SocketError> {
        exchange(&mut self.stream, frame, PATIENCE).await
    }

    /// The answer to come after one that said that it will.
    pub(crate) async fn later(&mut self, patience: Duration) -> Result<ServerFrame, SocketError> {
        timeout(patience, read(&mut self.stream))
            .await
            .map_err(|_| SocketError::Silent(patience))?
    }
}

/// The half of a connection that listens, once both sides say something whenever they like.
#[derive(Debug)]
pub(crate) struct Listening {
    stream: OwnedReadHalf,
    heard: Vec<u8>,
}

/// The half of a connection that says something.
#[derive(Debug)]
pub(crate) struct Saying(OwnedWriteHalf);

impl Connection {
    /// Takes the connection apart.
    pub(crate) fn split(self) -> (Listening, Saying) {
        let (stream, saying) = self.stream.into_split();
        let heard = Vec::new();
        (Listening { stream, heard }, Saying(saying))
    }
}

impl Listening {
    /// The next frame. May be given up at any time: what was heard of it stays.
    pub(crate) async fn next(&mut self) -> Result<ServerFrame, SocketError> {
        loop {
            if let Some((header, rest)) = self.heard.split_first_chunk() {
                let length = frame::length(*header)?;
                if rest.len() >= length {
                    let frame = ServerFrame::read(&rest[..length]);
                    self.heard.drain(..HEADER_BYTES + length);
                    return Ok(frame?);
                }
            }
            if self.stream.read_buf(&mut self.heard).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
    }
}

impl Saying {
    /// Says a frame.
    pub(crate) async fn say(&mut self, frame: &ClientFrame) -> Result<(), SocketError> {
        timeout(PATIENCE, self.0.write_all(&framed(frame)?))
            .await
            .map_err(|_| SocketError::Silent(PATIENCE))?
            .map_err(SocketError::Broken)
    }
}

fn framed(frame: &ClientFrame) -> Result<Vec<u8>, SocketError> {
    let body = serde_json::to_vec(frame).map_err(FrameError::from)?;
    let header = frame::header(body.len())?;
    Ok([&header[..], &body].concat())
}

async fn exchange(
    stream: &mut UnixStream,
    frame: &ClientFrame,
    patience: Duration,
) -> Result<ServerFrame, SocketError> {
    let exchange = async {
        stream.write_all(&framed(frame)?).await?;
        read(stream).await
    };
    timeout(patience, exchange)
        .await
        .map_err(|_| SocketError::Silent(patience))?
}

/// The next frame.
async fn read(stream: &mut UnixStream) -> Result<ServerFrame, SocketError> {
    let mut header = [0; HEADER_BYTES];
    stream.read_exact(&mut header).await?;
    let mut answer = vec![0; frame::length(header)?];
    stream.read_exact(&mut answer).await?;
    let answer = ServerFrame::read(&answer)?;
    if let ServerFrame::Error(error) = answer {
        return Err(SocketError::Refused(error));
    }
    Ok(answer)
}

/// The token, where one is configured.
fn token() -> Option<String> {
    let file = std::env::var_os("MUSTER_TOKEN_FILE").filter(|path| !path.is_empty())?;
    std::fs::read_to_string(file).ok().map(|token| token.trim().to_owned())
}
