//! How full an agent's context is, and from when on that matters.
//!
//! The thresholds are those of trusty-mpm's memory configuration, as shares of the window.

use serde::{Deserialize, Serialize};

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
