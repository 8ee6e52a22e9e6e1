//! `host.status.*`: a host about itself.

use super::watch::Category;
use muster_domain::ids::InstanceId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `started`: an ingest begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Its version.
    pub version: String,
    /// This start of it.
    pub instance: InstanceId,
    /// What the machine calls itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hostname: String,
    /// What it can observe and do here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub capabilities: BTreeMap<String, bool>,
}

/// `degraded`, `recovered` and `stopping`: why.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Reason {
    /// In words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// `capability`: what of processes can be observed on this host, from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Each category in each scope, once.
    pub observes: Vec<Capability>,
}

/// Whether one category of events can be observed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capability {
    /// What is observed.
    pub category: Category,
    /// Of which processes.
    pub scope: Scope,
    /// How well.
    pub support: Support,
    /// By what means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// What is missed, in words.
    pub reason: String,
}

/// Of which processes something is observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Those that `muster run` launched, directly or not.
    LaunchedProcessTree,
    /// All of the machine.
    SystemWide,
}

/// How well something is observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Support {
    /// All that is there for long enough.
    Supported,
    /// With gaps that the reason names.
    Partial,
    /// Not at all.
    Unavailable,
}

/// What a host has of what observing needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Means {
    /// The kernel lists the children of a process: Linux, built with `CONFIG_PROC_CHILDREN`.
    pub children: bool,
    /// It lists the descriptors of a process.
    pub descriptors: bool,
    /// It lists its TCP sockets.
    pub sockets: bool,
}

/// How everything that can be observed is.
const SAMPLES: &str = "proc-sampling";

impl Capabilities {
    /// What a host with these means can observe.
    pub fn of(means: Means) -> Self {
        let launched = Category::ALL.map(|category| launched(category, means));
        let everywhere = Category::ALL.map(|category| Capability {
            category,
            scope: Scope::SystemWide,
            support: Support::Unavailable,
            backend: None,
            reason: "processes that no run launched are not looked at".to_owned(),
        });
        Self {
            observes: launched.into_iter().chain(everywhere).collect(),
        }
    }
}

fn launched(category: Category, means: Means) -> Capability {
    let there = means.children
        && match category {
            Category::Lifecycle | Category::Process => true,
            Category::File => means.descriptors,
            Category::Network => means.descriptors && means.sockets,
        };
    let (support, reason) = match category {
        _ if !there => (Support::Unavailable, "the system does not list it under /proc"),
        Category::Lifecycle => (Support::Supported, "what begins and ends between two samples is missed"),
        Category::Process => (
            Support::Supported,
            "a program that runs itself anew is not told from before",
        ),
        Category::File => (
            Support::Partial,
            "what is opened and closed between two samples is missed, and writes that no offset shows",
        ),
        Category::Network => (
            Support::Partial,
            "only TCP; what begins and ends between two samples is missed",
        ),
    };
    Capability {
        category,
        scope: Scope::LaunchedProcessTree,
        support,
        backend: there.then(|| SAMPLES.to_owned()),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINUX: Means = Means {
        children: true,
        descriptors: true,
        sockets: true,
    };

    fn support(means: Means, scope: Scope) -> Vec<Support> {
        let all = Capabilities::of(means).observes.into_iter();
        let of_scope = all.filter(|capability| capability.scope == scope);
        of_scope.map(|capability| capability.support).collect()
    }

    #[test]
    fn what_a_host_observes_is_what_it_has_the_means_for() {
        use Support::{Partial, Supported, Unavailable};
        let launched = |means| support(means, Scope::LaunchedProcessTree);
        assert_eq!(launched(LINUX), [Supported, Supported, Partial, Partial]);
        let no_sockets = Means {
            sockets: false,
            ..LINUX
        };
        assert_eq!(launched(no_sockets), [Supported, Supported, Partial, Unavailable]);
        let no_children = Means {
            children: false,
            ..LINUX
        };
        for means in [Means::default(), no_children] {
            assert_eq!(launched(means), [Unavailable; 4]);
        }
        assert_eq!(support(LINUX, Scope::SystemWide), [Unavailable; 4]);
    }

    #[test]
    fn what_is_unavailable_has_no_backend_and_everything_says_what_is_missed() {
        for means in [LINUX, Means::default()] {
            for capability in Capabilities::of(means).observes {
                assert!(!capability.reason.is_empty());
                assert_eq!(capability.backend.is_none(), capability.support == Support::Unavailable);
            }
        }
    }
}
