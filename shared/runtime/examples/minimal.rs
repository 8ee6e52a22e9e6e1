//! The smallest whole service: one condition, one HTTP surface, one drain.

use std::process::ExitCode;

use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::post;
use muster_runtime::exit::Failure;
use muster_runtime::http::{self, Guard};
use muster_runtime::service::{self, Context, Service, Settings};
use muster_runtime::{drain, health};
use serde::Deserialize;
use tokio::net::TcpListener;

const SERVICE: Service = Service {
    name: "muster-minimal",
    version: env!("CARGO_PKG_VERSION"),
    env_prefix: "MUSTER_MINIMAL__",
    defaults: r#"
        [http]
        listen = "127.0.0.1:0"
        token_file = ""
        [shutdown]
        grace = "8s"
        [telemetry]
        log = "info"
    "#,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    http: http::Config,
    shutdown: drain::Config,
    telemetry: muster_telemetry::Config,
}

impl Settings for Config {
    fn telemetry(&self) -> &muster_telemetry::Config {
        &self.telemetry
    }

    fn http(&self) -> &http::Config {
        &self.http
    }
}

fn main() -> ExitCode {
    service::main(&SERVICE, run)
}

async fn run(config: Config, context: Context) -> anyhow::Result<()> {
    let Context {
        drain, metrics, health, ..
    } = context;
    let guard = Guard::new(&config.http).map_err(|error| Failure::Config(error.to_string()))?;
    let listen = config.http.listen;
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| Failure::Unavailable(format!("listening on {listen}")))?;
    tracing::info!(address = %listener.local_addr()?, "listening");

    health.condition("everything").set_ok();
    let echo = async |State(config): State<http::Config>, body: Body| http::read_body(body, &config).await;
    let router = Router::new().route("/echo", post(echo)).with_state(config.http.clone());
    let router = guard.protect(router.merge(health::router(health, metrics)));
    drain.part("http", {
        let drain = drain.clone();
        async move { http::serve(listener, router, &config.http, &drain).await }
    });
    drain.finish(config.shutdown.grace.get()).await
}
