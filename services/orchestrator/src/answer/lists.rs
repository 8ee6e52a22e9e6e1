//! Rows: sessions and hosts, a page at a time, and one session among them.

use super::page;
use muster_domain::fleet::{Fleet, SessionKey};
use muster_domain::names::{HostName, SessionId};
use muster_domain::view::{self, HostView};
use muster_wire::api::{
    self, ApiError, Cursor, ErrorKind, HostSummary, HostsList, HostsListRequest, SessionSummary, SessionsList,
    SessionsListRequest, TurnsStats, TurnsStatsRequest,
};
use std::ops::Bound;

pub(super) fn sessions(fleet: &Fleet, request: &SessionsListRequest) -> SessionsList {
    let after = request
        .cursor
        .as_ref()
        .map_or(Bound::Unbounded, |cursor| Bound::Excluded(cursor.key()));
    let keys = fleet.sessions().range((after, Bound::Unbounded)).map(|(key, _)| key);
    let wanted = keys
        .filter_map(|key| view::session(fleet, key))
        .filter(|session| request.admits(session));
    let page = page::of(wanted.map(SessionSummary::from), api::page_rows(request.limit));
    let key = |row: &SessionSummary| SessionKey {
        host: row.host.clone(),
        id: row.id.clone(),
    };
    SessionsList {
        next_cursor: page.next(|row| Cursor::after(key(row))),
        sessions: page.rows,
    }
}

pub(super) fn summary(fleet: &Fleet, key: &SessionKey) -> Result<SessionSummary, ApiError> {
    view::session(fleet, key)
        .map(SessionSummary::from)
        .ok_or_else(|| unknown(&key.id))
}

/// The one session of this id, or why it is not one.
pub(super) fn find(fleet: &Fleet, id: &SessionId, host: Option<&HostName>) -> Result<SessionKey, ApiError> {
    let keys: Vec<&SessionKey> = fleet
        .find(id)
        .map(|(key, _)| key)
        .filter(|key| host.is_none_or(|host| *host == key.host))
        .collect();
    match keys[..] {
        [] => Err(unknown(id)),
        [key] => Ok(key.clone()),
        _ => {
            let hosts: Vec<&str> = keys.iter().map(|key| key.host.as_str()).collect();
            Err(ApiError::new(
                ErrorKind::Ambiguous,
                format!("session {id} is known on {}; name one of them", hosts.join(", ")),
            ))
        }
    }
}

fn unknown(id: &SessionId) -> ApiError {
    ApiError::new(ErrorKind::NotFound, format!("no such session: {id}"))
}

pub(super) fn hosts(fleet: &Fleet, request: &HostsListRequest) -> HostsList {
    let after = |host: &HostView| request.cursor.as_ref().is_none_or(|cursor| host.name > *cursor);
    let page = page::of(
        view::hosts(fleet).filter(after).map(HostSummary::from),
        api::page_rows(request.limit),
    );
    HostsList {
        next_cursor: page.next(|host| host.name.clone()),
        hosts: page.rows,
    }
}

pub(super) fn turns(fleet: &Fleet, request: TurnsStatsRequest) -> TurnsStats {
    view::turn_stats(fleet, &request.into()).into()
}
