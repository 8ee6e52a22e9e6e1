//! What is printed, and nothing printed anywhere else.
//!
//! For people, whatever does not show itself is escaped here, so that no command can forget to; what programs read is
//! exact.

use crate::escape;
use muster_runtime::exit;
use serde::Serialize;
use std::io;
use std::process::ExitCode;

/// One line for people, on standard output. A reader that went away (`| head`) ends the command without a word;
/// any other that cannot be written to ends it as a failure.
pub(crate) fn line(text: &str) {
    print(&mut io::stdout().lock(), escape::unsafe_characters(text).as_bytes());
}

/// One line for people that is no result: progress, hints, warnings.
pub(crate) fn remark(text: &str) {
    print(&mut io::stderr().lock(), escape::unsafe_characters(text).as_bytes());
}

/// One line for people about something that goes on whether it is read or not.
pub(crate) fn log(text: &str) {
    log_line(&escape::unsafe_characters(text));
}

/// The same as it is.
pub(crate) fn log_line(line: &str) {
    let mut out = io::stdout().lock();
    // Nobody reads any more: the work is not over with that.
    let _ = io::Write::write_all(&mut out, format!("{line}\n").as_bytes()).and_then(|()| io::Write::flush(&mut out));
}

/// One JSON document.
///
/// # Errors
/// When it cannot be serialised.
pub(crate) fn json(document: &impl Serialize) -> anyhow::Result<()> {
    print(&mut io::stdout().lock(), &serde_json::to_vec_pretty(document)?);
    Ok(())
}

/// Bytes that already are one line.
pub(crate) fn raw_line(bytes: &[u8]) {
    print(&mut io::stdout().lock(), bytes);
}

fn print(out: &mut impl io::Write, bytes: &[u8]) {
    let printed = out
        .write_all(bytes)
        .and_then(|()| out.write_all(b"\n"))
        .and_then(|()| out.flush());
    match printed {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => end(0),
        Err(_) => end(i32::from(exit::BUG)),
    }
}

#[expect(
    clippy::exit,
    reason = "standard output is gone: there is nobody to return a status to"
)]
fn end(status: i32) -> ! {
    std::process::exit(status)
}

/// Says why a command failed, and with which exit status.
pub(crate) fn failed(error: &anyhow::Error) -> ExitCode {
    remark(&format!("muster: {error:#}"));
    ExitCode::from(exit::code(error))
}
