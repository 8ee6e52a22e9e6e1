//! Budgets: listed, set, removed.

use super::{After, Asked, Then, encode_at, page};
use crate::election::now;
use muster_domain::budget;
use muster_domain::fleet::Fleet;
use muster_wire::api::{
    ApiError, BudgetRow, BudgetsList, BudgetsRemoveRequest, BudgetsRemoved, BudgetsSet, BudgetsSetRequest, ErrorKind,
};

pub(super) fn list(fleet: &Fleet) -> BudgetsList {
    let now = now();
    let budgets = fleet.budgets().in_force();
    let page = page::of(
        budgets.map(|(id, budget)| BudgetRow::new(fleet, id, budget, now)),
        usize::MAX,
    );
    BudgetsList {
        more: page.more,
        budgets: page.rows,
    }
}

pub(super) fn set(asked: &Asked<'_>, request: &BudgetsSetRequest) -> Result<After, ApiError> {
    let rule = request.rule().ok_or_else(|| {
        let detail = format!("{} is no amount", request.limit);
        ApiError::new(ErrorKind::BadRequest, detail)
    })?;
    let id = rule.id();
    let asker = asked.asker;
    let draft = budget::set(asked.fleet, rule, &asker.caller, &asker.request).map_err(|refusal| {
        let kind = match refusal {
            budget::Refusal::Nothing => ErrorKind::BadRequest,
            budget::Refusal::TooMany => ErrorKind::Conflict,
        };
        ApiError::new(kind, refusal.to_string())
    })?;
    let then: Then = Box::new(move |fleet, at| {
        let budget = fleet.budgets().get(&id);
        let budget = budget.ok_or_else(|| ApiError::new(ErrorKind::Conflict, "it was removed meanwhile"))?;
        let budget = BudgetRow::new(fleet, &id, budget, now());
        encode_at(at, BudgetsSet { budget })
    });
    Ok(After::written(vec![draft], then))
}

pub(super) fn remove(asked: &Asked<'_>, request: BudgetsRemoveRequest) -> After {
    let (id, asker) = (request.id, asked.asker);
    let draft = budget::remove(asked.fleet, &id, &asker.caller, &asker.request);
    let removed = draft.is_some();
    let then: Then = Box::new(move |_, at| encode_at(at, BudgetsRemoved { id, removed }));
    After::written(draft.into_iter().collect(), then)
}
