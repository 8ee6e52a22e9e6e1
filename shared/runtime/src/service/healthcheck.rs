//! `GET /readyz` for container healthchecks, so that an image needs no curl.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// Below the three seconds that compose files give a healthcheck.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug, thiserror::Error)]
pub(super) enum NotReady {
    #[error("nothing answers at {address}: {source}")]
    Silent { address: SocketAddr, source: io::Error },
    #[error("not ready: {answer}")]
    Refused { answer: String },
}

pub(super) fn ready(listen: SocketAddr) -> Result<(), NotReady> {
    let address = reachable(listen);
    let answer = ask(address).map_err(|source| NotReady::Silent { address, source })?;
    if answer.starts_with("HTTP/1.1 200") {
        Ok(())
    } else {
        Err(NotReady::Refused { answer })
    }
}

/// "Any address" is where to listen, not where to call.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, listen.port())
}

fn ask(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET /readyz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    // As much as a page of conditions; a service that sends more is not ours.
    stream.take(64 * 1024).read_to_string(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use muster_telemetry::Metrics;
    use tokio::net::TcpListener;

    use super::*;
    use crate::drain::Drain;
    use crate::health::{self, Health};
    use crate::http::{self, Config, Guard};

    #[tokio::test]
    async fn the_check_follows_readiness_through_the_guard() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let config = Config::on(address);
        let health = Health::new();
        let hub = health.condition("nats");
        let router = Guard::new(&config)
            .unwrap()
            .protect(health::router(health, Metrics::new("muster-test")));
        let drain = Drain::new();
        drain.part("http", {
            let drain = drain.clone();
            async move { http::serve(listener, router, &config, &drain).await }
        });

        let check = move || tokio::task::spawn_blocking(move || ready(address));
        assert!(matches!(check().await.unwrap(), Err(NotReady::Refused { .. })));
        hub.set_ok();
        check().await.unwrap().unwrap();
        drain.request();
        drain.finish(Duration::from_secs(5)).await.unwrap();
        assert!(matches!(check().await.unwrap(), Err(NotReady::Silent { .. })));
    }

    #[test]
    fn any_address_is_checked_on_loopback() {
        assert_eq!(reachable("0.0.0.0:4180".parse().unwrap()).to_string(), "127.0.0.1:4180");
        assert_eq!(reachable("[::]:4180".parse().unwrap()).to_string(), "[::1]:4180");
    }
}
