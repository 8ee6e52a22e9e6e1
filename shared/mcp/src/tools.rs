//! Every tool: its name, what it is for, what it takes, and what it stands for.
//!
//! A tool over an operation takes the operation's request as its arguments, by the schema that stands beside the request in
//! `muster-wire`. The others are listed with their schema here.

use crate::ccd::Group;
use muster_wire::schema;
use muster_wire::subject::{Operation, Role};
use rmcp::model::{self, ToolAnnotations};
use serde_json::{Value, json};

/// A tool.
#[derive(Debug, Clone, Copy)]
pub struct Tool {
    /// Its name.
    pub name: &'static str,
    /// What it is for, for the model that chooses.
    pub description: &'static str,
    pub(crate) does: Does,
}

/// What a tool does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Does {
    /// The operation, with its request as arguments and its answer as result.
    Operation(Operation),
    /// Takes messages, and waits for them.
    Receive,
    /// trusty-mpm's list of sessions.
    SessionList,
    /// trusty-mpm's status of one session.
    SessionStatus,
    /// kaizen's check of the last days.
    AlertsCheck,
    /// The spans of one session.
    SpanTree,
    /// One of CCD's tools, with commands of its own.
    Ccd(Group),
    /// What a context's fill asks for.
    MemoryProtect,
    /// Takes a hook that is told by name.
    HookEvent,
    /// Takes a hook as its agent wrote it.
    IngestHook,
    /// Answers Claude Code's `--permission-prompt-tool`.
    PermissionPrompt,
}

/// Operations whose tool is not the operation as it is, and what that tool is for.
const SHAPED: &[(Operation, Does, &str)] = &[
    (
        Operation::SessionsList,
        Does::SessionList,
        "The coding-agent sessions of all hosts.",
    ),
    (
        Operation::SessionsStatus,
        Does::SessionStatus,
        "One session: status, memory, delegations.",
    ),
    (
        Operation::MessagesReceive,
        Does::Receive,
        Operation::MessagesReceive.about(),
    ),
];

/// Tools beside the table of operations.
const FURTHER: &[Tool] = &[
    Tool {
        name: "memory_protect",
        description: "Whether a context of this fill should be compacted.",
        does: Does::MemoryProtect,
    },
    Tool {
        name: "hook_event",
        description: "Report that something happened in a session.",
        does: Does::HookEvent,
    },
    Tool {
        name: "permission_prompt",
        description: "For Claude Code's --permission-prompt-tool: ask an operator for a permission.",
        does: Does::PermissionPrompt,
    },
    Tool {
        name: "kaizen_sessions_list",
        description: "Sessions, paged and filtered, in rows with cost and tokens.",
        does: Does::Operation(Operation::SessionsList),
    },
    Tool {
        name: "kaizen_session_show",
        description: "One session with turns, spans and paged events.",
        does: Does::Operation(Operation::SessionsDetail),
    },
    Tool {
        name: "kaizen_query",
        description: "Sessions that a query names, as in `agent=codex errors>2 last_seen>=24h`.",
        does: Does::Operation(Operation::SessionsQuery),
    },
    Tool {
        name: "kaizen_search_sessions",
        description: "Prompts, tool calls, messages and errors that have these words, best match first.",
        does: Does::Operation(Operation::SessionsSearch),
    },
    Tool {
        name: "kaizen_summary",
        description: "Sessions added up: by state, agent, model and host, with tokens, dollars and tools.",
        does: Does::Operation(Operation::SessionsSummary),
    },
    Tool {
        name: "kaizen_metrics",
        description: "Hot files, slow tools, sinks of tokens, and agents that fail most.",
        does: Does::Operation(Operation::SessionsMetrics),
    },
    Tool {
        name: "kaizen_ingest_hook",
        description: "Report a hook of another agent (cursor, claude, openclaw, vibe), as it wrote it.",
        does: Does::IngestHook,
    },
    Tool {
        name: "kaizen_alerts_check",
        description: "Alerts that stand, and those of the last days.",
        does: Does::AlertsCheck,
    },
    Tool {
        name: "kaizen_exp_new",
        description: "Plan a comparison of sessions with a change to those without.",
        does: Does::Operation(Operation::ExperimentsCreate),
    },
    Tool {
        name: "kaizen_exp_list",
        description: "Experiments, the latest first.",
        does: Does::Operation(Operation::ExperimentsList),
    },
    Tool {
        name: "kaizen_exp_status",
        description: "How far an experiment is.",
        does: Does::Operation(Operation::ExperimentsGet),
    },
    Tool {
        name: "kaizen_exp_start",
        description: "Have sessions that begin from now on count.",
        does: Does::Operation(Operation::ExperimentsStart),
    },
    Tool {
        name: "kaizen_exp_tag",
        description: "Put a session on a side of an experiment.",
        does: Does::Operation(Operation::ExperimentsTag),
    },
    Tool {
        name: "kaizen_exp_report",
        description: "The figures of an experiment, and what may be said of them.",
        does: Does::Operation(Operation::ExperimentsGet),
    },
    Tool {
        name: "kaizen_exp_conclude",
        description: "Make an experiment's figures final.",
        does: Does::Operation(Operation::ExperimentsConclude),
    },
    Tool {
        name: "kaizen_exp_archive",
        description: "Take an experiment out of the way.",
        does: Does::Operation(Operation::ExperimentsArchive),
    },
    Tool {
        name: "get_session_span_tree",
        description: "The turns of one session as trees of spans, with the cost of each subtree.",
        does: Does::SpanTree,
    },
    Tool {
        name: "ccd_session_lifecycle",
        description: "Start, keep, clear or take over work on a workspace.",
        does: Does::Ccd(Group::Lifecycle),
    },
    Tool {
        name: "ccd_session_gates",
        description: "What has to be passed, in order, before work goes on.",
        does: Does::Ccd(Group::Gates),
    },
    Tool {
        name: "ccd_escalation",
        description: "What waits for somebody in leased work.",
        does: Does::Ccd(Group::Escalation),
    },
    Tool {
        name: "ccd_recovery",
        description: "Leave what is needed to go on with work that is interrupted.",
        does: Does::Ccd(Group::Recovery),
    },
    Tool {
        name: "ccd_state",
        description: "How work stands, its handoff, and whether an action may happen.",
        does: Does::Ccd(Group::State),
    },
    Tool {
        name: "ccd_context",
        description: "Whether to go on with the context there is.",
        does: Does::Ccd(Group::Context),
    },
    Tool {
        name: "ccd_memory_capture",
        description: "Keep what shows how work goes, and say what it shows.",
        does: Does::Ccd(Group::MemoryCapture),
    },
    Tool {
        name: "ccd_memory",
        description: "What is known of work: admit, promote, compact; or compact a context.",
        does: Does::Ccd(Group::Memory),
    },
    Tool {
        name: "ccd_memory_recall",
        description: "What is known of the work on a workspace, and from where.",
        does: Does::Ccd(Group::MemoryRecall),
    },
    Tool {
        name: "ccd_delegation",
        description: "What a subagent needs to begin in a workspace.",
        does: Does::Ccd(Group::Delegation),
    },
];

/// Every tool, in the order in which they are listed.
pub fn tools() -> impl Iterator<Item = Tool> {
    let of_operations = Operation::ALL.iter().filter_map(|operation| {
        let as_it_is = (*operation, Does::Operation(*operation), operation.about());
        let (_, does, description) = SHAPED
            .iter()
            .find(|(of, ..)| of == operation)
            .copied()
            .unwrap_or(as_it_is);
        Some(Tool {
            name: operation.tool()?,
            description,
            does,
        })
    });
    of_operations.chain(FURTHER.iter().copied())
}

impl Tool {
    /// The tool of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        tools().find(|tool| tool.name == name)
    }

    /// The operation it stands for; none where it does without the orchestrator.
    pub const fn operation(&self) -> Option<Operation> {
        match self.does {
            Does::Operation(operation) => Some(operation),
            Does::Receive => Some(Operation::MessagesReceive),
            Does::SessionList => Some(Operation::SessionsList),
            Does::SessionStatus => Some(Operation::SessionsStatus),
            Does::SpanTree => Some(Operation::SessionsDetail),
            Does::AlertsCheck => Some(Operation::AlertsList),
            Does::Ccd(_) | Does::MemoryProtect | Does::HookEvent | Does::IngestHook | Does::PermissionPrompt => None,
        }
    }

    /// What its caller must be.
    pub const fn role(&self) -> Role {
        match (self.operation(), self.does) {
            (Some(operation), _) => operation.role(),
            (None, Does::MemoryProtect | Does::Ccd(Group::MemoryRecall | Group::Delegation)) => Role::Viewer,
            (None, _) => Role::Agent,
        }
    }

    /// The JSON Schema of its arguments.
    pub fn schema(&self) -> Value {
        let session = json!({"type": "string", "description": "id of the session"});
        let count = |of: &str| json!({"type": "integer", "minimum": 0, "description": of});
        match self.does {
            Does::Operation(operation) => operation_schema(operation),
            Does::Receive => operation_schema(Operation::MessagesReceive),
            Does::Ccd(group) => group.schema(),
            Does::SessionList => schema::object(json!({}), &[]),
            Does::SessionStatus => schema::object(json!({"session_id": session}), &["session_id"]),
            Does::SpanTree => schema::object(json!({"id": session}), &["id"]),
            Does::AlertsCheck => schema::object(json!({"days": count("how far back; 7 without it")}), &[]),
            Does::MemoryProtect => schema::object(
                json!({
                    "session_id": session,
                    "used_tokens": count("tokens that the context holds"),
                    "window_tokens": count("tokens that fit"),
                }),
                &["session_id", "used_tokens", "window_tokens"],
            ),
            Does::HookEvent => schema::object(
                json!({
                    "session_id": session,
                    "event": {"type": "string", "description": "name of the hook, as in SubagentStop"},
                    "payload": {"type": "object", "description": "what the agent says of it"},
                }),
                &["session_id", "event"],
            ),
            Does::IngestHook => schema::object(
                json!({
                    "source": {"type": "string", "description": "the agent: cursor, claude, openclaw, vibe, or as ingest names it"},
                    "payload": {"type": ["object", "string"], "description": "what the hook was given; a text holds it as JSON"},
                    "workspace": {"type": "string", "description": "its folder, where the payload does not say"},
                }),
                &["source", "payload"],
            ),
            Does::PermissionPrompt => schema::object(
                json!({
                    "tool_name": {"type": "string"},
                    "input": {"type": "object"},
                    "tool_use_id": {"type": "string"},
                }),
                &["tool_name", "input"],
            ),
        }
    }

    /// As the protocol lists it.
    pub(crate) fn listed(&self) -> model::Tool {
        let schema = self.schema().as_object().cloned().unwrap_or_default();
        let annotations = ToolAnnotations::new()
            .read_only(self.role() == Role::Viewer)
            .open_world(false);
        model::Tool::new(self.name, self.description, schema).with_annotations(annotations)
    }
}

fn operation_schema(operation: Operation) -> Value {
    schema::request(operation).unwrap_or_else(|| schema::object(json!({}), &[]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_name_stands_for_one_tool_and_says_what_it_takes() {
        let names: BTreeSet<_> = tools().map(|tool| tool.name).collect();
        assert_eq!(names.len(), tools().count());
        for tool in tools() {
            let schema = tool.schema();
            assert_eq!(schema["type"], "object", "{}", tool.name);
            for required in schema["required"].as_array().unwrap() {
                let named = required.as_str().unwrap();
                assert!(schema["properties"].get(named).is_some(), "{}: {named}", tool.name);
            }
            if let Does::Operation(operation) = tool.does {
                assert!(schema::request(operation).is_some(), "{operation} has no schema");
            }
            assert!(tool.description.chars().count() <= 100, "{}", tool.name);
        }
    }

    #[test]
    fn trusty_mpms_tools_keep_their_parameters() {
        let parameters = |name: &str| {
            let schema = Tool::named(name).unwrap().schema();
            let keys = schema["properties"].as_object().unwrap().keys().cloned();
            (keys.collect::<Vec<_>>(), schema["required"].clone())
        };
        assert_eq!(parameters("session_list"), (vec![], json!([])));
        assert_eq!(
            parameters("session_status"),
            (vec!["session_id".to_owned()], json!(["session_id"]))
        );
        assert_eq!(
            parameters("memory_protect").1,
            json!(["session_id", "used_tokens", "window_tokens"])
        );
        assert_eq!(parameters("hook_event").0, ["session_id", "event", "payload"]);
        assert_eq!(parameters("hook_event").1, json!(["session_id", "event"]));
    }
}
