//! `runtime.policy.*`.

use super::runtime::RuntimeMetadata;
use crate::edge::Source;
use muster_domain::policy::{self, Activation, PolicyFact};
use serde::{Deserialize, Serialize};

/// `runtime.policy.activated`: these rules are in force from here on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyActivated {
    /// What every decision carries.
    pub runtime: RuntimeMetadata,
    /// Counts activations, from 1.
    pub version: u64,
    /// One name for the sources.
    pub fingerprint: String,
    /// What the operator calls them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The texts.
    pub sources: Vec<Source>,
    /// Who activated them.
    pub by: String,
}

impl PolicyActivated {
    pub(crate) fn new(runtime: RuntimeMetadata, activation: &Activation) -> Self {
        Self {
            runtime,
            version: activation.version,
            fingerprint: activation.fingerprint.to_string(),
            name: activation.name.as_deref().map(str::to_owned),
            sources: activation.sources.iter().map(Source::from).collect(),
            by: activation.by.to_string(),
        }
    }

    pub(crate) fn into_fact(self) -> PolicyFact {
        PolicyFact::Activated(Box::new(Activation {
            version: self.version,
            fingerprint: self.fingerprint.into(),
            name: self.name.map(Into::into),
            sources: self.sources.into_iter().map(Into::into).collect(),
            by: self.by.into(),
            request: self.runtime.request_id.into(),
        }))
    }
}

impl From<&policy::Source> for Source {
    fn from(source: &policy::Source) -> Self {
        Self {
            name: source.name.to_string(),
            text: source.text.to_string(),
        }
    }
}

impl From<Source> for policy::Source {
    fn from(source: Source) -> Self {
        Self {
            name: source.name.into(),
            text: source.text.into(),
        }
    }
}
