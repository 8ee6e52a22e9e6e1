//! muster: the operator's command. It is also the hook, where only it is installed.

use std::process::ExitCode;

mod args;
mod ask;
mod commands;
mod enroll;
mod escape;
mod event_line;
mod format;
mod hub;
mod output;
mod socket;

fn main() -> ExitCode {
    // An agent waits for its hook: that way out comes before anything else is set up.
    let mut words = std::env::args_os();
    let called = words.next().unwrap_or_default();
    let by_name = std::path::Path::new(&called)
        .file_stem()
        .is_some_and(|name| name == "muster-hook");
    if by_name {
        return muster_hook::main(words);
    }
    if std::env::args_os().nth(1).is_some_and(|word| word == "hook") {
        return muster_hook::main(words.skip(1));
    }
    commands::main()
}
