//! What is asked for at a registration, as it is posted, kept and shown.

use super::account::Backpressure;
use crate::select::{SelectError, Selection};
use muster_domain::family::Family;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Events that may wait where nothing else is asked for, and at most.
const CAPACITY: u32 = 1024;
const CAPACITY_MAX: u32 = 65_536;
/// How long an observer is kept that nobody attaches to, where nothing else is asked for, and at most: as events are.
const LIFETIME: Duration = Duration::from_hours(24);
/// Shorter, and one that is attached might not be renewed in time.
const LIFETIME_MIN: Duration = Duration::from_secs(5);
const LIFETIME_MAX: Duration = Duration::from_hours(14 * 24);
/// Characters of a name, an owner, a request's id.
const TEXT_MAX: usize = 128;

/// A kind of observation of processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Category {
    Lifecycle,
    File,
    Network,
    Process,
}

impl Category {
    const fn family(self) -> Family {
        match self {
            Self::Lifecycle => Family::ProcessLifecycle,
            Self::File => Family::ProcessFile,
            Self::Network => Family::ProcessNetwork,
            Self::Process => Family::ProcessProcess,
        }
    }
}

/// Why a registration is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WishError {
    #[error(transparent)]
    Select(#[from] SelectError),
    #[error("categories are families of processes; name categories or family, not both")]
    Both,
    #[error("capacity is 1 to {CAPACITY_MAX} events, not {0}")]
    Capacity(u32),
    #[error("expires_in_seconds is {} to {}, not {given}", LIFETIME_MIN.as_secs(), LIFETIME_MAX.as_secs())]
    Lifetime { given: u64 },
    #[error("{0} has 1 to {TEXT_MAX} characters")]
    Text(&'static str),
}

/// One value or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Values {
    One(String),
    Several(Vec<String>),
}

impl Default for Values {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl Values {
    fn all(&self) -> &[String] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Several(values) => values,
        }
    }

    fn is_empty(&self) -> bool {
        self.all().is_empty()
    }
}

/// What an observer wants, and how it wants to be treated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wish {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// Whoever registered, as they say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    categories: Vec<Category>,
    #[serde(default, skip_serializing_if = "Values::is_empty")]
    family: Values,
    #[serde(default, skip_serializing_if = "Values::is_empty")]
    kind: Values,
    #[serde(default, skip_serializing_if = "Values::is_empty")]
    host: Values,
    #[serde(default, skip_serializing_if = "Values::is_empty")]
    session: Values,
    #[serde(default, skip_serializing_if = "Values::is_empty")]
    agent: Values,
    #[serde(default, skip_serializing_if = "Values::is_empty")]
    profile: Values,
    #[serde(default = "capacity")]
    pub(crate) capacity: u32,
    #[serde(default)]
    pub(crate) backpressure: Backpressure,
    #[serde(default = "lifetime_seconds")]
    expires_in_seconds: u64,
    /// The same again is the same observer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) request_id: Option<String>,
}

const fn capacity() -> u32 {
    CAPACITY
}

const fn lifetime_seconds() -> u64 {
    LIFETIME.as_secs()
}

impl Wish {
    /// The events it is about. Refuses what cannot be kept to.
    pub(crate) fn selection(&self) -> Result<Selection, WishError> {
        if !self.categories.is_empty() && !self.family.is_empty() {
            return Err(WishError::Both);
        }
        if !(1..=CAPACITY_MAX).contains(&self.capacity) {
            return Err(WishError::Capacity(self.capacity));
        }
        if !(LIFETIME_MIN.as_secs()..=LIFETIME_MAX.as_secs()).contains(&self.expires_in_seconds) {
            return Err(WishError::Lifetime {
                given: self.expires_in_seconds,
            });
        }
        for (key, text) in [
            ("name", &self.name),
            ("owner", &self.owner),
            ("request_id", &self.request_id),
        ] {
            if text
                .as_ref()
                .is_some_and(|text| !(1..=TEXT_MAX).contains(&text.chars().count()))
            {
                return Err(WishError::Text(key));
            }
        }
        let mut selection = Selection::default();
        for (key, values) in [
            ("family", &self.family),
            ("kind", &self.kind),
            ("host", &self.host),
            ("session", &self.session),
            ("agent", &self.agent),
            ("profile", &self.profile),
        ] {
            for value in values.all() {
                selection.restrict(key, value)?;
            }
        }
        for category in &self.categories {
            selection.family(category.family().as_str())?;
        }
        if selection.families().is_empty() {
            selection.family(Category::Lifecycle.family().as_str())?;
        }
        Ok(selection)
    }

    /// Places of the log that may be kept for it.
    pub(crate) fn events_kept(&self) -> u64 {
        match self.backpressure {
            Backpressure::DropOldest => self.capacity.into(),
            Backpressure::Block => 0,
        }
    }

    pub(crate) const fn lifetime(&self) -> Duration {
        Duration::from_secs(self.expires_in_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn families(wish: serde_json::Value) -> Vec<&'static str> {
        let wish: Wish = serde_json::from_value(wish).unwrap();
        let selection = wish.selection().unwrap();
        selection.families().iter().map(|family| family.as_str()).collect()
    }

    #[test]
    fn categories_are_families_of_processes_and_lifecycle_where_none_is_named() {
        assert_eq!(families(json!({})), ["process.lifecycle"]);
        assert_eq!(
            families(json!({"categories": ["network", "file"]})),
            ["process.file", "process.network"]
        );
        assert_eq!(
            families(json!({"family": "agent.hook", "host": ["a", "b"]})),
            ["agent.hook"]
        );
    }

    #[test]
    fn what_cannot_be_kept_to_is_refused_with_what_could_be() {
        for (wish, part) in [
            (json!({"categories": ["file"], "family": "process.file"}), "not both"),
            (json!({"capacity": 0}), "1 to 65536"),
            (json!({"capacity": 65_537}), "1 to 65536"),
            (json!({"expires_in_seconds": 4}), "5 to 1209600"),
            (json!({"expires_in_seconds": 1_209_601}), "1209600"),
            (json!({"name": ""}), "name has 1 to 128"),
            (json!({"request_id": "x".repeat(129)}), "request_id"),
            (json!({"family": "process.fil"}), "process.file"),
        ] {
            let read: Wish = serde_json::from_value(wish.clone()).unwrap();
            let error = read.selection().unwrap_err().to_string();
            assert!(error.contains(part), "{wish}: {error}");
        }
        let error = serde_json::from_value::<Wish>(json!({"categories": ["files"]})).unwrap_err();
        assert!(
            error.to_string().contains("`lifecycle`, `file`, `network`, `process`"),
            "{error}"
        );
    }
}
