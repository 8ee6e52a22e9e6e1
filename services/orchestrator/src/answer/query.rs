//! Sessions that a query names, and what is asked of the index.

use super::{Asked, page};
use crate::index::{Question, Terms};
use muster_domain::fleet::{Fleet, SessionKey};
use muster_domain::query::{Query, Row};
use muster_domain::session::Session;
use muster_domain::time::Timestamp;
use muster_domain::view;
use muster_wire::api::{
    ApiError, ErrorKind, Place, SessionSummary, SessionsFound, SessionsMetricsRequest, SessionsQueryRequest,
    SessionsSearchRequest, SessionsSummary, SessionsSummaryRequest,
};
use muster_wire::limits::PAGE_ROWS_MAX;

/// Rows where nobody says: kaizen's number.
const ROWS: usize = 50;
/// Days of metrics where nobody says.
const DAYS: u32 = 7;

fn read(expr: &str) -> Result<Query, ApiError> {
    Query::parse(expr).map_err(|error| refused(&error))
}

fn refused(error: &dyn std::error::Error) -> ApiError {
    ApiError::new(ErrorKind::BadRequest, error.to_string())
}

/// Which sessions are meant.
struct Meant {
    query: Query,
    since: Option<Timestamp>,
    now: Timestamp,
}

impl Meant {
    fn admits(&self, fleet: &Fleet, key: &SessionKey, session: &Session) -> bool {
        self.since.is_none_or(|since| session.last_seen() >= since)
            && self.query.matches(&Row::of(fleet, key, session), self.now)
    }
}

/// Held against every session, in place; only the rows of the page are made.
pub(super) fn query(asked: &Asked<'_>, request: &SessionsQueryRequest) -> Result<SessionsFound, ApiError> {
    let meant = Meant {
        query: read(&request.expr)?,
        since: request.since,
        now: asked.now,
    };
    let place = |key: &SessionKey, session: &Session| Place::of(key.clone(), session.known_since());
    let found = asked.fleet.sessions().iter().filter_map(|(key, session)| {
        let place = place(key, session);
        let after = request.cursor.as_ref().is_none_or(|cursor| place > *cursor);
        (after && meant.admits(asked.fleet, key, session)).then_some((place, key))
    });
    let mut found: Vec<_> = found.collect();
    found.sort_unstable();
    let limit = request.limit.unwrap_or(ROWS).clamp(1, PAGE_ROWS_MAX);
    let rows = found.iter().filter_map(|(_, key)| view::session(asked.fleet, key));
    let page = page::of(rows.map(SessionSummary::from), limit);
    let named = |row: &SessionSummary| {
        let key = SessionKey {
            host: row.host.clone(),
            id: row.id.clone(),
        };
        Place::of(key, row.started)
    };
    Ok(SessionsFound {
        expr: meant.query.to_string(),
        next_cursor: page.next(named),
        sessions: page.rows,
    })
}

pub(super) fn summary(
    fleet: &Fleet,
    now: Timestamp,
    request: &SessionsSummaryRequest,
) -> Result<SessionsSummary, ApiError> {
    let meant = Meant {
        query: read(request.expr.as_deref().unwrap_or_default())?,
        since: request.since,
        now,
    };
    Ok(view::summary(fleet, |key, session| meant.admits(fleet, key, session)).into())
}

pub(super) fn search(asked: &Asked<'_>, request: &SessionsSearchRequest) -> Result<Question, ApiError> {
    let terms = Terms::read(&request.query).map_err(|error| refused(&error))?;
    Ok(Question::search(asked.at(), request, terms))
}

pub(super) fn metrics(asked: &Asked<'_>, request: &SessionsMetricsRequest) -> Result<Question, ApiError> {
    match request.days.unwrap_or(DAYS) {
        0 => Err(ApiError::new(
            ErrorKind::BadRequest,
            "days is 0; metrics are of one day at least",
        )),
        days => Ok(Question::metrics(asked.at(), asked.now, days)),
    }
}
