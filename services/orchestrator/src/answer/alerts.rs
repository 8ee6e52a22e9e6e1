//! Alerts: listed.

use super::page;
use muster_domain::fleet::Fleet;
use muster_wire::api::{self, AlertRow, AlertState, AlertsList, AlertsListRequest};
use std::cmp::Reverse;

pub(super) fn list(fleet: &Fleet, request: &AlertsListRequest) -> AlertsList {
    let standing = fleet.alerts().standing().iter();
    let mut alerts: Vec<AlertRow> = standing.map(|(key, alert)| AlertRow::standing(key, alert)).collect();
    alerts.sort_by_key(|row| Reverse(row.raised_at));
    if request.state == AlertState::All {
        alerts.extend(fleet.alerts().ended().map(AlertRow::ended));
    }
    alerts.retain(|row| {
        request.rule.is_none_or(|rule| row.rule == Some(rule))
            && request.severity.is_none_or(|least| row.severity >= least)
            && request
                .since
                .is_none_or(|since| row.cleared_at.is_none_or(|at| at >= since))
            && request.host.as_ref().is_none_or(|host| row.host.as_ref() == Some(host))
            && request
                .session
                .as_ref()
                .is_none_or(|id| row.session.as_ref() == Some(id))
    });
    let page = page::of(alerts, api::page_rows(request.limit));
    AlertsList {
        more: page.more,
        alerts: page.rows,
    }
}
