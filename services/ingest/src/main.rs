//! muster-ingest: takes what agents of this host say, and makes it durable before it answers.

use muster_ingest::{App, Config, SERVICE};
use std::process::ExitCode;

fn main() -> ExitCode {
    muster_runtime::service::main::<Config, _>(&SERVICE, |config, context| async {
        App::build(config, context).await?.run().await
    })
}
