//! How full an agent's context is, and from when on that matters.
//!
//! The thresholds are those of trusty-mpm's memory configuration, as shares of the window. What a session's context asks
//! for is announced when it changes, and what a compaction made of it once it is over. For a context that is nearly full a
//! compaction is asked for, once; where nobody can carry it out, or it made no room, that is an alert.

mod compact;
mod conclude;

pub use compact::{UnderWay, nothing_to_compact};
pub(crate) use conclude::{catch_up, due, expire, react};

use crate::family::{EventType, MemoryCompactionKind};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// From when on there is pressure; each a share of the window, strictly rising.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Thresholds {
    /// Worth a look.
    pub warn_at: f64,
    /// Soon full.
    pub alert_at: f64,
    /// To be compacted now.
    pub compact_at: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            warn_at: 0.70,
            alert_at: 0.85,
            compact_at: 0.90,
        }
    }
}

/// What a context's fill asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Pressure {
    /// Nothing.
    Ok,
    /// A look.
    Warn,
    /// Preparations.
    Alert,
    /// A compaction.
    Compact,
}

impl Pressure {
    /// The name, as in `Compact`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "Ok",
            Self::Warn => "Warn",
            Self::Alert => "Alert",
            Self::Compact => "Compact",
        }
    }
}

/// What the fold is told of contexts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Settings {
    /// Worth a look, in hundredths of the window.
    pub warn_percent: u8,
    /// Soon full.
    pub alert_percent: u8,
    /// To be compacted now.
    pub compact_percent: u8,
    /// How long the first measure after a compaction is waited for, before it is announced without.
    pub settle: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            warn_percent: 70,
            alert_percent: 85,
            compact_percent: 90,
            settle: Duration::from_mins(1),
        }
    }
}

impl Settings {
    /// Whether each threshold lies above the one before, and within the window.
    pub const fn is_rising(&self) -> bool {
        0 < self.warn_percent
            && self.warn_percent < self.alert_percent
            && self.alert_percent < self.compact_percent
            && self.compact_percent <= 100
    }

    /// The same, as shares.
    pub fn thresholds(&self) -> Thresholds {
        let share = |percent: u8| f64::from(percent) / 100.0;
        Thresholds {
            warn_at: share(self.warn_percent),
            alert_at: share(self.alert_percent),
            compact_at: share(self.compact_percent),
        }
    }

    /// What this context asks for; nobody can say of one whose size is not known.
    pub fn pressure(&self, used_tokens: u64, window_tokens: Option<u64>) -> Option<Pressure> {
        let fraction = fraction(used_tokens, window_tokens?).ok()?;
        Some(self.thresholds().pressure(fraction))
    }
}

/// One compaction of one session's context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Compaction {
    /// When it began.
    pub began: Timestamp,
    /// When it was over.
    pub ended: Timestamp,
    /// Tokens in the context when it began, where they were known.
    pub before: Option<u64>,
    /// Tokens in the context when they were first measured after it, where they were.
    pub after: Option<u64>,
}

/// Something concluded of a session's context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MemoryFact {
    /// It asks for something else now.
    PressureChanged {
        /// What was last announced.
        from: Pressure,
        /// What it asks for.
        to: Pressure,
        /// Tokens in it.
        used_tokens: u64,
        /// Tokens that fit.
        window_tokens: u64,
    },
    /// It was compacted.
    Compacted(Compaction),
}

impl MemoryFact {
    pub(crate) const fn event_type(&self) -> EventType {
        EventType::MemoryCompaction(match self {
            Self::PressureChanged { .. } => MemoryCompactionKind::PressureChanged,
            Self::Compacted(_) => MemoryCompactionKind::CompactMemory,
        })
    }

    /// What makes two the same, beside the event they were drawn from: a compaction is one, whatever drew attention to it.
    pub(crate) fn identity(&self) -> String {
        match self {
            Self::PressureChanged { to, .. } => to.as_str().to_owned(),
            Self::Compacted(compaction) => compaction.ended.as_millis().to_string(),
        }
    }
}

/// A window that holds nothing, so that no share of it can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("window_tokens must be greater than 0")]
pub struct NoWindow;

/// The share of the window that is used, from 0 to 1.
///
/// # Errors
/// [`NoWindow`].
pub fn fraction(used_tokens: u64, window_tokens: u64) -> Result<f64, NoWindow> {
    if window_tokens == 0 {
        return Err(NoWindow);
    }
    // Exact below 2^53 tokens.
    Ok((used_tokens as f64 / window_tokens as f64).min(1.0))
}

impl Thresholds {
    /// What a fill asks for; a threshold is reached by being met.
    pub fn pressure(&self, fraction: f64) -> Pressure {
        if fraction >= self.compact_at {
            Pressure::Compact
        } else if fraction >= self.alert_at {
            Pressure::Alert
        } else if fraction >= self.warn_at {
            Pressure::Warn
        } else {
            Pressure::Ok
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_are_the_same_thresholds() {
        assert_eq!(Settings::default().thresholds(), Thresholds::default());
        assert_eq!(Settings::default().pressure(900, Some(1000)), Some(Pressure::Compact));
        assert_eq!(Settings::default().pressure(900, None), None);
        assert_eq!(Settings::default().pressure(900, Some(0)), None);
    }

    #[test]
    fn each_threshold_is_reached_by_being_met() {
        let pressure = |used| Thresholds::default().pressure(fraction(used, 1000).unwrap());
        let expected = [
            (0, Pressure::Ok),
            (699, Pressure::Ok),
            (700, Pressure::Warn),
            (849, Pressure::Warn),
            (850, Pressure::Alert),
            (899, Pressure::Alert),
            (900, Pressure::Compact),
            (5000, Pressure::Compact),
        ];
        for (used, asked_for) in expected {
            assert_eq!(pressure(used), asked_for, "{used}");
        }
        assert_eq!(fraction(5000, 1000), Ok(1.0));
        assert_eq!(fraction(1, 0), Err(NoWindow));
    }
}
