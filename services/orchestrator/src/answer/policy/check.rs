//! A check: what the rules, and without them the families' defaults, come to for an action that somebody names.

use super::super::{After, Asked, Then, encode_at, lists};
use muster_domain::approval::{ApprovalId, Asked as AskedFor, Kind};
use muster_domain::fleet::{Fleet, SessionKey};
use muster_domain::ids::EventId;
use muster_domain::names::{SessionId, ToolName};
use muster_domain::policy::{self, ActionFamily, Asking, Ruling, Said, Speaker};
use muster_policy::{Examined, Facts, Policies, Source, Verdict, classify, fingerprint};
use muster_wire::api::{ApiError, CheckedBy, ErrorKind, PolicyCheckRequest, PolicyChecked, PolicySource};
use muster_wire::canonical;
use serde_json::Value;
use serde_json::value::to_raw_value;
use std::time::Duration;
use uuid::Uuid;

/// What a check guards, in the words its clients know.
const POSTURE: &str = "guarded_local_execution";
/// How long an approval is waited for where the caller does not say: as long as an effect may be late.
const WAIT: Duration = Duration::from_mins(10);
/// Most bytes of a call that is checked, its input as JSON. Judging takes longer the more there is to read, and the leader
/// does nothing else meanwhile: of a call as large as this, made to take long, tens of milliseconds.
const CALL_BYTES_MAX: usize = 16 * 1024;
/// The longest wait that is taken.
const WAIT_MAX: Duration = Duration::from_hours(24);

/// Checks, and asks people where the answer says so.
pub(crate) fn check(asked: &Asked<'_>, request: &PolicyCheckRequest) -> Result<After, ApiError> {
    let fleet = asked.fleet;
    is_short_enough(request)?;
    let key = session(fleet, request)?;
    let examined = examine(asked, request, key.as_ref())?;
    let said = examined.verdict.as_ref().map(|verdict| Said {
        ruling: verdict.decision,
        reason: verdict.reason_code.clone(),
    });
    let family = examined.classed.family;
    let blocked = request
        .session
        .as_ref()
        .and_then(|session| policy::blocked(fleet, session, asked.now));
    let checked = policy::check(family, blocked, said);
    let verdict = examined.verdict.filter(|_| checked.by == Speaker::Rule);
    let message = verdict
        .as_ref()
        .map_or_else(|| sentence(checked.ruling, family), |verdict| verdict.message.clone());
    let unevaluated = examined
        .unevaluated
        .iter()
        .map(|one| format!("{}: {}", one.rule, one.error));
    let mut answer = PolicyChecked {
        decision: checked.ruling,
        reason_code: checked.reason,
        message,
        action: family,
        by: match checked.by {
            Speaker::Session => CheckedBy::Session,
            Speaker::Rule => CheckedBy::Rule,
            Speaker::Default => CheckedBy::Default,
        },
        rules: verdict.map_or_else(Vec::new, |verdict: Verdict| verdict.rules),
        unevaluated: unevaluated.collect(),
        posture: POSTURE.to_owned(),
        fail_closed: true,
        policy_sources: sources(fleet),
        fingerprint: fleet
            .policy()
            .active()
            .map(|active| active.activation.fingerprint.to_string()),
        approval_id: None,
    };
    if answer.decision != Ruling::ApprovalRequired || request.dry_run {
        return Ok(After::nothing(Box::new(move |_, at| encode_at(at, answer))));
    }
    let id = approval_id(&asked.asker.caller, &asked.asker.request);
    answer.approval_id = Some(id);
    let what = asked_for(request, family, &answer.message)?;
    let wait = request.wait_ms.map_or(WAIT, Duration::from_millis).min(WAIT_MAX);
    let asking = policy::ask(
        fleet,
        asked.overlay,
        asked.asker,
        id,
        key.as_ref(),
        what,
        asked.now.after(wait),
    )
    .map_err(|taken| ApiError::new(ErrorKind::Conflict, taken.to_string()))?;
    let then: Then = Box::new(move |_, at| encode_at(at, answer));
    Ok(match asking {
        Asking::Now(draft) => After::written(vec![*draft], then),
        Asking::Soon(event) => After::folded(event, then),
        Asking::Before => After::nothing(then),
    })
}

/// Why a session may not make this call, where a rule in force says so. What a rule wants approved is asked for when the
/// call is made, where its agent can wait for the answer.
pub(crate) fn forbids(
    asked: &Asked<'_>,
    key: &SessionKey,
    tool: &str,
    input: Value,
) -> Result<Option<String>, ApiError> {
    let request = PolicyCheckRequest {
        tool: Some(tool.to_owned()),
        input: Some(input),
        session: Some(key.id.clone()),
        host: Some(key.host.clone()),
        ..PolicyCheckRequest::default()
    };
    let examined = examine(asked, &request, Some(key))?;
    let against = |verdict: &Verdict| matches!(verdict.decision, Ruling::Deny | Ruling::EscalationRequired);
    let verdict = examined.verdict.filter(against);
    Ok(verdict.map(|verdict| format!("policy: {}", verdict.message)))
}

/// Why whoever asks may not do something of this family, where neither a rule allows it nor its default does.
pub(crate) fn stands_in_the_way(asked: &Asked<'_>, family: ActionFamily) -> Result<Option<String>, ApiError> {
    let session = asked.asker.session.as_ref();
    let key = session.and_then(|id| lists::find(asked.fleet, id, None).ok());
    let request = PolicyCheckRequest {
        action: Some(family),
        session: session.cloned(),
        ..PolicyCheckRequest::default()
    };
    let said = examine(asked, &request, key.as_ref())?.verdict.map(|verdict| Said {
        ruling: verdict.decision,
        reason: verdict.reason_code,
    });
    let blocked = session.and_then(|session| policy::blocked(asked.fleet, session, asked.now));
    let checked = policy::check(family, blocked, said);
    let why = || format!("{} ({})", sentence(checked.ruling, family), checked.reason);
    Ok((checked.ruling != Ruling::Allow).then(why))
}

fn is_short_enough(request: &PolicyCheckRequest) -> Result<(), ApiError> {
    let texts = [&request.tool, &request.cwd, &request.summary];
    let texts: usize = texts.into_iter().flatten().map(String::len).sum();
    let input = request.input.as_ref().map_or(0, |input| input.to_string().len());
    let found = texts.saturating_add(input);
    if found <= CALL_BYTES_MAX {
        return Ok(());
    }
    let text = format!(
        "the call is too large to be checked: its `tool`, `input`, `cwd` and `summary` have {found} bytes, the limit is \
         {CALL_BYTES_MAX}; leave out of `input` what no rule looks at"
    );
    Err(ApiError::new(ErrorKind::BadRequest, text))
}

/// The agent's session; none where the id is that of leased work.
fn session(fleet: &Fleet, request: &PolicyCheckRequest) -> Result<Option<SessionKey>, ApiError> {
    let leased = |id: &&SessionId| fleet.leases().of(id).is_some();
    let id = request.session.as_ref().filter(|id| !leased(id));
    id.map(|id| lists::find(fleet, id, request.host.as_ref())).transpose()
}

/// What the rules say of the call, or of an action of that family.
fn examine(asked: &Asked<'_>, request: &PolicyCheckRequest, key: Option<&SessionKey>) -> Result<Examined, ApiError> {
    let session = key.and_then(|key| asked.fleet.session(key));
    let (tool, empty) = (request.tool.as_deref().unwrap_or_default(), Value::Null);
    if tool.is_empty() && request.action.is_none() {
        return Err(ApiError::new(
            ErrorKind::BadRequest,
            "name an `action` family, or the `tool` that would run",
        ));
    }
    let host = key.map(|key| &key.host).or(request.host.as_ref());
    let agent = session.and_then(|session| session.agent()).or(request.agent.as_ref());
    let known_cwd = session.and_then(|session| session.cwd());
    let facts = Facts {
        host: host.map_or("", |host| host.as_str()),
        agent: agent.map_or("", |agent| agent.as_str()),
        session: request.session.as_ref().map_or("", |id| id.as_str()),
        profile: session
            .and_then(|session| session.profile())
            .map_or("default", |profile| profile.as_str()),
        cwd: request.cwd.as_deref().or(known_cwd).unwrap_or_default(),
        ..Facts::of_call(tool, request.input.as_ref().unwrap_or(&empty))
    };
    let examine = |policies: &Policies| match request.action {
        Some(family) => policies.examine_as(&facts, family),
        None => policies.examine(&facts),
    };
    match asked.in_force.read(asked.fleet) {
        Some(Ok(policies)) => Ok(examine(&policies)),
        Some(Err(error)) => {
            let text = format!("the rules in force cannot be read here; upgrade the orchestrator: {error}");
            Err(ApiError::new(ErrorKind::Internal, text))
        }
        None => {
            let classed = classify(&facts);
            Ok(Examined {
                classed: match request.action {
                    Some(family) => classed.known_as(family),
                    None => classed,
                },
                verdict: None,
                unevaluated: Vec::new(),
            })
        }
    }
}

fn asked_for(request: &PolicyCheckRequest, family: ActionFamily, message: &str) -> Result<AskedFor, ApiError> {
    let input = request.input.clone().unwrap_or_default();
    let input = to_raw_value(&input).map_err(|error| ApiError::new(ErrorKind::BadRequest, error.to_string()))?;
    let tool = request
        .tool
        .as_deref()
        .filter(|tool| !tool.is_empty())
        .unwrap_or(family.as_str());
    Ok(AskedFor {
        kind: Kind::PolicyCheck,
        tool: ToolName::new(tool).map_err(|error| ApiError::new(ErrorKind::BadRequest, error.to_string()))?,
        call: None,
        subagent: None,
        prompt: None,
        digest: canonical::input_digest(&input),
        summary: Some(request.summary.as_deref().unwrap_or(message).into()),
        cwd: request.cwd.as_deref().map(Into::into),
        permission_mode: None,
        input: request.input.as_ref().map(|_| input.get().into()),
        suggestions: None,
        overflow: None,
    })
}

/// The approval of a request: the same request asks for the same one.
fn approval_id(caller: &str, request: &str) -> ApprovalId {
    // One that is made here, or by a caller who does as we do, sorts by its time.
    let id = Uuid::parse_str(request)
        .ok()
        .filter(|id| id.get_version_num() == 7)
        .unwrap_or_else(|| {
            let digest = fingerprint(&[Source {
                name: caller.to_owned(),
                text: request.to_owned(),
            }]);
            let hex = digest.rsplit(':').next().unwrap_or_default();
            let bytes = u128::from_str_radix(hex.get(..32).unwrap_or_default(), 16).unwrap_or_default();
            uuid::Builder::from_custom_bytes(bytes.to_be_bytes()).into_uuid()
        });
    ApprovalId::of(EventId::from_uuid(id))
}

/// The texts in force, and the families' defaults behind them.
fn sources(fleet: &Fleet) -> Vec<PolicySource> {
    let texts = fleet
        .policy()
        .active()
        .map_or(&[][..], |active| &active.activation.sources);
    let row = |source: Source, locality: &str| PolicySource {
        fingerprint: fingerprint(std::slice::from_ref(&source)),
        name: source.name,
        locality: locality.to_owned(),
    };
    let active = texts.iter().map(|source| Source {
        name: source.name.to_string(),
        text: source.text.to_string(),
    });
    let mut rows: Vec<PolicySource> = active.map(|source| row(source, "fleet")).collect();
    rows.push(row(Source::ccd(), "builtin"));
    rows
}

fn sentence(ruling: Ruling, family: ActionFamily) -> String {
    match ruling {
        Ruling::Allow => format!("{family} is allowed"),
        Ruling::ApprovalRequired => format!("{family} needs an approval"),
        Ruling::EscalationRequired => format!("{family} waits until somebody looked at the session"),
        Ruling::Deny => format!("{family} is denied"),
    }
}
