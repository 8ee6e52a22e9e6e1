//! muster-notifier: shows the log to programs as it grows, and tells webhooks. See the library for its parts.

use muster_notifier::{App, Config, SERVICE};
use std::process::ExitCode;

fn main() -> ExitCode {
    muster_runtime::service::main::<Config, _>(&SERVICE, App::run)
}
