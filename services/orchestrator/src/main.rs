//! muster-orchestrator: folds the log, decides, answers. See the library for its parts.

use muster_orchestrator::{App, Config, SERVICE};
use std::process::ExitCode;

fn main() -> ExitCode {
    muster_runtime::service::main::<Config, _>(&SERVICE, App::run)
}
