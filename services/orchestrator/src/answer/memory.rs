//! How full contexts are.

use super::lists;
use muster_domain::fleet::Fleet;
use muster_domain::memory;
use muster_domain::session::Session;
use muster_wire::api::{ApiError, ErrorKind, MemoryReport, MemoryReportRequest};

/// Of a session as it was measured, or of what the request says instead.
pub(super) fn report(fleet: &Fleet, request: &MemoryReportRequest) -> Result<MemoryReport, ApiError> {
    let given = request.used_tokens.zip(request.window_tokens);
    let found = match &request.session {
        Some(id) => lists::find(fleet, id, request.host.as_ref()).map(Some),
        None => Ok(None),
    };
    // trusty-mpm's clients name a session that need not be known.
    let key = if given.is_some() { found.ok().flatten() } else { found? };
    let session = key.and_then(|key| fleet.session(&key));
    if session.is_none() && given.is_none() {
        let text = "name a `session`, or give `used_tokens` and `window_tokens`";
        return Err(ApiError::new(ErrorKind::BadRequest, text));
    }
    let context = session.and_then(Session::context);
    let used_tokens = request.used_tokens.or(context.map(|context| context.used_tokens));
    let window_tokens = request
        .window_tokens
        .or_else(|| context.and_then(|context| context.window_tokens));
    let fraction = used_tokens
        .zip(window_tokens)
        .map(|(used, window)| memory::fraction(used, window))
        .transpose()
        .map_err(|error| ApiError::new(ErrorKind::BadRequest, error.to_string()))?;
    let config = fleet.settings().memory.thresholds();
    Ok(MemoryReport {
        used_tokens,
        window_tokens,
        fraction,
        pressure: fraction.map(|fraction| config.pressure(fraction)),
        config,
        compaction: session.and_then(Session::compaction).map(Into::into),
    })
}
