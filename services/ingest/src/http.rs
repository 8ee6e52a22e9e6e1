//! The HTTP surface: hooks of agents that cannot run a command, and events of programs that report for others.

use crate::approvals::{Ended, Held, Leaving, Offer, Wait};
use crate::budget::Budget;
use crate::effects::Effects;
use crate::hooks::{Answered, Hooks, Taken};
use crate::reject::Reject;
use crate::trace::{self, Reporting};
use crate::translate::{self, Circumstances};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use muster_runtime::http::{Config, Problem, content_type, read_body};
use muster_wire::frame;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The id of the event that a hook became.
const EVENT_ID: HeaderName = HeaderName::from_static("muster-event-id");
/// Names a request, so that it can be repeated.
const KEY: &str = "idempotency-key";
const JSON: &str = "application/json";
const LINES: &[&str] = &["application/x-ndjson", "application/ndjson", "application/jsonl"];

/// What the handlers need.
#[derive(Clone)]
pub(crate) struct Surface {
    pub(crate) hooks: Hooks,
    pub(crate) effects: Effects,
    pub(crate) budget: Budget,
    pub(crate) config: Config,
    pub(crate) tracker: TaskTracker,
    pub(crate) stop: CancellationToken,
}

#[derive(Deserialize)]
struct Named {
    /// The hook's name, for agents whose payload lacks it.
    event: Option<String>,
    /// For how many seconds its caller waits for an answer at most; 0 for not at all.
    wait: Option<u64>,
}

/// The routes.
pub(crate) fn router(surface: Surface) -> Router {
    Router::new()
        .route("/v1/hooks/{agent}", post(hook))
        .route("/v1/events", post(events))
        .with_state(surface)
}

async fn hook(
    State(surface): State<Surface>,
    Path(agent): Path<String>,
    Query(named): Query<Named>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    content_type(&headers, &[JSON])?;
    let named_itself = headers.contains_key(KEY);
    let offer = Offer {
        wait: match named.wait {
            None => Wait::Unsaid,
            Some(0) => Wait::Never,
            Some(seconds) => Wait::For(Duration::from_secs(seconds)),
        },
        config_dir: None,
    };
    let around = Circumstances {
        hint: named.event,
        key: text(&headers, KEY),
        traceparent: text(&headers, "traceparent"),
        ..Circumstances::default()
    };
    let body = surface.read(&headers, body).await?;
    let hint = around.hint.clone();
    let observation = match translate::hook(&agent, &body.bytes, around) {
        Ok(observation) => observation,
        Err(reject) => {
            let answered = surface
                .hooks
                .refused(&agent, hint.as_deref(), &reject, &body.bytes)
                .await;
            return answered.map(printed).ok_or_else(|| reject.problem());
        }
    };
    // Its room is for others while it is held.
    drop(body);
    let taken = surface.hooks.take(observation, offer).await;
    match taken.map_err(|reject| reject.problem())? {
        Taken::Answered(answered) => Ok(printed(answered)),
        Taken::Held(held) => surface.held(*held, named_itself).await,
    }
}

fn printed(answered: Answered) -> Response {
    // An empty answer leaves every decision to the agent.
    let mut response = answered.body.map_or_else(
        || StatusCode::OK.into_response(),
        |body| axum::Json(body).into_response(),
    );
    let id = answered.event.map(|id| HeaderValue::from_str(&id.to_string()));
    if let Some(Ok(id)) = id {
        response.headers_mut().insert(EVENT_ID, id);
    }
    response
}

async fn events(State(surface): State<Surface>, headers: HeaderMap, body: Body) -> Result<Response, Problem> {
    let kinds: Vec<&'static str> = std::iter::once(JSON).chain(LINES.iter().copied()).collect();
    let lines = content_type(&headers, &kinds)? != JSON;
    let body = surface.read(&headers, body).await?;
    let items = match translate::items(&body.bytes, lines) {
        Ok(items) => items,
        Err(reject) => {
            surface.hooks.intake.refused(&reject, &body.bytes).await;
            return Err(reject.problem());
        }
    };
    let single = items.single;
    let span = trace::request(text(&headers, "traceparent"), items.texts.len());
    let reporting = Reporting {
        intake: &surface.hooks.intake,
        effects: &surface.effects,
        by: None,
    };
    let results = trace::accept_texts(&reporting, &span, &items.texts).await;
    let worst = results
        .iter()
        .filter_map(|result| result.as_ref().err())
        .find(|reject| !reject.is_passing());
    if let Some(reject) = worst {
        surface.hooks.intake.park(reject, &body.bytes).await;
    }
    let first = results.first().and_then(|result| result.as_ref().err());
    let nothing_passed = !results.is_empty()
        && results
            .iter()
            .all(|result| result.as_ref().is_err_and(Reject::is_passing));
    match first {
        Some(reject) if single || nothing_passed => Err(reject.problem()),
        _ => Ok((StatusCode::ACCEPTED, axum::Json(ack(&results))).into_response()),
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// Each result in its place, as both surfaces answer it.
pub(crate) fn ack(results: &[Result<crate::recent::Accepted, Reject>]) -> frame::Ack {
    let mut ack = frame::Ack {
        accepted: Vec::new(),
        rejected: Vec::new(),
    };
    for (index, result) in results.iter().enumerate() {
        match result {
            Ok(accepted) => ack.accepted.push(frame::Accepted {
                id: accepted.id,
                seq: accepted.seq,
            }),
            Err(reject) => ack.rejected.push(frame::Rejected {
                index,
                kind: reject.kind().to_owned(),
                detail: reject.to_string(),
            }),
        }
    }
    ack
}

/// A body, and its place in the budget for as long as it is worked on.
struct Read {
    bytes: Bytes,
    _room: Option<tokio::sync::OwnedSemaphorePermit>,
}

impl Surface {
    /// Waits for the answer. The wait is a task of its own, because a request whose client goes is dropped where it stands.
    async fn held(&self, held: Held, named: bool) -> Result<Response, Problem> {
        let event = Some(held.event());
        let gone = CancellationToken::new();
        let _here = gone.clone().drop_guard();
        let (approvals, stop) = (Arc::clone(&self.hooks.approvals), self.stop.clone());
        let waiting = self.tracker.spawn(async move {
            let leaving = async {
                tokio::select! {
                    () = gone.cancelled() => Leaving::Gone,
                    // One that can be repeated under its name goes on at the next ingest; any other ends here.
                    () = stop.cancelled() => if named { Leaving::Draining } else { Leaving::Gone },
                }
            };
            approvals.wait(held, leaving).await
        });
        match waiting.await {
            Ok(Ended::Told(body)) => Ok(printed(Answered { event, body })),
            Ok(Ended::Left(Leaving::Draining)) => Err(Reject::Draining.problem()),
            Ok(Ended::Left(Leaving::Gone)) | Err(_) => Ok(printed(Answered { event, body: None })),
        }
    }

    async fn read(&self, headers: &HeaderMap, body: Body) -> Result<Read, Problem> {
        let limit = usize::try_from(self.config.max_body.as_u64()).unwrap_or(usize::MAX);
        let announced = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse().ok());
        // What does not say how long it is may be as long as it likes, up to the limit.
        let room = self
            .budget
            .take(announced.unwrap_or(limit).min(limit))
            .await
            .map_err(|reject| reject.problem())?;
        Ok(Read {
            bytes: read_body(body, &self.config).await?,
            _room: room,
        })
    }
}
