//! The tools over HTTP, beside health and metrics.
//!
//! They ask through the hub as every client does, so a standby serves them as well as the leader, and what may be done is
//! judged in one place.

use crate::config::Mcp;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use muster_bus::Bus;
use muster_mcp::{Asker, Server};
use muster_runtime::drain::Drain;
use muster_runtime::http::{self, read_body};
use muster_wire::subject::Caller;

/// The routes; none where the tools are switched off.
pub(crate) fn routes(config: &Mcp, http: &http::Config, bus: &Bus, drain: &Drain) -> anyhow::Result<Router> {
    if !config.enabled {
        return Ok(Router::new());
    }
    let server = Server::over_http(Asker::new(bus.clone(), Caller::new("mcp")?));
    let body_bytes_max = usize::try_from(http.max_body.as_u64()).unwrap_or(usize::MAX);
    let routes = muster_mcp::service(server, body_bytes_max, drain.token());
    Ok(routes.layer(from_fn_with_state(http.clone(), whole_body)))
}

/// Reads the body under the same limits and deadlines as every other one; the protocol's library has none for time.
async fn whole_body(State(config): State<http::Config>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match read_body(body, &config).await {
        Ok(body) => next.run(Request::from_parts(parts, Body::from(body))).await,
        Err(problem) => problem.into_response(),
    }
}
