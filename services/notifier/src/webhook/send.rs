//! One HTTP request and its answer. Redirects are not followed: where an event goes is decided by the configuration alone,
//! not by whoever answers there.

use super::outcome::Answer;
use anyhow::Context as _;
use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use axum::http::{HeaderMap, HeaderValue, Request};
use bytes::Bytes;
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use muster_domain::time::Timestamp;
use muster_wire::envelope;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

/// Of an answer's body, so much is read to keep the connection usable; the rest costs the connection.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// And for so long.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// Longest pause a receiver may ask for: a day. Beyond it a mistake is more likely than a plan.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(24);

/// Calls endpoints.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    client: Client<HttpsConnector<HttpConnector>, Body>,
    timeout: Duration,
}

impl Caller {
    /// # Errors
    /// When endpoints are called by https, and this system trusts no certificate authorities at all.
    pub(crate) fn new(timeout: Duration, calls_https: bool) -> anyhow::Result<Self> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let tls = if calls_https {
            tls.with_native_roots()
                .context("reading the certificate authorities this system trusts")?
        } else {
            tls.with_root_certificates(RootCertStore::empty())
        };
        let tls = tls.with_no_client_auth();
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(https),
            timeout,
        })
    }

    /// Makes the call.
    pub(crate) async fn call(&self, request: Request<Body>, now: Timestamp) -> Answer {
        let nothing = |error: String| Answer::Nothing { error };
        let response = match tokio::time::timeout(self.timeout, self.client.request(request)).await {
            Err(_) => return nothing(format!("no answer within {:?}", self.timeout)),
            Ok(Err(error)) => return nothing(whole(&error)),
            Ok(Ok(response)) => response,
        };
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers(), now).map(|asked| asked.min(RETRY_AFTER_MAX));
        let rest = axum::body::to_bytes(Body::new(response.into_body()), ANSWER_BYTES_MAX);
        let _ = tokio::time::timeout(ANSWER_WITHIN, rest).await;
        Answer::Status { status, retry_after }
    }
}

/// The headers that every call has.
pub(crate) fn headers(id: &str, unix_seconds: i64, signature: &str) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(envelope::CONTENT_TYPE));
    headers.insert(
        USER_AGENT,
        HeaderValue::from_static(concat!("muster-notifier/", env!("CARGO_PKG_VERSION"))),
    );
    headers.insert("webhook-id", id.parse().ok()?);
    headers.insert("webhook-timestamp", HeaderValue::from(unix_seconds));
    headers.insert("webhook-signature", signature.parse().ok()?);
    Some(headers)
}

/// A request of these headers and this body.
pub(crate) fn request(url: &axum::http::Uri, headers: HeaderMap, body: Bytes) -> Request<Body> {
    let mut request = Request::new(Body::from(body));
    *request.method_mut() = axum::http::Method::POST;
    *request.uri_mut() = url.clone();
    *request.headers_mut() = headers;
    request
}

/// Seconds, or a date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = OffsetDateTime::parse(text, &Rfc2822).ok()?;
    let at = Timestamp::from_millis(i64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok()?);
    Some(at.since(now))
}

/// An error with its causes: "client error (Connect)" alone helps nobody.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_asked_for_in_seconds_or_as_a_date() {
        let now = Timestamp::from_millis(1_445_412_420_000);
        let asked = |text: &'static str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
            retry_after(&headers, now)
        };
        assert_eq!(asked("120"), Some(Duration::from_mins(2)));
        assert_eq!(asked("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::from_mins(1)));
        assert_eq!(asked("Wed, 21 Oct 2015 07:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(asked("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
