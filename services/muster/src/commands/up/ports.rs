//! Ports, looked at before anything is started, so that the message names who holds one.

use super::{Args, hub, state::State};
use anyhow::bail;
use muster_bus::server::{Running, port_holder};
use muster_runtime::exit::Failure;
use std::net::{Ipv4Addr, TcpListener};

/// How far a demo's ports are from the usual ones.
const DEMO: u16 = 10_000;

pub(super) struct Ports {
    pub(super) nats: u16,
    pub(super) ingest: u16,
    pub(super) orchestrator: u16,
    pub(super) notifier: u16,
}

impl Ports {
    pub(super) fn of(args: &Args) -> Self {
        let usual = |port: u16| if args.demo { port + DEMO } else { port };
        Self {
            nats: args.nats_port.unwrap_or(usual(4222)),
            ingest: args.ingest_port.unwrap_or(usual(4180)),
            orchestrator: args.orchestrator_port.unwrap_or(usual(4181)),
            notifier: args.notifier_port.unwrap_or(usual(4182)),
        }
    }

    /// Whether every port is free, or held by the hub that will be adopted.
    pub(super) fn check(&self, state: &State) -> anyhow::Result<()> {
        let orphan = Running::find(&hub::config(self, state)).map(|running| running.client_port);
        let wanted = [
            ("--nats-port", self.nats),
            ("--ingest-port", self.ingest),
            ("--orchestrator-port", self.orchestrator),
            ("--notifier-port", self.notifier),
        ];
        for (flag, port) in wanted {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
            if free || orphan == Some(port) {
                continue;
            }
            let holder = port_holder(port).map_or_else(|| "another process".to_owned(), |holder| holder.to_string());
            bail!(Failure::Unavailable(format!(
                "port {port} is held by {holder}; stop it, or choose another with {flag}"
            )));
        }
        Ok(())
    }
}
