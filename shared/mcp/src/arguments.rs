//! A tool's arguments, read with words that tell a model what to do better.

use crate::asker::Refused;
use rmcp::model::JsonObject;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The arguments of one call.
pub(crate) struct Arguments(JsonObject);

impl Arguments {
    pub(crate) fn new(given: Option<JsonObject>) -> Self {
        Self(given.unwrap_or_default())
    }

    /// As a request.
    pub(crate) fn read<T: DeserializeOwned>(self) -> Result<T, Refused> {
        serde_json::from_value(self.into()).map_err(|error| Refused(format!("the arguments cannot be used: {error}")))
    }
}

impl From<Arguments> for Value {
    fn from(arguments: Arguments) -> Self {
        Self::Object(arguments.0)
    }
}
