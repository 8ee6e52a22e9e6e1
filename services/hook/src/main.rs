//! muster-hook: what an agent runs at each hook. See `lib.rs` for the idea.
use std::process::ExitCode;

fn main() -> ExitCode {
    muster_hook::main(std::env::args_os().skip(1))
}
