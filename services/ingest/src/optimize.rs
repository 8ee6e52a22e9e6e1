//! Keeps what tools print from filling the log: a tool's output is shortened before it is stored.
//!
//! Only output is touched (`output`, `tool_response` and the texts in it), never what a tool was asked to do. How much
//! goes is a level, chosen for all tools or for one. Everything works on whole lines, so that no character is ever cut.

use regex::Regex;
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// How much of a tool's output is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Everything.
    Off,
    /// The head and the tail of a long output.
    #[default]
    Trim,
    /// As `trim`, and without colors and runs of blank lines.
    Summarise,
    /// Only how much there was.
    Caveman,
}

impl Level {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Trim => "trim",
            Self::Summarise => "summarise",
            Self::Caveman => "caveman",
        }
    }
}

/// Section `[optimizer]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// For every tool that is not named below.
    pub level: Level,
    /// For single tools, by name.
    pub tools: BTreeMap<String, Level>,
}

/// What shortening one event's output did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Saved {
    pub(crate) level: Level,
    pub(crate) original_bytes: usize,
    pub(crate) kept_bytes: usize,
}

/// `trim` acts above both: shorter outputs are read as a whole anyway.
const TRIM_BYTES: usize = 4096;
const TRIM_LINES: usize = 30;
/// What `trim` keeps: a command's beginning says what it is, its end how it went.
const HEAD_LINES: usize = 20;
const TAIL_LINES: usize = 10;
/// `summarise` cleans above this.
const CLEAN_BYTES: usize = 1024;

/// Members of a tool's response that hold what it printed; others (paths, flags) are facts about the call.
const OUTPUT_KEYS: &[&str] = &[
    "stdout",
    "stderr",
    "output",
    "content",
    "text",
    "result",
    "error",
    "originalFile",
    "llmContent",
    "returnDisplay",
];

/// The levels, ready to be applied.
#[derive(Debug)]
pub(crate) struct Optimizer {
    config: Config,
    escapes: Regex,
}

impl Optimizer {
    /// # Errors
    /// None that a test would not show first: the pattern is a constant.
    pub(crate) fn new(config: Config) -> Result<Self, regex::Error> {
        // CSI, OSC (up to BEL or ST), then the two-byte escapes of ECMA-48.
        let escapes = Regex::new(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")?;
        Ok(Self { config, escapes })
    }

    /// Shortens the output in a finished tool call's payload; `None` when everything stays as it was.
    pub(crate) fn optimize(&self, tool: &str, payload: &mut Value) -> Option<Saved> {
        let level = *self.config.tools.get(tool).unwrap_or(&self.config.level);
        if level == Level::Off {
            return None;
        }
        let mut saved = Saved {
            level,
            original_bytes: 0,
            kept_bytes: 0,
        };
        let mut changed = false;
        for key in ["output", "tool_response"] {
            if let Some(value) = payload.get_mut(key) {
                changed |= self.shorten(level, tool, value, &mut saved);
            }
        }
        changed.then_some(saved)
    }

    fn shorten(&self, level: Level, tool: &str, value: &mut Value, saved: &mut Saved) -> bool {
        match value {
            Value::String(text) => {
                let shorter = self.shortened(level, tool, text);
                saved.original_bytes += text.len();
                saved.kept_bytes += shorter.as_deref().unwrap_or(text).len();
                shorter.map(|shorter| *text = shorter).is_some()
            }
            Value::Array(items) => items
                .iter_mut()
                .fold(false, |any, item| self.shorten(level, tool, item, saved) | any),
            Value::Object(members) => members
                .iter_mut()
                .filter(|(key, _)| OUTPUT_KEYS.contains(&key.as_str()))
                .fold(false, |any, (_, item)| self.shorten(level, tool, item, saved) | any),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }

    fn shortened(&self, level: Level, tool: &str, text: &str) -> Option<String> {
        match level {
            Level::Trim => trimmed(text),
            Level::Summarise if text.len() > CLEAN_BYTES => {
                let clean = self.cleaned(text);
                trimmed(&clean).or_else(|| (clean.len() < text.len()).then_some(clean))
            }
            Level::Caveman if !text.is_empty() => Some(format!("[{tool}: {}B of output suppressed]", text.len())),
            Level::Off | Level::Summarise | Level::Caveman => None,
        }
    }

    fn cleaned(&self, text: &str) -> String {
        let plain: Cow<'_, str> = self.escapes.replace_all(text, "");
        let mut kept = String::with_capacity(plain.len());
        let mut after_blank = false;
        for line in plain.split_inclusive('\n') {
            let blank = line.trim().is_empty();
            if !(blank && after_blank) {
                kept.push_str(line);
            }
            after_blank = blank;
        }
        kept
    }
}

fn trimmed(text: &str) -> Option<String> {
    if text.len() <= TRIM_BYTES {
        return None;
    }
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() <= TRIM_LINES {
        return None;
    }
    let omitted = lines.len() - HEAD_LINES - TAIL_LINES;
    let note = format!("[... {omitted} lines omitted ...]");
    let mut kept: Vec<&str> = lines[..HEAD_LINES].to_vec();
    kept.push(&note);
    kept.extend(&lines[lines.len() - TAIL_LINES..]);
    Some(kept.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn optimizer(level: Level) -> Optimizer {
        let tools = BTreeMap::from([("Read".to_owned(), Level::Off)]);
        Optimizer::new(Config { level, tools }).unwrap()
    }

    fn numbered(count: usize) -> String {
        (0..count).map(|n| format!("line {n} {}\n", "ü".repeat(60))).collect()
    }

    #[test]
    fn trim_keeps_twenty_lines_of_the_head_and_ten_of_the_tail() {
        let mut payload = json!({"tool_response": {"stdout": numbered(100), "stderr": "", "filePath": "/x"}});
        let saved = optimizer(Level::Trim).optimize("Bash", &mut payload).unwrap();
        let text = payload["tool_response"]["stdout"].as_str().unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 31);
        assert!(lines[19].starts_with("line 19 "));
        assert_eq!(lines[20], "[... 70 lines omitted ...]");
        assert!(lines[21].starts_with("line 90 "));
        assert_eq!(saved.kept_bytes, text.len());
        assert_eq!(saved.original_bytes, numbered(100).len());
        assert_eq!(payload["tool_response"]["filePath"], "/x");
    }

    #[test]
    fn short_or_few_lines_stay_under_trim() {
        for text in [numbered(30), "x\n".repeat(1000), "y".repeat(10_000)] {
            let mut payload = json!({"output": text.clone()});
            assert_eq!(optimizer(Level::Trim).optimize("Bash", &mut payload), None);
            assert_eq!(payload["output"], text);
        }
    }

    #[test]
    fn summarise_takes_colors_and_blank_lines_out_of_more_than_a_kibibyte() {
        let body = format!(
            "\u{1b}[1;31mred\u{1b}[0m\n\n\n\n\u{1b}]0;title\u{7}end {}",
            "z".repeat(1100)
        );
        let mut payload = json!({"output": body});
        optimizer(Level::Summarise).optimize("Bash", &mut payload).unwrap();
        assert_eq!(payload["output"], format!("red\n\nend {}", "z".repeat(1100)));
        let mut short = json!({"output": "\u{1b}[31mred"});
        assert_eq!(optimizer(Level::Summarise).optimize("Bash", &mut short), None);
    }

    #[test]
    fn caveman_tells_only_how_much_there_was() {
        let mut payload =
            json!({"tool_response": [{"type": "text", "text": "hello"}], "tool_input": {"output": "stays"}});
        let saved = optimizer(Level::Caveman).optimize("Bash", &mut payload).unwrap();
        assert_eq!(
            payload["tool_response"][0],
            json!({"type": "text", "text": "[Bash: 5B of output suppressed]"})
        );
        assert_eq!(payload["tool_input"]["output"], "stays");
        assert_eq!(saved.original_bytes, 5);
    }

    #[test]
    fn a_tool_of_its_own_level_ignores_the_general_one() {
        let mut payload = json!({"output": numbered(100)});
        assert_eq!(optimizer(Level::Caveman).optimize("Read", &mut payload), None);
        assert_eq!(optimizer(Level::Off).optimize("Bash", &mut payload), None);
    }
}
