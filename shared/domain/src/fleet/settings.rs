//! What the fold is told from outside, in one piece: a digest is only comparable under the same.

use crate::{alert, approval, budget, circuit, delegation, memory, message};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What the fold is told from outside. Replicas of one fleet must be told the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Settings {
    /// How long a session may be silent before nobody can say what it does.
    pub silence: Duration,
    /// How long a session that is over stays listed.
    pub retention: Duration,
    /// Requests for permission.
    #[serde(default)]
    pub approvals: approval::Settings,
    /// When circuits open, and for how long.
    #[serde(default)]
    pub circuits: circuit::Settings,
    /// How long delegations are waited for.
    #[serde(default)]
    pub delegations: delegation::Settings,
    /// Budgets.
    #[serde(default)]
    pub budgets: budget::Settings,
    /// When a context counts as full.
    #[serde(default)]
    pub memory: memory::Settings,
    /// When somebody should look.
    #[serde(default)]
    pub alerts: alert::Settings,
    /// Who may write to whom.
    #[serde(default)]
    pub messages: message::Settings,
}

impl Default for Settings {
    /// 15 minutes of silence; 14 days of retention, which is as long as the log keeps its events.
    fn default() -> Self {
        Self {
            silence: Duration::from_secs(15 * 60),
            retention: Duration::from_secs(14 * 24 * 3600),
            approvals: approval::Settings::default(),
            circuits: circuit::Settings::default(),
            delegations: delegation::Settings::default(),
            budgets: budget::Settings::default(),
            memory: memory::Settings::default(),
            alerts: alert::Settings::default(),
            messages: message::Settings::default(),
        }
    }
}
