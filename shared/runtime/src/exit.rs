//! Exit codes, by `sysexits.h`: a supervisor must know whether a restart can help.

use std::process::ExitCode;

use crate::config::ConfigError;

/// Drained in order.
pub const DRAINED: u8 = 0;
/// The command line was wrong.
pub const USAGE: u8 = 64;
/// Something outside that the service needs cannot be had: a restart may help.
pub const UNAVAILABLE: u8 = 69;
/// A part failed in a way it should not, or did not drain in time.
pub const BUG: u8 = 70;
/// The configuration is wrong: a restart cannot help.
pub const CONFIG: u8 = 78;

/// Put anywhere into the chain of an error (`.context(Failure::Unavailable(…))`), it decides the exit code.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Unavailable(String),
    #[error("{0}")]
    Config(String),
}

/// Says once how the service ended, and turns it into its code.
pub fn report(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else {
        tracing::info!("drained");
        return ExitCode::from(DRAINED);
    };
    let code = code(&error);
    tracing::error!(exit.code = code, "{error:#}");
    ExitCode::from(code)
}

pub fn code(error: &anyhow::Error) -> u8 {
    match error.downcast_ref::<Failure>() {
        Some(Failure::Usage(_)) => USAGE,
        Some(Failure::Unavailable(_)) => UNAVAILABLE,
        Some(Failure::Config(_)) => CONFIG,
        None if error.is::<ConfigError>() => CONFIG,
        None => BUG,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use anyhow::Context;

    use super::*;

    #[test]
    fn a_failure_decides_the_code_from_anywhere_in_the_chain() {
        let refused = || Err::<(), _>(io::Error::from(io::ErrorKind::ConnectionRefused));
        let unavailable = refused()
            .context(Failure::Unavailable("connecting to the hub".into()))
            .context("forwarder");
        assert_eq!(code(&unavailable.unwrap_err()), UNAVAILABLE);
        assert_eq!(code(&ConfigError(Vec::new()).into()), CONFIG);
        assert_eq!(code(&refused().context("unforeseen").unwrap_err()), BUG);
    }
}
