//! Reading what a caller sends, within limits.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use hyper::body::Body as _;
use tokio::time::{Instant, timeout, timeout_at};

use super::{Config, Problem};

/// How much too much is read and thrown away, in bodies of the largest allowed size, so that a caller that is still
/// sending gets to read its 413 instead of a reset connection.
const DISCARDED_BODIES: usize = 8;

/// The one of `accepted` that the request declares.
///
/// # Errors
///
/// 415 for another type, none, or a charset other than UTF-8. A page of a foreign origin can send only form types
/// without asking first, so this check is also part of the guard against it.
pub fn content_type(headers: &HeaderMap, accepted: &[&'static str]) -> Result<&'static str, Problem> {
    let declared = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let (essence, parameters) = declared.split_once(';').unwrap_or((declared, ""));
    let utf8 = parameters
        .split(';')
        .filter_map(|parameter| parameter.split_once('='))
        .all(|(name, value)| {
            !name.trim().eq_ignore_ascii_case("charset") || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        });
    let known = accepted.iter().find(|kind| kind.eq_ignore_ascii_case(essence.trim()));
    known.copied().filter(|_| utf8).ok_or_else(|| {
        let detail = format!("content-type must be {} in UTF-8", accepted.join(" or "));
        Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail)
    })
}

/// The whole body.
///
/// # Errors
///
/// 413 over `max_body`, 408 after silence or past the deadline, 400 where the connection breaks.
pub async fn read_body(body: Body, config: &Config) -> Result<Bytes, Problem> {
    let limit = usize::try_from(config.max_body.as_u64()).unwrap_or(usize::MAX);
    let too_large = || {
        let detail = format!("the body may have {}", config.max_body);
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
    };
    let patience = limit.saturating_mul(DISCARDED_BODIES);
    let deadline = Instant::now() + config.body_deadline.get();
    let mut frames = pin!(body);
    let announced = usize::try_from(frames.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > patience {
        return Err(too_large());
    }
    let mut content = Vec::new();
    let mut received = 0_usize;
    while let Some(data) = next_data(frames.as_mut(), config.body_timeout.get(), deadline).await? {
        received = received.saturating_add(data.len());
        if received > patience {
            break;
        }
        if announced.max(received) > limit {
            content = Vec::new();
        } else {
            content.extend_from_slice(&data);
        }
    }
    if received > limit {
        Err(too_large())
    } else {
        Ok(content.into())
    }
}

async fn next_data(mut frames: Pin<&mut Body>, silence: Duration, deadline: Instant) -> Result<Option<Bytes>, Problem> {
    let frame = poll_fn(|context| frames.as_mut().poll_frame(context));
    let Ok(Ok(frame)) = timeout_at(deadline, timeout(silence, frame)).await else {
        return Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "body-timeout",
            "the body did not arrive in time",
        ));
    };
    match frame {
        None => Ok(None),
        // Trailers carry no data.
        Some(Ok(frame)) => Ok(Some(frame.into_data().unwrap_or_default())),
        Some(Err(_)) => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "broken-body",
            "the body ended before its end",
        )),
    }
}
