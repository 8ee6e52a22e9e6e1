//! What can be asked for, and in which words.

use super::Operator;
use std::fmt;

macro_rules! fields {
    ($( $(#[doc = $about:literal])+ $variant:ident = $name:literal, $shape:ident; )+) => {
        /// Something that is known of a session.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Field { $($(#[doc = $about])+ $variant,)+ }

        impl Field {
            /// Every field.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The name, as in `tokens_total`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What it is, in a sentence.
            pub const fn about(self) -> &'static str {
                match self { $(Self::$variant => concat!($($about),+).trim_ascii(),)+ }
            }

            pub(super) const fn shape(self) -> Shape {
                match self { $(Self::$variant => Shape::$shape,)+ }
            }
        }
    };
}

fields! {
    /// The product that runs it, as in `claude-code`.
    Agent = "agent", Text;
    /// The model it used last.
    Model = "model", Text;
    /// Its host.
    Host = "host", Text;
    /// Its id.
    Session = "session", Text;
    /// What it does. Also kaizen's words: `running`, `waiting`, `done`.
    State = "state", State;
    /// What happened in it: `prompt`, `tool`, `permission`, `subagent`, `error`. Its latest turns are looked at.
    Kind = "kind", Kind;
    /// A tool that it called in one of its latest turns.
    Tool = "tool", Text;
    /// The first line of a prompt of one of its latest turns.
    Prompt = "prompt", Text;
    /// Its folder, or a file that a call of its latest turns named; `=` takes what is below as well.
    Path = "path", Path;
    /// Its turns.
    Turns = "turns", Number;
    /// Its tool calls.
    ToolCalls = "tool_calls", Number;
    /// Tool calls of it that failed.
    Errors = "errors", Number;
    /// All its tokens.
    TokensTotal = "tokens_total", Number;
    /// Tokens that went into its model, cached ones included.
    TokensIn = "tokens_in", Number;
    /// Tokens that came out of its model.
    TokensOut = "tokens_out", Number;
    /// US dollars that its wrapped runs cost.
    CostUsd = "cost_usd", Usd;
    /// From its beginning to when it was last heard of.
    Duration = "duration", Span;
    /// When it was first heard of.
    Started = "started", Moment;
    /// When it was last heard of.
    LastSeen = "last_seen", Moment;
    /// A label that somebody gave it.
    FeedbackLabel = "feedback_label", Text;
    /// A score that somebody gave it.
    FeedbackScore = "feedback_score", Number;
}

/// Which values a field has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Text,
    Path,
    State,
    Kind,
    Number,
    Usd,
    Span,
    Moment,
}

impl Shape {
    /// What a field of this shape can be held against its values by.
    pub(super) const fn operators(self) -> &'static [Operator] {
        match self {
            Self::Text | Self::Path => &[Operator::Is, Operator::IsNot, Operator::Contains],
            Self::State | Self::Kind => &[Operator::Is, Operator::IsNot],
            Self::Number | Self::Usd | Self::Span => &[
                Operator::Is,
                Operator::IsNot,
                Operator::More,
                Operator::AtLeast,
                Operator::Less,
                Operator::AtMost,
            ],
            Self::Moment => &[Operator::More, Operator::AtLeast, Operator::Less, Operator::AtMost],
        }
    }

    /// What a value looks like.
    pub(super) const fn example(self) -> &'static str {
        match self {
            Self::Text => "a text, in double quotes where it has spaces or commas",
            Self::Path => "a path, in double quotes where it has spaces or commas",
            Self::State => {
                "a state: starting, working, waiting_approval, waiting_input, idle, compacting, stopped, failed, lost, unknown, or running, waiting, done"
            }
            Self::Kind => "one of prompt, tool, permission, subagent, error",
            Self::Number => "a whole number, as in 1500, 20k or 3m",
            Self::Usd => "US dollars, as in 0.25, with at most six decimals",
            Self::Span => "a span of time, as in 500ms, 90s, 5m, 2h or 7d",
            Self::Moment => "a time, as in 2026-11-21T12:00:00Z, or how long ago, as in 24h or 7d",
        }
    }
}

impl Field {
    /// The field of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        // kaizen's word for it.
        let name = if name == "status" { "state" } else { name };
        Self::ALL.iter().copied().find(|field| field.as_str() == name)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What can have happened in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A prompt was given.
    Prompt,
    /// A tool was called.
    Tool,
    /// A tool waited for permission.
    Permission,
    /// A subagent worked.
    Subagent,
    /// A call or a turn failed.
    Error,
}

impl Kind {
    /// Every kind.
    pub const ALL: &[Self] = &[Self::Prompt, Self::Tool, Self::Permission, Self::Subagent, Self::Error];

    /// The name, as in `tool`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::Tool => "tool",
            Self::Permission => "permission",
            Self::Subagent => "subagent",
            Self::Error => "error",
        }
    }
}
