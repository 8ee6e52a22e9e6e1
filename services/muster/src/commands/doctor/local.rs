//! This machine's ingest, by the way the installed hook takes; and services that tell whether they are ready.

use super::Check;
use crate::hub::Running;
use crate::socket::{self, Connection};
use muster_bus::server::{self, MonitorError};
use muster_wire::frame::{ClientFrame, HelloReply, ServerFrame};
use tokio::time::Instant;

/// Says hello as a hook does, without reporting anything, and asks how ingest is.
///
/// A machine without agents needs no ingest: only where one is enrolled, or `up` runs, is its absence a failure.
pub(super) async fn ingest(running: Option<&Running>, enrolled: bool, checks: &mut Vec<Check>) -> Option<HelloReply> {
    let path = running.map(|running| running.socket.clone()).or_else(socket::path)?;
    let began = Instant::now();
    let mut connection = match Connection::open(&path, "doctor").await {
        Ok(connection) => connection,
        Err(error) => {
            let advice = "start muster-ingest, or `muster up`; until then hooks report nothing and agents go on";
            let needed = enrolled || running.is_some();
            let check = if needed { Check::fail } else { Check::warn };
            checks.push(check("ingest", error.to_string(), advice.to_owned()));
            return None;
        }
    };
    let took = began.elapsed();
    let hello = connection.hello.clone();
    let detail = format!(
        "host {}, a hook's greeting takes {took:.1?} at {}",
        hello.host,
        path.display()
    );
    checks.push(Check::ok("ingest", detail));
    let ours = env!("CARGO_PKG_VERSION");
    if hello.version != ours {
        let detail = format!("ingest is {}, this command {ours}", hello.version);
        checks.push(Check::warn("versions", detail, "install the same version everywhere"));
    }
    match connection.ask(&ClientFrame::Status).await {
        Ok(ServerFrame::Status(status)) => {
            let trouble = status
                .last_error
                .as_deref()
                .map_or_else(String::new, |error| format!("; last: {error}"));
            checks.push(if status.hub_connected {
                Check::ok(
                    "spool",
                    format!("{} observations wait for the hub{trouble}", status.queue_depth),
                )
            } else {
                let detail = format!("the hub is away; {} observations wait{trouble}", status.queue_depth);
                Check::warn(
                    "spool",
                    detail,
                    "nothing is lost meanwhile; see what is said of the hub",
                )
            });
        }
        Ok(_) => checks.push(Check::fail(
            "spool",
            "ingest answered something else",
            "install the same version everywhere",
        )),
        Err(error) => checks.push(Check::fail("spool", error.to_string(), "look at ingest's log")),
    }
    Some(hello)
}

/// Asks a service whether it is ready.
pub(super) async fn ready(name: &'static str, url: &str, checks: &mut Vec<Check>) {
    checks.push(match server::get_json(url, "/readyz").await {
        Ok(body) if body["status"] == "ready" => Check::ok(name, url),
        Ok(body) => Check::warn(
            name,
            format!("{url}: {body}"),
            "it works, but not fully; the reason is named",
        ),
        Err(MonitorError::Status { status, body }) => {
            Check::fail(name, format!("{url} says {status}: {body}"), "look at its log")
        }
        Err(_) => Check::fail(name, format!("nobody answers at {url}"), "look at its log, or start it"),
    });
}
