//! Who asks for a change.

use crate::names::SessionId;

/// The caller under which the tools are served over HTTP: whoever calls them there names the session that asks.
pub const TOOLS_OVER_HTTP: &str = "mcp";

/// Who asks, as far as a decision depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asker {
    /// The name the request came under, which the hub has checked.
    pub caller: Box<str>,
    /// Whether the request proved that an operator makes it.
    pub operator: bool,
    /// The session on whose behalf it is made.
    pub session: Option<SessionId>,
    /// The request: the same again is the same request.
    pub request: Box<str>,
}
