//! Over HTTP: one address, POST only, nothing kept between two requests.
//!
//! Whoever mounts it checks `Host`, `Origin` and tokens before, as for its other routes; the library's own lists would be a
//! second place to keep in step.

use crate::server::Server;
use axum::Router;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Where the protocol is spoken.
pub const PATH: &str = "/mcp";

/// The protocol at [`PATH`]. Bodies over `body_bytes_max` are refused; open answers end when `closing` is cancelled.
pub fn routes(server: Server, body_bytes_max: usize, closing: CancellationToken) -> Router {
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .disable_allowed_hosts()
        .disable_allowed_origins()
        .with_max_request_body_bytes(body_bytes_max)
        .with_cancellation_token(closing);
    let service = StreamableHttpService::new(
        move || Ok(server.clone()),
        Arc::new(NeverSessionManager::default()),
        config,
    );
    Router::new().route_service(PATH, service)
}
