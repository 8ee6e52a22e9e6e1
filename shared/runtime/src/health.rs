//! What a service says about itself: alive, ready, or ready with less than everything.
//!
//! Live and ready are different questions. A hub that is away makes a service degraded or not ready, and a restart would
//! change nothing; a loop that does not turn any more makes it dead, and a restart is the cure. So `/healthz` looks only
//! at pulses, and `/readyz` only at conditions.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use muster_telemetry::Metrics;
use serde::Serialize;

/// Shared by the parts of a service; clones are the same health.
#[derive(Clone, Default)]
pub struct Health(Arc<RwLock<Vitals>>);

#[derive(Default)]
struct Vitals {
    conditions: BTreeMap<&'static str, Status>,
    pulses: BTreeMap<&'static str, (Instant, Duration)>,
}

#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "status", content = "reason", rename_all = "lowercase")]
enum Status {
    Ok,
    Degraded(String),
    Failed(String),
}

/// One thing a service depends on.
#[derive(Clone)]
pub struct Condition {
    health: Health,
    name: &'static str,
}

/// One loop that must go on turning.
#[derive(Clone)]
pub struct Pulse {
    health: Health,
    name: &'static str,
    silence: Duration,
}

impl Health {
    pub fn new() -> Self {
        Self::default()
    }

    /// Declares a condition; it has failed until its part says otherwise.
    pub fn condition(&self, name: &'static str) -> Condition {
        let condition = Condition {
            health: self.clone(),
            name,
        };
        condition.set_failed("starting");
        condition
    }

    /// Declares a loop that is dead after `silence` without a beat. It counts from now.
    pub fn pulse(&self, name: &'static str, silence: Duration) -> Pulse {
        let pulse = Pulse {
            health: self.clone(),
            name,
            silence,
        };
        pulse.beat();
        pulse
    }

    /// Whether no condition has failed; degraded is ready. What has declared none yet has not begun.
    pub fn is_ready(&self) -> bool {
        self.read(|vitals| {
            !vitals.conditions.is_empty()
                && !vitals
                    .conditions
                    .values()
                    .any(|status| matches!(status, Status::Failed(_)))
        })
    }

    /// Whether it is ready and nothing about it is degraded.
    pub fn is_whole(&self) -> bool {
        self.read(|vitals| {
            !vitals.conditions.is_empty() && vitals.conditions.values().all(|status| *status == Status::Ok)
        })
    }

    fn silent(&self) -> Vec<&'static str> {
        self.read(|vitals| {
            let silent = |(last, silence): &(Instant, Duration)| last.elapsed() > *silence;
            vitals
                .pulses
                .iter()
                .filter(|(_, pulse)| silent(pulse))
                .map(|(name, _)| *name)
                .collect()
        })
    }

    fn read<T>(&self, look: impl FnOnce(&Vitals) -> T) -> T {
        look(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self, change: impl FnOnce(&mut Vitals)) {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Condition {
    pub fn set_ok(&self) {
        self.set(Status::Ok);
    }

    /// Still useful, with less than everything.
    pub fn set_degraded(&self, reason: impl Into<String>) {
        self.set(Status::Degraded(reason.into()));
    }

    pub fn set_failed(&self, reason: impl Into<String>) {
        self.set(Status::Failed(reason.into()));
    }

    fn set(&self, status: Status) {
        self.health.write(|vitals| {
            vitals.conditions.insert(self.name, status);
        });
    }
}

impl Pulse {
    pub fn beat(&self) {
        self.health.write(|vitals| {
            vitals.pulses.insert(self.name, (Instant::now(), self.silence));
        });
    }
}

/// `/healthz`, `/readyz` and `/metrics`, to merge into the router of a service.
pub fn router(health: Health, metrics: Metrics) -> Router {
    Router::new()
        .route("/healthz", get(live))
        .route("/readyz", get(ready))
        .with_state(health)
        .route("/metrics", get(move || std::future::ready(scrape(&metrics))))
}

async fn live(State(health): State<Health>) -> Response {
    let silent = health.silent();
    let (code, status) = if silent.is_empty() {
        (StatusCode::OK, "live")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "dead")
    };
    (code, Json(serde_json::json!({ "status": status, "silent": silent }))).into_response()
}

async fn ready(State(health): State<Health>) -> Response {
    let conditions = health.read(|vitals| vitals.conditions.clone());
    let (code, status) = if !health.is_ready() {
        (StatusCode::SERVICE_UNAVAILABLE, "unready")
    } else if conditions.values().any(|status| *status != Status::Ok) {
        (StatusCode::OK, "degraded")
    } else {
        (StatusCode::OK, "ready")
    };
    (
        code,
        Json(serde_json::json!({ "status": status, "conditions": conditions })),
    )
        .into_response()
}

fn scrape(metrics: &Metrics) -> Response {
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        metrics.render(),
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt;

    use super::*;

    async fn get(router: &Router, path: &str) -> (u16, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 64 * 1024).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn readiness_follows_the_conditions() {
        let health = Health::new();
        let router = router(health.clone(), Metrics::new("muster-test"));
        let (hub, spool) = (health.condition("nats"), health.condition("spool"));
        assert_eq!(get(&router, "/readyz").await.0, 503);

        hub.set_ok();
        spool.set_ok();
        let (status, body) = get(&router, "/readyz").await;
        assert_eq!((status, body.contains(r#""status":"ready""#)), (200, true), "{body}");

        hub.set_degraded("hub away");
        let (status, body) = get(&router, "/readyz").await;
        let expected = r#"{"status":"degraded","conditions":{"nats":{"status":"degraded","reason":"hub away"},"spool":{"status":"ok"}}}"#;
        assert_eq!((status, body.as_str()), (200, expected));
        assert_eq!(get(&router, "/healthz").await.0, 200);
    }

    #[tokio::test]
    async fn a_silent_loop_is_dead() {
        let health = Health::new();
        let router = router(health.clone(), Metrics::new("muster-test"));
        health.pulse("loop", Duration::from_secs(60));
        assert_eq!(get(&router, "/healthz").await.0, 200);
        health.pulse("stuck", Duration::ZERO);
        let (status, body) = get(&router, "/healthz").await;
        assert_eq!((status, body.contains("stuck")), (503, true), "{body}");
    }

    #[tokio::test]
    async fn metrics_are_served_as_prometheus_text() {
        let metrics = Metrics::new("muster-test");
        metrics.counter("muster_test_hits_total", "hits", &[]).add(3);
        let (status, body) = get(&router(Health::new(), metrics), "/metrics").await;
        assert_eq!(
            (status, body.contains("muster_test_hits_total 3")),
            (200, true),
            "{body}"
        );
    }
}
