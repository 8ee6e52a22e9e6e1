//! `host.status.*`: a host about itself.

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

/// `capability`: what it can observe and do from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Name, and whether it is there.
    pub capabilities: BTreeMap<String, bool>,
}
