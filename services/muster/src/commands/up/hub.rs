//! The nats-server beside `up`: found or fetched, then started or adopted.

use super::{Args, ports::Ports, state::State};
use crate::output;
use anyhow::{Context as _, bail};
use muster_bus::server::{self, Server, ServerConfig, Supply};
use muster_runtime::exit::Failure;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Before each attempt to start a hub that ended: five, over eight seconds.
const BACK_OFF: [Duration; 5] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];
/// A hub that ran for so long had started; its end is a new one.
const STEADY: Duration = Duration::from_secs(60);

/// What the server is told.
pub(super) fn config(ports: &Ports, state: &State) -> ServerConfig {
    let mut config = ServerConfig::new(state.dir.join("nats"));
    config.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, ports.nats));
    config.extra = state.users.render();
    config
}

/// A running server on this state folder.
pub(super) async fn start(args: &Args, ports: &Ports, state: &State) -> anyhow::Result<Server> {
    let supply = Supply::from_vars(args.nats_server.clone(), |name| std::env::var_os(name));
    let bin = tokio::task::spawn_blocking(move || server::find(&supply))
        .await
        .context("looking for a nats-server")?
        .context(Failure::Unavailable("no nats-server to run".to_owned()))?;
    let server = Server::adopt_or_start(&bin, config(ports, state))
        .await
        .context(Failure::Unavailable("the nats-server did not start".to_owned()))?;
    if !server::sync_always(&server.monitor_url()).await.unwrap_or(false) {
        output::remark("warning: the nats-server acknowledges before its disk holds what it acknowledged");
    }
    Ok(server)
}

/// Starts the server again on the same ports and store whenever it ends, for as long as that helps.
pub(super) async fn keep(server: &mut Server) -> anyhow::Result<()> {
    let mut waits = BACK_OFF.into_iter();
    loop {
        let began = Instant::now();
        server.exited().await;
        if began.elapsed() >= STEADY {
            waits = BACK_OFF.into_iter();
        }
        output::remark(&format!(
            "the nats-server ended and is started again; its log is {}",
            server.config().log_file().display()
        ));
        loop {
            let Some(wait) = waits.next() else {
                bail!(Failure::Unavailable("the nats-server keeps ending".to_owned()));
            };
            sleep(wait).await;
            match server.restart().await {
                Ok(()) => break,
                Err(error) => output::remark(&format!("the nats-server did not start: {error}")),
            }
        }
    }
}
