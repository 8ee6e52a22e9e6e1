//! The tools over HTTP, beside health and metrics.
//!
//! They ask through the hub as every client does, so a standby serves them as well as the leader, and what may be done is
//! judged in one place.
//!
//! A request has one bearer token. Where the surface has one of its own, either that or the operator's opens it; only the
//! operator's is ever passed on, to sign with, so nobody who sees signatures can learn anything about the other.

use crate::config::Mcp;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use muster_bus::Bus;
use muster_domain::asker::TOOLS_OVER_HTTP;
use muster_mcp::{Asker, PATH, Server};
use muster_runtime::config::Secret;
use muster_runtime::drain::Drain;
use muster_runtime::http::{self, Guard, Problem, bearer, read_body};
use muster_wire::subject::Caller;
use std::sync::Arc;

/// What is looked at before a request is the protocol's.
pub(crate) struct Entrance {
    pub(crate) http: http::Config,
    /// The guard of the whole surface, which knows its token.
    pub(crate) guard: Guard,
    /// The operator's token.
    pub(crate) operator: Secret,
}

/// Which requests bring a token that is judged here.
pub(crate) fn brings_own(_method: &Method, path: &str) -> bool {
    path == PATH
}

/// The routes; none where the tools are switched off.
pub(crate) fn routes(config: &Mcp, entrance: Entrance, bus: &Bus, drain: &Drain) -> anyhow::Result<Router> {
    if !config.enabled {
        return Ok(Router::new());
    }
    let server = Server::over_http(Asker::new(bus.clone(), Caller::new(TOOLS_OVER_HTTP)?));
    let body_bytes_max = usize::try_from(entrance.http.max_body.as_u64()).unwrap_or(usize::MAX);
    let routes = muster_mcp::routes(server, body_bytes_max, drain.token());
    Ok(routes.layer(from_fn_with_state(Arc::new(entrance), enter)))
}

/// Admits a request, and reads its body under the same limits and deadlines as every other one: the protocol's library has
/// none for time.
async fn enter(State(entrance): State<Arc<Entrance>>, mut request: Request, next: Next) -> Response {
    if let Err(problem) = entrance.admit(request.headers_mut()) {
        return problem.into_response();
    }
    let (parts, body) = request.into_parts();
    match read_body(body, &entrance.http).await {
        Ok(body) => next.run(Request::from_parts(parts, Body::from(body))).await,
        Err(problem) => problem.into_response(),
    }
}

impl Entrance {
    fn admit(&self, headers: &mut HeaderMap) -> Result<(), Problem> {
        let given = bearer(headers);
        if given.is_some_and(|token| self.guard.is_service_token(token)) {
            headers.remove(header::AUTHORIZATION);
            return Ok(());
        }
        let closed = self.http.token_file.as_ref().is_some_and(|file| file.is_set());
        if closed && !given.is_some_and(|token| self.operator.matches(token)) {
            return Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "send authorization: Bearer with the token of this service, or the operator's",
            ));
        }
        Ok(())
    }
}
