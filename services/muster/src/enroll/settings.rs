//! The settings as text: our entries in, our entries out, every other byte as it was.
//!
//! Edits go through a syntax tree that keeps white space, so key order, indentation, line ends
//! and number spellings survive. Pure: no file is touched here.

use std::path::Path;

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstArray, CstInputValue, CstNode, CstObject, CstRootNode};
use serde_json::Value;

use super::Error;

pub(super) struct Entry {
    pub(super) event: &'static str,
    pub(super) handler: Handler,
}

pub(super) struct Handler {
    pub(super) command: String,
    pub(super) args: Vec<String>,
    pub(super) timeout_seconds: u32,
    pub(super) fail_closed: bool,
}

#[derive(Debug)]
pub(super) struct Merged {
    pub(super) change: Change,
    pub(super) changed: Vec<String>,
    pub(super) warnings: Vec<String>,
}

/// The text to write, if any, and whether the text before held entries of ours.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    None,
    First(String),
    Again(String),
}

#[derive(Debug)]
pub(super) struct Removed {
    /// The text without our entries; `None` when it had none.
    pub(super) text: Option<String>,
    pub(super) changed: Vec<String>,
}

/// Why a text cannot be edited; [`Fault::at`] adds the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    NotJson(String),
    Comments,
    Shape { at: String, expected: &'static str },
}

impl Fault {
    pub(super) fn at(self, path: &Path) -> Error {
        let path = path.to_owned();
        match self {
            Self::NotJson(detail) => Error::NotJson { path, detail },
            Self::Comments => Error::Comments { path },
            Self::Shape { at, expected } => Error::Shape { path, at, expected },
        }
    }
}

/// Brings the handlers of `entries` into `text`, and takes those of ours out of other events.
pub(super) fn merge(text: &str, entries: &[Entry]) -> Result<Merged, Fault> {
    let blank = text.trim().is_empty();
    let root = parse(if blank { "{}\n" } else { text })?;
    let settings = root.object_value().ok_or_else(|| shape("the whole", "an object"))?;
    let hooks = match settings.get("hooks") {
        Some(_) => hooks_of(&settings)?.ok_or_else(|| shape("\"hooks\"", "an object"))?,
        None => settings.object_value_or_set("hooks"),
    };
    let mut first = true;
    let mut changed = Vec::new();
    for property in hooks.properties() {
        let event = property.decoded_name().unwrap_or_default();
        let ours = ours(&groups_of(&hooks, &event)?);
        first &= ours.is_empty();
        if !ours.is_empty() && !entries.iter().any(|entry| entry.event == event) {
            take_out(&hooks, &event, &|_| false)?;
            changed.push(event);
        }
    }
    for entry in entries {
        if bring_in(&hooks, entry)? {
            changed.push(entry.event.to_owned());
        }
    }
    let mut warnings = Vec::new();
    if settings
        .get("disableAllHooks")
        .and_then(|property| property.to_serde_value())
        == Some(Value::Bool(true))
    {
        warnings.push("disableAllHooks is true in these settings: no hook will run until it is taken out".to_owned());
    }
    let change = match (changed.is_empty(), first) {
        (true, _) => Change::None,
        (false, true) => Change::First(root.to_string()),
        (false, false) => Change::Again(root.to_string()),
    };
    Ok(Merged {
        change,
        changed,
        warnings,
    })
}

/// Takes our handlers out, and the groups, lists and the `hooks` object that are empty then,
/// except those which `before` (the text before we came) also has.
pub(super) fn remove(text: &str, before: Option<&str>) -> Result<Removed, Fault> {
    let nothing = Removed {
        text: None,
        changed: Vec::new(),
    };
    if text.trim().is_empty() {
        return Ok(nothing);
    }
    let root = parse(text)?;
    let settings = root.object_value().ok_or_else(|| shape("the whole", "an object"))?;
    let Some(hooks) = hooks_of(&settings)? else {
        return Ok(nothing);
    };
    let before: Value = before
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let before = before.get("hooks");
    let mut changed = Vec::new();
    for property in hooks.properties() {
        let event = property.decoded_name().unwrap_or_default();
        let had = |event: &str| before.is_some_and(|hooks| hooks.get(event).is_some());
        if take_out(&hooks, &event, &had)? {
            changed.push(event);
        }
    }
    if changed.is_empty() {
        return Ok(nothing);
    }
    if hooks.properties().is_empty()
        && before.is_none()
        && let Some(property) = settings.get("hooks")
    {
        property.remove();
    }
    Ok(Removed {
        text: Some(root.to_string()),
        changed,
    })
}

/// The programs that our handlers run, one for each handler.
pub(super) fn programs(text: &str) -> Result<Vec<String>, Fault> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let root = parse(text)?;
    let settings = root.object_value().ok_or_else(|| shape("the whole", "an object"))?;
    let Some(hooks) = hooks_of(&settings)? else {
        return Ok(Vec::new());
    };
    let mut programs = Vec::new();
    for property in hooks.properties() {
        let groups = groups_of(&hooks, &property.decoded_name().unwrap_or_default())?;
        let values = ours(&groups).into_iter().filter_map(|handler| handler.to_serde_value());
        programs.extend(values.filter_map(|value| Some(value.get("command")?.as_str()?.to_owned())));
    }
    Ok(programs)
}

/// Nothing but an empty object.
pub(super) fn is_empty(text: &str) -> bool {
    serde_json::from_str::<Value>(text).is_ok_and(|value| value == Value::Object(serde_json::Map::new()))
}

fn bring_in(hooks: &CstObject, entry: &Entry) -> Result<bool, Fault> {
    if hooks.get(entry.event).is_none() {
        hooks.append(entry.event, CstInputValue::Array(vec![group(&entry.handler)]));
        return Ok(true);
    }
    let groups = groups_of(hooks, entry.event)?;
    let mut ours = ours(&groups).into_iter();
    let Some(present) = ours.next() else {
        groups.append(group(&entry.handler));
        return Ok(true);
    };
    let mut changed = false;
    for doubled in ours {
        doubled.remove();
        changed = true;
    }
    if present.to_serde_value() != Some(json(&entry.handler)) {
        if let Some(object) = present.as_object() {
            object.replace_with(handler(&entry.handler));
        }
        changed = true;
    }
    Ok(changed)
}

fn take_out(hooks: &CstObject, event: &str, keep_empty: &dyn Fn(&str) -> bool) -> Result<bool, Fault> {
    let groups = groups_of(hooks, event)?;
    let mut changed = false;
    for group in groups.elements() {
        let handlers = handlers_of(&group);
        let ours: Vec<_> = handlers.iter().flat_map(CstArray::elements).filter(is_ours).collect();
        if ours.is_empty() {
            continue;
        }
        changed = true;
        for handler in ours {
            handler.remove();
        }
        if handlers.is_some_and(|handlers| handlers.elements().is_empty()) {
            group.remove();
        }
    }
    if changed
        && groups.elements().is_empty()
        && !keep_empty(event)
        && let Some(property) = hooks.get(event)
    {
        property.remove();
    }
    Ok(changed)
}

pub(super) fn parse(text: &str) -> Result<CstRootNode, Fault> {
    let strict = serde_json::from_str::<serde::de::IgnoredAny>(text);
    let tree = CstRootNode::parse(text, &ParseOptions::default());
    match (strict, tree) {
        (Ok(_), Ok(tree)) => Ok(tree),
        // What only the lenient reader takes is JSON with comments or trailing commas.
        (Err(_), Ok(_)) => Err(Fault::Comments),
        (Err(error), Err(_)) => Err(Fault::NotJson(error.to_string())),
        (Ok(_), Err(error)) => Err(Fault::NotJson(error.to_string())),
    }
}

pub(super) fn shape(at: &str, expected: &'static str) -> Fault {
    Fault::Shape {
        at: at.to_owned(),
        expected,
    }
}

fn hooks_of(settings: &CstObject) -> Result<Option<CstObject>, Fault> {
    let Some(property) = settings.get("hooks") else {
        return Ok(None);
    };
    property
        .object_value()
        .map(Some)
        .ok_or_else(|| shape("\"hooks\"", "an object"))
}

fn groups_of(hooks: &CstObject, event: &str) -> Result<CstArray, Fault> {
    let groups = hooks.get(event).and_then(|property| property.array_value());
    groups.ok_or_else(|| shape(&format!("\"hooks.{event}\""), "a list"))
}

fn handlers_of(group: &CstNode) -> Option<CstArray> {
    group.as_object()?.get("hooks")?.array_value()
}

fn ours(groups: &CstArray) -> Vec<CstNode> {
    let handlers = groups.elements().into_iter().filter_map(|group| handlers_of(&group));
    handlers
        .flat_map(|handlers| handlers.elements())
        .filter(is_ours)
        .collect()
}

/// Told by the program's name, not its path, so that a moved binary is still ours.
fn is_ours(handler: &CstNode) -> bool {
    let value = handler.to_serde_value().unwrap_or_default();
    let text = |pointer| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    match text("/command").rsplit('/').next() {
        Some("muster-hook") => value.get("args").is_some_and(Value::is_array),
        Some("muster") => text("/args/0") == "hook",
        Some(_) | None => false,
    }
}

fn group(ours: &Handler) -> CstInputValue {
    let handlers = CstInputValue::Array(vec![handler(ours)]);
    CstInputValue::Object(vec![("hooks".to_owned(), handlers)])
}

fn handler(ours: &Handler) -> CstInputValue {
    input(json(ours))
}

/// The exec form: no shell between the agent and the hook.
fn json(ours: &Handler) -> Value {
    let mut handler = serde_json::json!({
        "type": "command",
        "command": ours.command,
        "args": ours.args,
        "timeout": ours.timeout_seconds,
    });
    if ours.fail_closed {
        handler["onFailure"] = "block".into();
    }
    handler
}

pub(super) fn input(value: Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(value) => CstInputValue::Bool(value),
        Value::Number(number) => CstInputValue::Number(number.to_string()),
        Value::String(text) => CstInputValue::String(text),
        Value::Array(values) => CstInputValue::Array(values.into_iter().map(input).collect()),
        Value::Object(members) => {
            CstInputValue::Object(members.into_iter().map(|(name, value)| (name, input(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests;
