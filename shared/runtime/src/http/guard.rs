//! Who may call.
//!
//! - `Host` must be loopback, the bound address, or configured: a rebound name is none of them. Ports are not compared
//!   for loopback, because containers map them, and a rebinding page cannot choose the name.
//! - `Origin`, which browsers send with everything but plain reads, must be the surface's own or configured.
//! - `Sec-Fetch-Site: cross-site` is refused, except for following a link: answers to notices are links in a chat.
//! - The bearer token is asked for where one is configured, and one must be configured off loopback. Probes and scrapes
//!   (`/healthz`, `/readyz`, `/metrics`) need none, so that a supervisor needs no secret; they tell no more than counts.
//! - A request has one `Authorization` only. Routes that demand a stronger token than the service's take it there, and judge
//!   it themselves ([`Guard::except`]).

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};

use super::{Config, Problem};
use crate::config::{Secret, SecretError};

const PROBES: [&str; 3] = ["/healthz", "/readyz", "/metrics"];
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// Whether a request brings a token of its own, by its method and path.
pub type BringsOwn = fn(&Method, &str) -> bool;

/// The checks of one HTTP surface.
#[derive(Debug, Clone)]
pub struct Guard {
    rules: Arc<Rules>,
    brings_own: BringsOwn,
}

#[derive(Debug)]
struct Rules {
    hosts: Vec<String>,
    origins: Vec<String>,
    token: Option<Secret>,
}

#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    #[error(transparent)]
    Token(#[from] SecretError),
    #[error(
        "http.listen {listen} can be reached from other machines: set http.token_file (or MUSTER_TOKEN_FILE), or listen on 127.0.0.1"
    )]
    OpenToAll { listen: SocketAddr },
}

impl Guard {
    /// # Errors
    ///
    /// [`GuardError`] where the token cannot be read, or there is none and `listen` is not loopback.
    pub fn new(config: &Config) -> Result<Self, GuardError> {
        let listen = config.listen;
        let token = config
            .token_file
            .as_ref()
            .filter(|file| file.is_set())
            .map(|file| file.read())
            .transpose()?;
        if token.is_none() && !listen.ip().is_loopback() {
            return Err(GuardError::OpenToAll { listen });
        }
        let mut hosts: Vec<String> = config
            .allowed_hosts
            .iter()
            .map(|host| host.to_ascii_lowercase())
            .collect();
        if !listen.ip().is_unspecified() {
            hosts.push(bare(&listen));
        }
        let origins = config
            .allowed_origins
            .iter()
            .map(|origin| origin.to_ascii_lowercase())
            .collect();
        Ok(Self {
            rules: Arc::new(Rules { hosts, origins, token }),
            brings_own: |_, _| false,
        })
    }

    /// Does not ask for the service's token where a route judges one of its own. Everything else is checked as ever.
    #[must_use]
    pub fn except(self, brings_own: BringsOwn) -> Self {
        Self { brings_own, ..self }
    }

    /// Whether this is the service's own token, which opens the surface and nothing else.
    pub fn is_service_token(&self, given: &str) -> bool {
        self.rules.token.as_ref().is_some_and(|token| token.matches(given))
    }

    /// Puts the checks before every route of `router`, and problem documents in place of bare 404 and 405.
    pub fn protect(self, router: Router) -> Router {
        let missing = || std::future::ready(Problem::new(StatusCode::NOT_FOUND, "not-found", "no such path"));
        let wrong = || {
            let problem = Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "not with this method",
            );
            std::future::ready(problem)
        };
        router
            .method_not_allowed_fallback(wrong)
            .fallback(missing)
            .layer(from_fn_with_state(self, check))
    }

    fn admit(&self, request: &Request) -> Result<(), Problem> {
        let headers = request.headers();
        let host = self.host(request)?;
        self.origin(headers, &host)?;
        fetch_site(request.method(), headers)?;
        let path = request.uri().path();
        if PROBES.contains(&path) || (self.brings_own)(request.method(), path) {
            Ok(())
        } else {
            self.token(headers)
        }
    }

    fn host(&self, request: &Request) -> Result<Authority, Problem> {
        let refuse = || {
            Problem::new(
                StatusCode::FORBIDDEN,
                "foreign-host",
                "this service is not called by that name: see http.allowed_hosts",
            )
        };
        let mut given = request.headers().get_all(header::HOST).iter();
        let (Some(host), None) = (given.next(), given.next()) else {
            return Err(refuse());
        };
        let host: Authority = host
            .to_str()
            .ok()
            .and_then(|host| host.parse().ok())
            .ok_or_else(refuse)?;
        // A request line with a name of its own outranks the header.
        let agreed = request.uri().authority().is_none_or(|authority| *authority == host);
        let plain = !host.as_str().contains('@');
        if agreed && plain && self.is_ours(&host) {
            Ok(host)
        } else {
            Err(refuse())
        }
    }

    fn is_ours(&self, host: &Authority) -> bool {
        let name = host.host().to_ascii_lowercase();
        let is_loopback = name == "localhost"
            || name
                .trim_matches(['[', ']'])
                .parse()
                .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
        let whole = host.as_str().to_ascii_lowercase();
        is_loopback
            || self
                .rules
                .hosts
                .iter()
                .any(|allowed| *allowed == name || *allowed == whole)
    }

    fn origin(&self, headers: &HeaderMap, host: &Authority) -> Result<(), Problem> {
        let Some(origin) = headers.get(header::ORIGIN) else {
            return Ok(());
        };
        let origin = origin.to_str().unwrap_or_default().to_ascii_lowercase();
        // The host was checked before, so a page served under it is ours.
        let host = host.as_str().to_ascii_lowercase();
        let is_own = [format!("http://{host}"), format!("https://{host}")].contains(&origin);
        if is_own || self.rules.origins.contains(&origin) {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "foreign-origin",
            "pages of that origin may not call: see http.allowed_origins",
        ))
    }

    fn token(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(token) = &self.rules.token else {
            return Ok(());
        };
        if bearer(headers).is_some_and(|given| token.matches(given)) {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "send authorization: Bearer with the token of this service",
        ))
    }
}

/// The token that a request brings.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn fetch_site(method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    let is = |name: &HeaderName, value: &str| {
        headers
            .get(name)
            .is_some_and(|given| given.as_bytes() == value.as_bytes())
    };
    // Nothing changes by a GET, and a page cannot read where its link led.
    let follows_link = *method == Method::GET && is(&SEC_FETCH_MODE, "navigate");
    // A configured origin was let through by name already.
    let known_origin = headers.contains_key(header::ORIGIN);
    if is(&SEC_FETCH_SITE, "cross-site") && !follows_link && !known_origin {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "cross-site",
            "pages of other sites may not call",
        ));
    }
    Ok(())
}

fn bare(listen: &SocketAddr) -> String {
    match listen {
        SocketAddr::V4(v4) => v4.ip().to_string(),
        SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
    }
}

async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    match guard.admit(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}
