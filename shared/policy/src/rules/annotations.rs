//! What stands before a rule: `@id @decision @grant @reason @message @description`.

use cedar_policy::{Effect, Policy};
use muster_domain::policy::Ruling;

const KNOWN: &[&str] = &["id", "decision", "grant", "reason", "message", "description"];
/// Longest code or id, in bytes: they stand in subjects' neighbours, tables and labels.
const CODE_BYTES_MAX: usize = 128;
/// Longest sentence, in bytes: a model reads it.
const MESSAGE_BYTES_MAX: usize = 2048;

#[derive(Debug)]
pub(super) struct Annotations {
    pub(super) id: Option<String>,
    pub(super) ruling: Ruling,
    pub(super) grant: bool,
    pub(super) reason: Option<String>,
    pub(super) message: Option<String>,
}

/// Reads a rule's annotations, or says everything that is wrong with them.
pub(super) fn read(policy: &Policy) -> Result<Annotations, Vec<String>> {
    let mut wrong = Vec::new();
    for (name, value) in policy.annotations() {
        if !KNOWN.contains(&name) {
            wrong.push(format!("unknown annotation @{name}; known are @{}", KNOWN.join(" @")));
        }
        let limit = if matches!(name, "message" | "description") {
            MESSAGE_BYTES_MAX
        } else {
            CODE_BYTES_MAX
        };
        if value.len() > limit {
            wrong.push(format!("@{name} has {} bytes; the limit is {limit}", value.len()));
        }
    }
    let ruling = ruling(policy).unwrap_or_else(|misplaced| {
        wrong.push(misplaced.to_string());
        Ruling::Deny
    });
    let grant = match policy.annotation("grant") {
        None | Some("false") => false,
        Some("true") if ruling == Ruling::Allow => true,
        Some("true") => {
            wrong.push("@grant stands before a permit only: a forbid grants nothing".to_owned());
            false
        }
        Some(other) => {
            wrong.push(format!("@grant({other:?}) is neither \"true\" nor \"false\""));
            false
        }
    };
    for name in ["id", "reason"] {
        if policy.annotation(name).is_some_and(|value| !is_code(value)) {
            wrong.push(format!(
                "@{name} may hold letters, digits and . _ - : / only, and is not empty"
            ));
        }
    }
    let text = |name| {
        policy
            .annotation(name)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    if !wrong.is_empty() {
        return Err(wrong);
    }
    Ok(Annotations {
        id: text("id"),
        ruling,
        grant,
        reason: text("reason"),
        message: text("message"),
    })
}

/// A decision that its rule cannot make.
#[derive(Debug, thiserror::Error)]
enum Misplaced {
    #[error("@decision({0:?}) stands before a permit, which only allows; write forbid, or leave it out")]
    BeforePermit(String),
    #[error("@decision({0:?}) stands before a forbid; it may be deny, approval_required or escalation_required")]
    BeforeForbid(String),
}

fn ruling(policy: &Policy) -> Result<Ruling, Misplaced> {
    match (policy.effect(), policy.annotation("decision")) {
        (Effect::Permit, None | Some("allow")) => Ok(Ruling::Allow),
        (Effect::Forbid, None | Some("deny")) => Ok(Ruling::Deny),
        (Effect::Forbid, Some("approval_required")) => Ok(Ruling::ApprovalRequired),
        (Effect::Forbid, Some("escalation_required")) => Ok(Ruling::EscalationRequired),
        (Effect::Permit, Some(other)) => Err(Misplaced::BeforePermit(other.to_owned())),
        (Effect::Forbid, Some(other)) => Err(Misplaced::BeforeForbid(other.to_owned())),
    }
}

fn is_code(value: &str) -> bool {
    !value.is_empty()
        && value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-:/".contains(&byte))
}
