//! The nats-server beside `up`: found or fetched, then started or adopted.

use super::{Args, ports::Ports, state::State};
use crate::output;
use anyhow::Context as _;
use muster_bus::server::{self, Server, ServerConfig, Supply};
use muster_runtime::exit::Failure;
use std::net::{Ipv4Addr, SocketAddr};

/// What the server is told.
pub(super) fn config(ports: &Ports, state: &State) -> ServerConfig {
    let mut config = ServerConfig::new(state.dir.join("nats"));
    config.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, ports.nats));
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
