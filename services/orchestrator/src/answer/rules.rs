//! Rules: made, switched, run.

use super::leases::{bad, ground};
use super::reviews::{answer, asked_by, forgotten, refused, words};
use super::{After, Asked, Then, encode_at};
use muster_domain::alert::Severity;
use muster_domain::fleet::Fleet;
use muster_domain::query::Query;
use muster_domain::review::{self, Action, Decided, NAME_BYTES_MAX, NewRule, REASON_BYTES_MAX, RuleRun, Wanted};
use muster_wire::api::{
    ApiError, RuleAnswer, RuleRow, RuleRunRow, RulesCreateRequest, RulesList, RulesRan, RulesRunRequest,
    RulesSwitchRequest,
};

pub(super) fn list(fleet: &Fleet) -> RulesList {
    RulesList {
        rules: fleet.reviews().rules().all().map(RuleRow::new).collect(),
    }
}

pub(super) fn create(asked: &Asked<'_>, request: RulesCreateRequest) -> Result<After, ApiError> {
    let digest = asked_by(asked, &request);
    if request.severity.is_some() && request.action != Action::EmitAlert {
        return Err(bad("`severity` is for action emit_alert"));
    }
    let name = words("name", Some(request.name), NAME_BYTES_MAX)?;
    let filter = Query::parse(&request.filter).map_err(|error| bad(&error.to_string()))?;
    if filter == Query::default() {
        return Err(bad("say which sessions: a `filter` that has a term"));
    }
    let new = NewRule {
        name: name.ok_or_else(|| bad("give it a `name`"))?,
        filter,
        action: request.action,
        message: words("message", request.message, REASON_BYTES_MAX)?,
        severity: request.severity.unwrap_or(Severity::Warning),
    };
    answer(review::create_rule(&ground(asked, digest), new), rule)
}

pub(super) fn switch(asked: &Asked<'_>, request: &RulesSwitchRequest, on: bool) -> Result<After, ApiError> {
    let digest = asked_by(asked, &(on, request));
    answer(review::switch_rule(&ground(asked, digest), request.id, on), rule)
}

fn rule(fleet: &Fleet, decided: &Decided) -> Result<RuleAnswer, ApiError> {
    let rule = fleet.reviews().rules().get(decided.about);
    let rule = RuleRow::new(rule.ok_or_else(forgotten)?);
    Ok(RuleAnswer { rule })
}

pub(super) fn run(asked: &Asked<'_>, request: &RulesRunRequest) -> Result<After, ApiError> {
    let wanted = Wanted {
        rule: request.id,
        since: request.since,
        dry_run: request.dry_run,
    };
    let ground = ground(asked, asked_by(asked, request));
    let (decided, runs) = review::run_rules(&ground, wanted).map_err(|refusal| refused(&refusal))?;
    let dry_run = request.dry_run;
    let then: Then = Box::new(move |fleet, at| {
        let known = fleet.reviews().rules();
        let row = |run: RuleRun| {
            let rule = known.get(run.rule)?;
            Some(RuleRunRow::new(run, &rule.definition))
        };
        let rules: Vec<RuleRunRow> = runs.into_iter().filter_map(row).collect();
        let more = rules.iter().any(|rule| rule.left > 0);
        encode_at(at, RulesRan { dry_run, rules, more })
    });
    Ok(After {
        drafts: decided.drafts,
        event: decided.soon,
        then,
    })
}
