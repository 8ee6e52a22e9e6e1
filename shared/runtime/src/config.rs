//! Layered configuration: embedded defaults, then the file, then the environment, then flags.
//!
//! Every value remembers where it came from, one source per variable and per flag, because "invalid type" without the
//! place to fix it is half a message. All problems are reported at once: a value at fault is replaced by its default and
//! the rest is read on.
//!
//! Text from the environment or a flag has no type of its own; it takes the type that the key has in the defaults, so a
//! password of digits stays a string. Keys that the defaults leave out are read like TOML.

mod error;
mod layer;
mod types;

use std::path::PathBuf;

use figment::value::{Dict, Value};
use figment::{Figment, Metadata, error::Kind};
use serde::de::DeserializeOwned;

pub use error::{ConfigError, Problem};
pub use types::{ByteSize, HumanDuration, Secret, SecretError, SecretFile};

use layer::{Layer, find, remove, replace};

/// Everything that may override the defaults. Values come in as data: only `main` looks at the process.
#[derive(Debug, Default)]
pub struct Sources {
    pub file: Option<PathBuf>,
    /// `MUSTER_INGEST__`; sections are separated by `__`. Empty: no variable is read.
    pub env_prefix: &'static str,
    pub env: Vec<(String, String)>,
    /// Variables with a name of their own, and the key they set. Below the prefixed ones.
    pub aliases: &'static [(&'static str, &'static str)],
    /// `section.key` and value, from flags or code.
    pub overrides: Vec<(String, String)>,
}

/// Reads `T` from `defaults` (TOML) overridden by `sources`.
///
/// # Errors
///
/// [`ConfigError`] with every key that is unknown, missing or of the wrong type, each with its source.
pub fn load<T: DeserializeOwned>(defaults: &str, sources: &Sources) -> Result<T, ConfigError> {
    let merged = Merged::new(defaults, sources)?;
    let mut tree = merged.tree.clone();
    let mut problems: Vec<Problem> = Vec::new();
    loop {
        let error = match Value::from(tree.clone()).deserialize::<T>() {
            Ok(config) if problems.is_empty() => return Ok(config),
            Ok(_) => return Err(ConfigError(problems)),
            Err(error) => error,
        };
        let path = error.path.clone();
        let seen = problems.iter().any(|problem| problem.concerns(&path));
        // What is missing after a repair may be missing because of it.
        if seen || (error.missing() && !problems.is_empty()) {
            return Err(ConfigError(problems));
        }
        problems.push(Problem::new(&error, merged.source(&path), sources.env_prefix));
        let default = find(&merged.defaults, &path).cloned();
        let repaired = match (&error.kind, default) {
            (Kind::MissingField(_), _) => false,
            (Kind::UnknownField(..), _) | (_, None) => remove(&mut tree, &path),
            (_, Some(default)) => replace(&mut tree, &path, default),
        };
        if !repaired {
            return Err(ConfigError(problems));
        }
    }
}

/// What is in force, one `key = value  # source` per line. Valid TOML; secrets are file paths and stay out of it, and what
/// an address holds of them is masked.
///
/// # Errors
///
/// [`ConfigError`] where a source cannot be read. Types are not checked.
pub fn dump(defaults: &str, sources: &Sources) -> Result<String, ConfigError> {
    let merged = Merged::new(defaults, sources)?;
    let mut lines = String::new();
    layer::flatten(&merged.tree, &mut Vec::new(), &mut |path, value| {
        let shown = layer::toml(value);
        let shown = muster_telemetry::mask::addresses(&shown);
        lines += &format!("{} = {shown}  # {}\n", path.join("."), merged.source(path));
    });
    Ok(lines)
}

struct Merged {
    figment: Figment,
    defaults: Dict,
    tree: Dict,
}

impl Merged {
    fn new(defaults: &str, sources: &Sources) -> Result<Self, ConfigError> {
        let embedded = Layer::toml("the defaults", defaults)?;
        let typed = embedded.dict.clone();
        let mut figment = Figment::from(embedded);
        if let Some(path) = &sources.file {
            figment = figment.merge(Layer::file(path)?);
        }
        for (name, key) in sources.aliases {
            for (_, value) in sources.env.iter().filter(|(variable, _)| variable == name) {
                figment = figment.merge(Layer::text(Layer::variable(name), key.split('.'), value, &typed));
            }
        }
        for (name, value) in &sources.env {
            // The bare prefix names no key.
            let Some(rest) = name.strip_prefix(sources.env_prefix).filter(|rest| !rest.is_empty()) else {
                continue;
            };
            if sources.env_prefix.is_empty() {
                continue;
            }
            let key = rest.to_lowercase();
            figment = figment.merge(Layer::text(Layer::variable(name), key.split("__"), value, &typed));
        }
        for (key, value) in &sources.overrides {
            let source = format!("flag --set {key}={}", muster_telemetry::mask::addresses(value));
            figment = figment.merge(Layer::text(source, key.split('.'), value, &typed));
        }
        let tree = match figment.find_value("").map(Value::into_dict) {
            Ok(Some(tree)) => tree,
            Ok(None) => Dict::new(),
            Err(error) => return Err(ConfigError::unreadable(&error)),
        };
        Ok(Self {
            figment,
            defaults: typed,
            tree,
        })
    }

    /// The source of the value at `path`, or of what encloses it.
    fn source(&self, path: &[String]) -> String {
        (1..=path.len())
            .rev()
            .filter_map(|length| find(&self.tree, &path[..length]))
            .find_map(|value| self.figment.get_metadata(value.tag()))
            .map_or_else(|| "no source".to_owned(), |source: &Metadata| source.name.to_string())
    }
}

#[cfg(test)]
mod tests;
