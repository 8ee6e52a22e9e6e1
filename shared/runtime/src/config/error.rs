//! What is wrong with a configuration, and where.

use std::fmt;

use figment::error::Kind;

/// Every problem found, one per line. A service that meets it exits with [`crate::exit::CONFIG`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError(pub Vec<Problem>);

#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    /// `section.key`; empty where the source as a whole is at fault.
    pub key: String,
    /// The file, environment variable or flag that set it.
    pub source: String,
    pub reason: String,
}

impl ConfigError {
    pub(super) fn source_failed(source: &str, reason: String) -> Self {
        Self(vec![Problem {
            key: String::new(),
            source: source.to_owned(),
            reason,
        }])
    }

    pub(super) fn unreadable(error: &figment::Error) -> Self {
        Self::source_failed("configuration", error.kind.to_string())
    }
}

impl Problem {
    pub(super) fn new(error: &figment::Error, source: String, env_prefix: &str) -> Self {
        let key = error.path.join(".");
        if let Kind::UnknownField(_, known) = &error.kind {
            let mut known = known.to_vec();
            known.sort_unstable();
            return Self {
                key,
                source,
                reason: format!("unknown key; known here: {}", known.join(", ")),
            };
        }
        if let Kind::MissingField(name) = &error.kind {
            let key = error
                .path
                .iter()
                .map(String::as_str)
                .chain([name.as_ref()])
                .collect::<Vec<_>>()
                .join(".");
            let variable = format!("{env_prefix}{}", key.to_uppercase().replace('.', "__"));
            let source = format!("the --config file or {variable}");
            return Self {
                key,
                source,
                reason: "missing; set it".to_owned(),
            };
        }
        Self {
            key,
            source,
            // It may quote the value.
            reason: muster_telemetry::mask::addresses(&error.kind.to_string()).into_owned(),
        }
    }

    pub(super) fn concerns(&self, path: &[String]) -> bool {
        self.key == path.join(".")
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, source, reason } = self;
        if key.is_empty() {
            write!(f, "{source}: {reason}")
        } else {
            write!(f, "`{key}` in {source}: {reason}")
        }
    }
}
