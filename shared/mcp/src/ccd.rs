//! CCD's tools: a few names, each with a few commands, over the operations that there are.
//!
//! What CCD's clients send is put into the words of the operations: `path` is the workspace, `session_owner` says who
//! writes, and `runtime_request` carries the id of the request. Everything else has the names of the operation behind the
//! command, and a word that this does not know is refused rather than dropped. What comes back is the operation's answer.

use crate::arguments::Arguments;
use crate::asker::{Asker, Refused};
use muster_bus::service::Credentials;
use muster_wire::data::runtime::{API_FAMILY, API_VERSION};
use muster_wire::schema;
use muster_wire::subject::{Operation, Role};
use serde_json::{Map, Value, json};

type Members = Map<String, Value>;

/// One of CCD's tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    Lifecycle,
    Gates,
    Escalation,
    Recovery,
    State,
    Context,
    MemoryCapture,
    Memory,
    MemoryRecall,
    Delegation,
}

/// What a command is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    /// This operation.
    Ask(Operation),
    /// A closeout; before it, the handoff is written where one is given.
    Handover,
    /// All that is known of leased work.
    Export,
    /// A compaction: of what is known of the work where a `mode` says how, else of a session's context.
    Compact,
}

/// Says who writes, and what they believe: part of `session_owner`.
const OWNER: [&str; 8] = [
    "actor_id",
    "session_id",
    "expected_revision",
    "host",
    "owner_kind",
    "supervisor_id",
    "lease_seconds",
    "recover_stale",
];

impl Group {
    const fn commands(self) -> &'static [(&'static str, Does)] {
        use Operation as O;
        match self {
            Self::Lifecycle => &[
                ("start-session", Does::Ask(O::SessionsStart)),
                ("heartbeat-session", Does::Ask(O::SessionsHeartbeat)),
                ("clear-session", Does::Ask(O::SessionsClear)),
                ("takeover-session", Does::Ask(O::SessionsTakeover)),
            ],
            Self::Gates => &[
                ("list-gates", Does::Ask(O::GatesList)),
                ("replace-gates", Does::Ask(O::GatesReplace)),
                ("seed-gates", Does::Ask(O::GatesSeed)),
                ("set-gate-status", Does::Ask(O::GatesSetStatus)),
                ("advance-gates", Does::Ask(O::GatesAdvance)),
                ("clear-gates", Does::Ask(O::GatesClear)),
            ],
            Self::Escalation => &[
                ("list-escalations", Does::Ask(O::EscalationsList)),
                ("set-escalation", Does::Ask(O::EscalationsSet)),
                ("clear-escalation", Does::Ask(O::EscalationsClear)),
            ],
            Self::Recovery => &[("write-recovery", Does::Ask(O::RecoveriesWrite))],
            Self::State => &[
                ("checkpoint", Does::Ask(O::CheckpointsEvaluate)),
                ("handover", Does::Handover),
                ("handoff-refresh", Does::Ask(O::HandoffsGet)),
                ("policy-check", Does::Ask(O::PolicyCheck)),
                ("escalation-state-list", Does::Ask(O::EscalationsList)),
                ("escalation-state-set", Does::Ask(O::EscalationsSet)),
                ("runtime-state-export", Does::Export),
            ],
            Self::Context => &[("context-check", Does::Ask(O::ContextCheck))],
            Self::MemoryCapture => &[
                ("memory-evidence-submit", Does::Ask(O::MemoriesSubmit)),
                ("memory-candidate-extract", Does::Ask(O::MemoriesExtract)),
            ],
            Self::Memory => &[
                ("memory-candidate-admit", Does::Ask(O::MemoriesAdmit)),
                ("memory-compact", Does::Compact),
                ("memory-promote", Does::Ask(O::MemoriesPromote)),
            ],
            Self::MemoryRecall => &[
                ("memory-search", Does::Ask(O::MemoriesList)),
                ("memory-describe", Does::Ask(O::MemoriesDescribe)),
                ("memory-expand", Does::Ask(O::MemoriesGet)),
                ("memory-sync-status", Does::Ask(O::MemoriesSources)),
                ("memory-source-map", Does::Ask(O::MemoriesSources)),
            ],
            Self::Delegation => &[("child-bootstrap", Does::Ask(O::WorkspacesBootstrap))],
        }
    }

    /// The JSON Schema of its arguments: those of all its commands.
    pub(crate) fn schema(self) -> Value {
        let commands: Vec<&str> = self.commands().iter().map(|(name, _)| *name).collect();
        let text = |what: &str| json!({"type": "string", "description": what});
        let owner = json!({
            "lifecycle": {"enum": ["interactive", "autonomous"]},
            "owner_kind": {"enum": ["interactive", "runtime_supervisor", "runtime_worker"]},
            "actor_id": text("who writes"),
            "supervisor_id": text("who supervises"),
            "lease_seconds": {"type": "integer", "minimum": 0},
            "recover_stale": {"type": "boolean"},
            "session_id": text("for which piece of work"),
            "expected_revision": {"type": "integer", "minimum": 0, "description": "another one is a conflict"},
            "host": text("the host it is held from"),
        });
        let request = json!({"type": "object", "description": "api_family, api_version, request_id, idempotency_key"});
        let mut properties = Members::new();
        properties.insert(
            "command".to_owned(),
            json!({"enum": commands, "description": "what to do"}),
        );
        properties.insert("path".to_owned(), text("the workspace"));
        for operation in self.commands().iter().flat_map(|(_, does)| does.operations()) {
            let own = schema::request(operation).unwrap_or_default();
            let own = own["properties"].as_object().cloned().unwrap_or_default();
            let writes = own.contains_key("actor_id");
            for (name, what) in own {
                let (name, what) = match &*name {
                    "workspace" => continue,
                    "request_id" => ("runtime_request".to_owned(), request.clone()),
                    of_owner if writes && OWNER.contains(&of_owner) => {
                        ("session_owner".to_owned(), schema::object(owner.clone(), &[]))
                    }
                    _ => (name, what),
                };
                properties.entry(name).or_insert(what);
            }
        }
        schema::object(Value::Object(properties), &["command"])
    }

    /// Does what the command says.
    pub(crate) async fn run(self, asker: &Asker, who: &Credentials, arguments: Arguments) -> Result<Value, Refused> {
        let Value::Object(mut given) = Value::from(arguments) else {
            return Err(Refused("the arguments are an object".to_owned()));
        };
        let named = given.remove("command");
        let named = named.as_ref().and_then(Value::as_str).unwrap_or_default();
        let found = self.commands().iter().find(|(name, _)| *name == named);
        let Some((_, does)) = found else {
            return Err(self.unknown(named));
        };
        let members = in_our_words(given)?;
        match does {
            Does::Ask(operation) => ask(asker, who, *operation, members).await,
            Does::Handover => handover(asker, who, members).await,
            Does::Export => export(asker, who, members).await,
            Does::Compact if members.contains_key("mode") => ask(asker, who, Operation::MemoriesCompact, members).await,
            Does::Compact => ask(asker, who, Operation::MemoryCompact, members).await,
        }
    }

    fn unknown(self, named: &str) -> Refused {
        let names: Vec<&str> = self.commands().iter().map(|(name, _)| *name).collect();
        Refused(format!(
            "there is no command `{named}`; give one of {}",
            names.join(", ")
        ))
    }
}

impl Does {
    fn operations(self) -> Vec<Operation> {
        match self {
            Self::Ask(operation) => vec![operation],
            Self::Handover => vec![Operation::CheckpointsCloseout, Operation::HandoffsWrite],
            Self::Export => vec![Operation::HandoffsGet],
            Self::Compact => vec![Operation::MemoriesCompact, Operation::MemoryCompact],
        }
    }
}

/// CCD's members in the words of the operations.
fn in_our_words(mut given: Members) -> Result<Members, Refused> {
    let object = |name: &str, value: Option<Value>| match value {
        None | Some(Value::Null) => Ok(Members::new()),
        Some(Value::Object(members)) => Ok(members),
        Some(_) => Err(Refused(format!("`{name}` is an object"))),
    };
    let mut owner = object("session_owner", given.remove("session_owner"))?;
    let request = object("runtime_request", given.remove("runtime_request"))?;
    if let Some(path) = given.remove("path") {
        given.insert("workspace".to_owned(), path);
    }
    // Who keeps it follows from how it lives, where that alone is said.
    let interactive = owner
        .remove("lifecycle")
        .is_some_and(|lifecycle| lifecycle == "interactive");
    if interactive {
        owner.entry("owner_kind").or_insert_with(|| json!("interactive"));
    }
    given.extend(owner);
    let other = |name: &str, ours: Value| request.get(name).is_some_and(|theirs| *theirs != ours);
    if other("api_family", json!(API_FAMILY)) || other("api_version", json!(API_VERSION)) {
        return Err(Refused(format!(
            "`runtime_request` is of {API_FAMILY}, version {API_VERSION}"
        )));
    }
    let named = ["idempotency_key", "request_id"].map(|name| request.get(name).filter(|value| !value.is_null()));
    if let Some(id) = named.into_iter().flatten().next() {
        given.insert("request_id".to_owned(), id.clone());
    }
    Ok(given)
}

/// The members that this operation takes, out of these.
fn taken(operation: Operation, members: &mut Members) -> Members {
    let schema = schema::request(operation).unwrap_or_default();
    let known = |name: &str| schema["properties"].get(name).is_some();
    let (own, others) = std::mem::take(members).into_iter().partition(|(name, _)| known(name));
    *members = others;
    own
}

/// Refuses what no operation takes.
fn nothing_left(command: &str, members: &Members) -> Result<(), Refused> {
    match members.keys().next() {
        Some(name) => Err(Refused(format!("`{name}` means nothing to {command}"))),
        None => Ok(()),
    }
}

async fn ask(asker: &Asker, who: &Credentials, operation: Operation, mut members: Members) -> Result<Value, Refused> {
    if operation == Operation::MemoryCompact {
        // A session's context is compacted, wherever it works.
        members.remove("workspace");
    }
    let mut own = taken(operation, &mut members);
    if operation.role() == Role::Viewer {
        // Looking needs no name: it changes nothing that could be done twice.
        members.remove("request_id");
    }
    nothing_left(&operation.to_string(), &members)?;
    as_own(who, operation, &mut own);
    asker.ask(who, operation, &own).await
}

/// What is evaluated, or compacted, is the caller's own session, unless they say another.
fn as_own(who: &Credentials, operation: Operation, members: &mut Members) {
    let about = [
        (Operation::ContextCheck, "session"),
        (Operation::CheckpointsEvaluate, "session"),
        (Operation::CheckpointsCloseout, "session"),
        (Operation::MemoryCompact, "id"),
        (Operation::WorkspacesBootstrap, "session"),
    ];
    let named = about.iter().find(|(of, _)| *of == operation);
    if let (Some((_, name)), Some(session)) = (named, &who.session) {
        members.entry(*name).or_insert_with(|| json!(session));
    }
}

async fn handover(asker: &Asker, who: &Credentials, mut members: Members) -> Result<Value, Refused> {
    let both = members.clone();
    let mut closeout = taken(Operation::CheckpointsCloseout, &mut members);
    let write = taken(Operation::HandoffsWrite, &mut both.clone());
    members.retain(|name, _| !write.contains_key(name));
    nothing_left("handover", &members)?;
    as_own(who, Operation::CheckpointsCloseout, &mut closeout);
    if !write.contains_key("handoff") {
        return asker.ask(who, Operation::CheckpointsCloseout, &closeout).await;
    }
    let written: Value = asker.ask(who, Operation::HandoffsWrite, &write).await?;
    if written["status"] != "ok" {
        return Ok(written);
    }
    // The request's name is the handoff's; a closeout is evaluated anew each time.
    closeout.remove("request_id");
    let mut closed: Value = asker.ask(who, Operation::CheckpointsCloseout, &closeout).await?;
    for member in ["status", "outcome", "revision", "handoff"] {
        closed[member] = written[member].clone();
    }
    Ok(closed)
}

async fn export(asker: &Asker, who: &Credentials, mut members: Members) -> Result<Value, Refused> {
    let about = taken(Operation::HandoffsGet, &mut members);
    nothing_left("runtime-state-export", &members)?;
    let mut state: Value = asker.ask(who, Operation::HandoffsGet, &about).await?;
    let guards: Value = asker.ask(who, Operation::GatesList, &about).await?;
    let profile = about.get("profile").cloned().unwrap_or_default();
    let mut wanted = json!({"workspace": about.get("workspace")});
    state["lease"] = loop {
        let leases: Value = asker.ask(who, Operation::SessionsLeases, &wanted).await?;
        let mut rows = leases["leases"].as_array().into_iter().flatten();
        if let Some(lease) = rows.find(|row| row["profile"] == profile) {
            break lease.clone();
        }
        if leases["next_cursor"].is_null() {
            break Value::Null;
        }
        wanted["cursor"] = leases["next_cursor"].clone();
    };
    for member in ["escalations", "execution_gates", "attention_anchor"] {
        state[member] = guards[member].clone();
    }
    Ok(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(given: Value) -> Result<Value, String> {
        let given = given.as_object().cloned().unwrap();
        in_our_words(given).map(Value::Object).map_err(|refused| refused.0)
    }

    #[test]
    fn ccds_members_are_put_into_the_words_of_the_operations() {
        let given = json!({
            "path": "/repo",
            "session_owner": {"lifecycle": "autonomous", "actor_id": "a", "lease_seconds": 60},
            "runtime_request": {"api_family": "ccd-runtime", "api_version": 1, "request_id": "r1"},
            "mode": "implement",
        });
        let ours = json!({
            "workspace": "/repo", "actor_id": "a", "lease_seconds": 60, "request_id": "r1", "mode": "implement",
        });
        assert_eq!(words(given).unwrap(), ours);
        let person = words(json!({"session_owner": {"lifecycle": "interactive"}})).unwrap();
        assert_eq!(person, json!({"owner_kind": "interactive"}));
        let repeated = json!({"runtime_request": {"request_id": "r2", "idempotency_key": "k"}});
        assert_eq!(words(repeated).unwrap(), json!({"request_id": "k"}));
        for wrong in [json!({"api_family": "other"}), json!({"api_version": 2})] {
            let refused = words(json!({"runtime_request": wrong})).unwrap_err();
            assert!(refused.contains("ccd-runtime, version 1"), "{refused}");
        }
        assert!(words(json!({"session_owner": "a"})).unwrap_err().contains("an object"));
    }

    #[test]
    fn each_command_has_an_operation_whose_members_the_tool_takes() {
        let groups = [
            Group::Lifecycle,
            Group::Gates,
            Group::Escalation,
            Group::Recovery,
            Group::State,
            Group::Context,
            Group::MemoryCapture,
            Group::Memory,
            Group::MemoryRecall,
            Group::Delegation,
        ];
        for group in groups {
            let schema = group.schema();
            assert!(group.commands().len() <= 7, "CCD's budget");
            // Three take more than CCD's commands need: any call to be judged, what only a host measures of a context, and
            // which context is to be compacted.
            let beyond = matches!(group, Group::State | Group::Context | Group::Memory);
            let properties = schema["properties"].as_object().unwrap().len();
            assert!(beyond || properties <= 10, "{group:?} takes {properties}");
            for (command, does) in group.commands() {
                assert!(
                    schema["properties"]["command"]["enum"]
                        .as_array()
                        .unwrap()
                        .contains(&json!(command)),
                    "{command}"
                );
                for operation in does.operations() {
                    let own = schema::request(operation).unwrap();
                    for name in own["properties"].as_object().unwrap().keys() {
                        let said = |name: &str| schema["properties"].get(name).is_some();
                        let inside = match &**name {
                            "workspace" => said("path"),
                            "request_id" => said("runtime_request"),
                            _ => schema["properties"]["session_owner"]["properties"].get(name).is_some(),
                        };
                        let known = inside || said(name);
                        assert!(known, "{command}: {name}");
                    }
                }
            }
        }
    }

    #[test]
    fn an_unknown_command_is_told_which_there_are() {
        let refused = Group::Escalation.unknown("raise");
        assert_eq!(
            refused.0,
            "there is no command `raise`; give one of list-escalations, set-escalation, clear-escalation"
        );
    }
}
