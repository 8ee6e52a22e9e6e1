//! One connection: what it may say, in which order, and how long it may take.

use crate::approvals::{Dialog, Ended, Held, Leaving, Offer, Wait};
use crate::budget::Budget;
use crate::effects::Effects;
use crate::hooks::{Answered, Hooks, Taken};
use crate::http::ack;
use crate::peer::Peer;
use crate::reject::Reject;
use crate::trace::{self, Reporting};
use crate::translate::{self, Circumstances, Count, EVENTS_MAX};
use crate::watch::Here;
use bytes::Bytes;
use muster_bus::Bus;
use muster_wire::data::hook::ProcessId;
use muster_wire::frame::{
    self, ClientFrame, Forwarded, FrameError, Hello, HelloReply, HookAnswer, IngestEvents, IngestHook, Reply,
    ServerFrame, Status,
};
use muster_wire::limits::{PROTOCOL_MAX, PROTOCOL_MIN};
use muster_wire::subject::{Caller, Operation, Request};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::io;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long the orchestrator's answer is waited for.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// A frame up to this is read in less time than another thread takes to be woken for it.
const READ_INLINE_BYTES_MAX: usize = 64 * 1024;

/// What every connection is served with.
pub(crate) struct Desk {
    pub(crate) hooks: Hooks,
    pub(crate) effects: Effects,
    pub(crate) budget: Budget,
    pub(crate) bus: Bus,
    pub(crate) here: Here,
    pub(crate) started: Instant,
    pub(crate) idle_timeout: Duration,
    pub(crate) read_timeout: Duration,
}

/// A frame, and its place in the budget.
pub(super) struct Frame {
    bytes: Vec<u8>,
    _room: Option<OwnedSemaphorePermit>,
}

/// Why a frame is no request.
pub(super) enum Unread {
    Frame(FrameError),
    Rejected(Reject),
}

/// What a frame says before anything in it is kept.
#[derive(Deserialize)]
struct Announced<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(default)]
    events: Count,
}

impl Frame {
    /// Reads what it asks for, and hands back its place in the budget. A long one is read beside the runtime, where it
    /// keeps no other connection waiting.
    pub(super) async fn read(self) -> io::Result<(Result<ClientFrame, Unread>, Option<OwnedSemaphorePermit>)> {
        let Self { bytes, _room: room } = self;
        let asked = if bytes.len() > READ_INLINE_BYTES_MAX {
            tokio::task::spawn_blocking(move || read(&bytes)).await?
        } else {
            read(&bytes)
        };
        Ok((asked, room))
    }
}

fn read(bytes: &[u8]) -> Result<ClientFrame, Unread> {
    let Announced { kind, events } =
        serde_json::from_slice(bytes).map_err(|error| Unread::Frame(FrameError::Malformed(error)))?;
    if kind == "ingest_events" && events.0 > EVENTS_MAX {
        return Err(Unread::Rejected(Reject::TooMany(events.0)));
    }
    ClientFrame::read(bytes).map_err(Unread::Frame)
}

/// Why no further frame is read.
pub(super) enum End {
    /// The client went, or took too long.
    Gone,
    /// It announced more than a frame may hold.
    TooLarge(frame::TooLarge),
    /// There was no room in time.
    Busy(Reject),
}

pub(super) struct Connection<'a> {
    pub(super) desk: &'a Desk,
    pub(super) stream: BufReader<UnixStream>,
    pub(super) peer: Option<Peer>,
    pub(super) stop: &'a CancellationToken,
}

impl Desk {
    const fn reporting(&self, by: Option<Peer>) -> Reporting<'_> {
        Reporting {
            intake: &self.hooks.intake,
            effects: &self.effects,
            by,
        }
    }

    /// Serves one connection to its end.
    pub(super) async fn serve(&self, stream: UnixStream, stop: CancellationToken) -> io::Result<()> {
        let mut connection = Connection {
            desk: self,
            peer: Peer::of(&stream),
            stream: BufReader::new(stream),
            stop: &stop,
        };
        let mut greeted = false;
        loop {
            let patience = if greeted { self.idle_timeout } else { self.read_timeout };
            let read = tokio::select! {
                biased;
                read = connection.frame(patience) => read,
                // Between requests only: a hook that connects again finds the next ingest.
                () = stop.cancelled() => return Ok(()),
            };
            let frame = match read {
                Ok(frame) => frame,
                Err(end) => return connection.end(end).await,
            };
            let (asked, room) = frame.read().await?;
            match asked {
                Ok(ClientFrame::Hello(hello)) => greeted = connection.hello(&hello).await?,
                Ok(_) if !greeted => {
                    connection
                        .error("hello-required", "say hello before anything else")
                        .await?;
                }
                Ok(request) => {
                    if !connection.answer(request, room).await? {
                        return Ok(());
                    }
                    continue;
                }
                Err(unread) => {
                    match unread {
                        Unread::Frame(error @ FrameError::Malformed(_)) => {
                            connection.error("broken-frame", &error.to_string()).await?;
                        }
                        Unread::Frame(error @ FrameError::UnknownType(_)) => {
                            connection.error("unknown-type", &error.to_string()).await?;
                        }
                        Unread::Rejected(reject) => {
                            self.hooks.intake.refused(&reject, &[]).await;
                            connection.refuse(&reject).await?;
                        }
                    }
                    if greeted {
                        continue;
                    }
                }
            }
            if !greeted {
                return Ok(());
            }
        }
    }
}

impl Connection<'_> {
    /// The next frame. Its length alone reserves no memory.
    pub(super) async fn frame(&mut self, patience: Duration) -> Result<Frame, End> {
        let mut header = [0; frame::HEADER_BYTES];
        timeout(patience, self.stream.read_exact(&mut header))
            .await
            .map_err(|_| End::Gone)?
            .map_err(|_| End::Gone)?;
        let length = frame::length(header).map_err(End::TooLarge)?;
        let room = self.desk.budget.take(length).await.map_err(End::Busy)?;
        let mut bytes = Vec::new();
        let mut body = (&mut self.stream).take(length as u64);
        let read = timeout(self.desk.read_timeout, body.read_to_end(&mut bytes)).await;
        match read {
            Ok(Ok(count)) if count == length => Ok(Frame { bytes, _room: room }),
            Ok(_) | Err(_) => Err(End::Gone),
        }
    }

    pub(super) async fn end(&mut self, end: End) -> io::Result<()> {
        match end {
            End::Gone => Ok(()),
            End::TooLarge(error) => self.error("too-large", &error.to_string()).await,
            End::Busy(reject) => self.refuse(&reject).await,
        }
    }

    async fn hello(&mut self, hello: &Hello) -> io::Result<bool> {
        let proto = hello.proto_max.min(PROTOCOL_MAX);
        if proto < hello.proto_min.max(PROTOCOL_MIN) {
            let detail = format!("versions {}–{} are not spoken here", hello.proto_min, hello.proto_max);
            self.error("unsupported-version", &detail).await?;
            return Ok(false);
        }
        let reply = HelloReply {
            proto,
            proto_min: PROTOCOL_MIN,
            proto_max: PROTOCOL_MAX,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            host: self.desk.hooks.intake.host().to_string(),
        };
        self.send(&ServerFrame::Hello(reply)).await?;
        Ok(true)
    }

    /// Answers one request; false when the connection is over.
    async fn answer(&mut self, request: ClientFrame, room: Option<OwnedSemaphorePermit>) -> io::Result<bool> {
        match request {
            ClientFrame::Hello(_) => self.error("unexpected", "hello was said already").await?,
            ClientFrame::Status => {
                let status = self.status();
                self.send(&ServerFrame::Status(status)).await?;
            }
            ClientFrame::IngestHook(hook) => return self.hook(*hook, room).await,
            ClientFrame::IngestEvents(IngestEvents { events }) => {
                let texts: Vec<&str> = events.iter().map(|event| event.get()).collect();
                let span = trace::request(None, texts.len());
                let results = trace::accept_texts(&self.desk.reporting(self.peer), &span, &texts).await;
                self.send(&ServerFrame::Ack(ack(&results))).await?;
            }
            ClientFrame::ListSessions(request) => self.forward(Operation::SessionsList, request).await?,
            ClientFrame::GetSessionDetail(request) => self.forward(Operation::SessionsDetail, request).await?,
            ClientFrame::Carry(carry) => return self.carry(carry).await,
            ClientFrame::Receipt(_) => self.error("unexpected", "carry comes before receipts").await?,
        }
        Ok(true)
    }

    async fn hook(&mut self, mut hook: IngestHook, room: Option<OwnedSemaphorePermit>) -> io::Result<bool> {
        let inline = hook.payload.take();
        let body = if hook.payload_follows {
            match self.frame(self.desk.read_timeout).await {
                Ok(frame) => frame,
                Err(end) => return self.end(end).await.map(|()| false),
            }
        } else {
            let bytes = inline.map_or_else(Vec::new, |raw| raw.get().as_bytes().to_vec());
            Frame { bytes, _room: room }
        };
        let follows = hook.payload_follows;
        let offer = offer(&mut hook);
        let (agent, truncated) = (hook.agent.clone(), hook.truncated);
        let around = self.circumstances(hook);
        let hint = around.hint.clone();
        let read = if truncated {
            Err(Reject::Truncated)
        } else {
            translate::hook(&agent, &body.bytes, around)
        };
        let hooks = &self.desk.hooks;
        let result = match read {
            Ok(observation) => hooks.take(observation, offer).await,
            Err(reject) => match hooks.refused(&agent, hint.as_deref(), &reject, &body.bytes).await {
                Some(answered) => Ok(Taken::Answered(answered)),
                None => Err(reject),
            },
        };
        // Its room is for others while it is held.
        drop(body);
        match result {
            Ok(Taken::Answered(answered)) => self.tell(answered, follows).await?,
            Ok(Taken::Held(held)) => return self.held(*held, follows).await,
            Err(reject) => self.refuse(&reject).await?,
        }
        Ok(true)
    }

    async fn tell(&mut self, answered: Answered, follows: bool) -> io::Result<()> {
        let text = answered.body.map(|body| body.to_string());
        let inline = text.clone().filter(|_| !follows).map(RawValue::from_string);
        let answer = HookAnswer {
            event_id: answered.event,
            exit_code: 0,
            answer: inline.transpose()?,
        };
        self.queue(&ServerFrame::HookAnswer(answer)).await?;
        if follows {
            self.queue_raw(text.unwrap_or_default().as_bytes()).await?;
        }
        self.flush().await
    }

    /// Waits for the answer; false when the connection is over, because there is nobody to answer or because the hook shall
    /// ask the next ingest.
    async fn held(&mut self, held: Held, follows: bool) -> io::Result<bool> {
        let hold = frame::Hold {
            event_id: held.event(),
            wait_ms: held.wait_ms(),
            alone_ms: held.alone_ms(),
        };
        // Whoever cannot be told is gone, which the wait finds out.
        let _ = self.send(&ServerFrame::Hold(hold)).await;
        let (stream, stop) = (&mut self.stream, self.stop);
        let leaving = async {
            tokio::select! {
                () = stop.cancelled() => Leaving::Draining,
                () = gone(stream) => Leaving::Gone,
            }
        };
        match self.desk.hooks.approvals.wait(held, leaving).await {
            Ended::Told(body) => {
                let event = Some(hold.event_id);
                self.tell(Answered { event, body }, follows).await.map(|()| true)
            }
            Ended::Left(_) => Ok(false),
        }
    }

    fn circumstances(&self, hook: IngestHook) -> Circumstances {
        let ours = self.desk.here.shares(hook.boot_id.as_deref(), hook.pid_ns.as_deref());
        // Only an agent that names its own pid is known by it; any other parent of a hook may be a passing shell.
        let named = hook.env.get("CLAUDE_PID").and_then(|pid| pid.parse().ok()) == hook.pid && hook.pid.is_some();
        let process = hook.pid.zip(hook.pid_start).filter(|_| ours && named);
        Circumstances {
            hint: hook.event_hint,
            key: hook.key,
            env: hook.env,
            process: process.map(|(pid, start_ticks)| ProcessId { pid, start_ticks }),
            traceparent: None,
        }
    }

    fn status(&self) -> Status {
        use crate::spool::Lane;
        let spool = self.desk.hooks.intake.spool();
        let owed = |lane| spool.last_seq(lane).saturating_sub(spool.acked(lane));
        let hub = self.desk.bus.state().borrow().clone();
        Status {
            pid: std::process::id(),
            uptime_ms: u64::try_from(self.desk.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            queue_depth: owed(Lane::Events) + owed(Lane::Transcript),
            hub_connected: hub.connected,
            last_error: hub.last_error.map(|error| error.to_string()),
        }
    }

    async fn forward(&mut self, operation: Operation, request: Forwarded) -> io::Result<()> {
        let Ok(caller) = Caller::new(self.desk.hooks.intake.host().as_str()) else {
            return self.error("internal", "the host's name is no caller").await;
        };
        let body = request
            .request
            .map_or_else(|| Bytes::from_static(b"{}"), |raw| Bytes::from(raw.get().to_owned()));
        let asked = self
            .desk
            .bus
            .request(&Request { operation, caller }, body, ANSWER_WITHIN)
            .await;
        match asked.map(|body| serde_json::from_slice::<Box<RawValue>>(&body)) {
            Ok(Ok(body)) => self.send(&ServerFrame::Reply(Reply { body })).await,
            Ok(Err(error)) => self.error("broken-reply", &error.to_string()).await,
            Err(error) => self.error("orchestrator", &error.to_string()).await,
        }
    }

    async fn refuse(&mut self, reject: &Reject) -> io::Result<()> {
        self.error(reject.kind(), &reject.to_string()).await
    }

    pub(super) async fn error(&mut self, code: &str, detail: &str) -> io::Result<()> {
        let error = frame::Error {
            code: code.to_owned(),
            detail: detail.to_owned(),
            supported_min: PROTOCOL_MIN,
            supported_max: PROTOCOL_MAX,
        };
        self.send(&ServerFrame::Error(error)).await
    }

    pub(super) async fn send(&mut self, frame: &ServerFrame) -> io::Result<()> {
        self.queue(frame).await?;
        self.flush().await
    }

    async fn queue(&mut self, frame: &ServerFrame) -> io::Result<()> {
        let body = serde_json::to_vec(frame)?;
        self.queue_raw(&body).await
    }

    /// One write a frame; whoever does not read is not waited for.
    async fn queue_raw(&mut self, body: &[u8]) -> io::Result<()> {
        let header = frame::header(body.len()).map_err(io::Error::other)?;
        let bytes = [&header, body].concat();
        timeout(self.desk.read_timeout, self.stream.write_all(&bytes)).await?
    }

    async fn flush(&mut self) -> io::Result<()> {
        timeout(self.desk.read_timeout, self.stream.flush()).await?
    }
}

/// What a hook offers to wait, and where its agent keeps its files.
fn offer(hook: &mut IngestHook) -> Offer {
    Offer {
        wait: hook
            .wait_ms
            .map_or(Wait::Never, |ms| Wait::For(Duration::from_millis(ms))),
        config_dir: Dialog::config_dir(hook.env.remove("CLAUDE_CONFIG_DIR"), hook.env.remove("HOME")),
    }
}

/// Ends when nobody is at the other end any more. Whoever goes on talking while it is held is there.
async fn gone(stream: &mut BufReader<UnixStream>) {
    if matches!(stream.fill_buf().await, Ok(bytes) if !bytes.is_empty()) {
        std::future::pending().await
    }
}
