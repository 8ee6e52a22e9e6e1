//! `runtime.status.evaluate_context_refresh` and `runtime.checkpoint.*`: what was found about a session and its work.

use super::runtime::RuntimeMetadata;
use muster_domain::checkpoint::{self, CheckpointFact, Extent};
use muster_domain::context::{self, ContextFact};
use muster_domain::matter::Matter;
use serde::{Deserialize, Serialize};

/// `evaluate_context_refresh`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextEvaluated {
    /// What every decision carries.
    pub runtime: RuntimeMetadata,
    /// Of what.
    pub matter: Matter,
    /// What was found.
    #[serde(flatten)]
    pub evaluation: context::Evaluation,
}

/// `evaluate_checkpoint`, `evaluate_closeout`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointEvaluated {
    /// What every decision carries.
    pub runtime: RuntimeMetadata,
    /// Of what.
    pub matter: Matter,
    /// What was found.
    #[serde(flatten)]
    pub evaluation: checkpoint::Evaluation,
}

impl ContextEvaluated {
    pub(crate) fn new(runtime: RuntimeMetadata, fact: ContextFact) -> Self {
        Self {
            runtime,
            matter: fact.matter,
            evaluation: fact.evaluation,
        }
    }

    pub(crate) fn into_fact(self) -> ContextFact {
        ContextFact {
            matter: self.matter,
            evaluation: self.evaluation,
            request: self.runtime.request_id.into(),
        }
    }
}

impl CheckpointEvaluated {
    pub(crate) fn new(runtime: RuntimeMetadata, fact: CheckpointFact) -> Self {
        Self {
            runtime,
            matter: fact.matter,
            evaluation: fact.evaluation,
        }
    }

    pub(crate) fn into_fact(self, extent: Extent) -> CheckpointFact {
        CheckpointFact {
            extent,
            matter: self.matter,
            evaluation: self.evaluation,
            request: self.runtime.request_id.into(),
        }
    }
}
