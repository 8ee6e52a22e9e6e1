//! One source of configuration as a figment provider that carries the source's name.

use std::path::Path;

use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};

use super::ConfigError;

pub(super) struct Layer {
    source: String,
    pub(super) dict: Dict,
}

impl Layer {
    pub(super) fn toml(source: &str, text: &str) -> Result<Self, ConfigError> {
        match Toml::from_str::<Dict>(text) {
            Ok(dict) => Ok(Self {
                source: source.to_owned(),
                dict,
            }),
            Err(error) => Err(ConfigError::source_failed(source, error.message().to_owned())),
        }
    }

    pub(super) fn file(path: &Path) -> Result<Self, ConfigError> {
        let source = format!("file {}", path.display());
        match std::fs::read_to_string(path) {
            Ok(text) => Self::toml(&source, &text),
            Err(error) => Err(ConfigError::source_failed(&source, error.to_string())),
        }
    }

    pub(super) fn variable(name: &str) -> String {
        format!("environment variable {name}")
    }

    /// A single key given as text; a key that is a string in `typed` keeps the text as it is.
    pub(super) fn text<'a>(source: String, key: impl Iterator<Item = &'a str>, text: &str, typed: &Dict) -> Self {
        let path: Vec<String> = key.map(str::to_owned).collect();
        let is_string = find(typed, &path).is_some_and(|default| default.as_str().is_some());
        let parsed = match text.parse::<Value>() {
            Ok(value) if !is_string => value,
            _ => Value::from(text),
        };
        let value = path
            .iter()
            .skip(1)
            .rev()
            .fold(parsed, |inner, name| Value::from(Dict::from([(name.clone(), inner)])));
        Self {
            source,
            dict: path.first().map(|name| (name.clone(), value)).into_iter().collect(),
        }
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.source.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.dict.clone())]))
    }
}

pub(super) fn find<'a>(tree: &'a Dict, path: &[String]) -> Option<&'a Value> {
    let (last, above) = path.split_last()?;
    let holder = above.iter().try_fold(tree, |dict, name| dict.get(name)?.as_dict())?;
    holder.get(last)
}

pub(super) fn remove(tree: &mut Dict, path: &[String]) -> bool {
    holder(tree, path).is_some_and(|(dict, last)| dict.remove(last).is_some())
}

pub(super) fn replace(tree: &mut Dict, path: &[String], value: Value) -> bool {
    holder(tree, path).is_some_and(|(dict, last)| dict.insert(last.to_owned(), value).is_some())
}

fn holder<'a, 'p>(tree: &'a mut Dict, path: &'p [String]) -> Option<(&'a mut Dict, &'p str)> {
    let (last, above) = path.split_last()?;
    let mut dict = tree;
    for name in above {
        let Value::Dict(_, inner) = dict.get_mut(name)? else {
            return None;
        };
        dict = inner;
    }
    Some((dict, last))
}

pub(super) fn flatten(tree: &Dict, path: &mut Vec<String>, visit: &mut impl FnMut(&[String], &Value)) {
    for (name, value) in tree {
        path.push(name.clone());
        match value.as_dict() {
            Some(inner) if !inner.is_empty() => flatten(inner, path, visit),
            _ => visit(path, value),
        }
        path.pop();
    }
}

/// JSON and TOML agree on strings, numbers, booleans and lists of them; tables in lists need `=`.
pub(super) fn toml(value: &Value) -> String {
    match value {
        Value::Dict(_, inner) => {
            let fields: Vec<String> = inner
                .iter()
                .map(|(name, value)| format!("{name} = {}", toml(value)))
                .collect();
            format!("{{ {} }}", fields.join(", "))
        }
        Value::Array(_, items) => format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(", ")),
        Value::String(..) | Value::Char(..) | Value::Bool(..) | Value::Num(..) | Value::Empty(..) => {
            serde_json::to_string(value).unwrap_or_default()
        }
    }
}
