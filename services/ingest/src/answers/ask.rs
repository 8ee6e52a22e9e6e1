//! What an agent waits for an answer to, and that answer in its words.

use super::{Decision, Vendor, pre_tool_use};
use muster_domain::family::HookName;
use serde_json::{Map, Value, json};

/// What a person is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// May this tool run? Asked by the agent's hook for permissions.
    Permission,
    /// One of Claude Code's questions to its user, answered in the hook before its tool. Nothing is shown at the agent
    /// before that hook has ended.
    Dialog,
}

/// One ask, as it came: before secrets were taken out, because it is echoed to the agent that wrote it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    pub(crate) vendor: Vendor,
    pub(crate) question: Question,
    tool: String,
    input: Value,
    suggestions: Vec<Value>,
}

/// Claude Code's tools that are questions themselves.
const DIALOGS: &[&str] = &[ASK_USER, "ExitPlanMode"];
const ASK_USER: &str = "AskUserQuestion";

impl Asked {
    /// Whether this hook asks something that an answer can be given to.
    pub(crate) fn read(agent: &str, hook: &HookName, payload: &Map<String, Value>) -> Option<Self> {
        if !matches!(hook, HookName::PermissionRequest | HookName::PreToolUse) {
            return None;
        }
        let vendor = Vendor::of(agent);
        let tool = payload.get("tool_name").and_then(Value::as_str).unwrap_or_default();
        let question = match (hook, vendor) {
            (HookName::PermissionRequest, Vendor::Gemini | Vendor::Cursor) => return None,
            (HookName::PermissionRequest, _) => Question::Permission,
            (HookName::PreToolUse, Vendor::ClaudeCode) if DIALOGS.contains(&tool) => Question::Dialog,
            _ => return None,
        };
        let suggestions = payload.get("permission_suggestions").and_then(Value::as_array);
        Some(Self {
            vendor,
            question,
            tool: tool.to_owned(),
            input: payload.get("tool_input").cloned().unwrap_or_default(),
            suggestions: suggestions.cloned().unwrap_or_default(),
        })
    }

    /// The answer; nothing where only the agent's own dialog can still decide.
    pub(crate) fn answer(&self, decision: &Decision) -> Option<Value> {
        match decision {
            Decision::Deny { reason, interrupt } => Some(self.denied(reason, *interrupt)),
            Decision::Approve {
                for_session,
                updated_input,
            } => self.approved(*for_session, updated_input.as_ref()),
        }
    }

    fn denied(&self, reason: &str, interrupt: bool) -> Value {
        match (self.question, self.vendor) {
            (Question::Dialog, _) => pre_tool_use("deny", reason),
            (Question::Permission, Vendor::Copilot) => json!({"behavior": "deny", "message": reason}),
            (Question::Permission, Vendor::ClaudeCode | Vendor::Other) if interrupt => {
                permission(&json!({"behavior": "deny", "message": reason, "interrupt": true}))
            }
            (Question::Permission, _) => permission(&json!({"behavior": "deny", "message": reason})),
        }
    }

    fn approved(&self, for_session: bool, updated_input: Option<&Value>) -> Option<Value> {
        let input = updated_input.map(|updated| self.input_to_run(updated));
        if !matches!(self.vendor, Vendor::ClaudeCode | Vendor::Other) {
            // What runs would not be what was approved.
            return Some(match (input, self.vendor) {
                (Some(_), _) => self.denied(CHANGED, false),
                (None, Vendor::Copilot) => json!({"behavior": "allow"}),
                (None, _) => permission(&json!({"behavior": "allow"})),
            });
        }
        if self.tool == ASK_USER && input.is_none() {
            // To allow a question is not to answer it.
            return None;
        }
        if self.question == Question::Dialog {
            let mut answer = json!({"hookEventName": "PreToolUse", "permissionDecision": "allow"});
            answer["updatedInput"] = input.unwrap_or_else(|| self.input.clone());
            return Some(json!({"hookSpecificOutput": answer}));
        }
        let mut decision = json!({"behavior": "allow"});
        if let Some(input) = input {
            decision["updatedInput"] = input;
        }
        let updates = if for_session { self.for_session() } else { Vec::new() };
        if !updates.is_empty() {
            decision["updatedPermissions"] = Value::Array(updates);
        }
        Some(permission(&decision))
    }

    /// The input to run with instead. A question's answers are put into the question as it came: who answered saw it
    /// without its secrets.
    fn input_to_run(&self, updated: &Value) -> Value {
        match (updated.get("answers"), &self.input) {
            (Some(answers), Value::Object(own)) if self.tool == ASK_USER => {
                let mut input = own.clone();
                input.insert("answers".to_owned(), answers.clone());
                Value::Object(input)
            }
            _ => updated.clone(),
        }
    }

    /// Rules by which this session does not ask for the same again: those that the agent suggests. Another permission mode is
    /// also among its suggestions, and would allow far more than was asked about; that one is left out.
    fn for_session(&self) -> Vec<Value> {
        let mut updates: Vec<Value> = self
            .suggestions
            .iter()
            .filter(|update| update["type"] != "setMode" && update["behavior"] != "deny")
            .cloned()
            .collect();
        // A rule for a tool without any more would allow everything it can do, and a star in a rule is a pattern: where the
        // agent suggests no rule, only one for exactly this command is as narrow as what was approved.
        if !updates.iter().any(|update| update["type"] == "addRules")
            && let Some(command) = self.input["command"].as_str().filter(|command| !command.contains('*'))
        {
            let rule = json!({"toolName": self.tool, "ruleContent": command});
            updates.push(json!({"type": "addRules", "rules": [rule], "behavior": "allow"}));
        }
        for update in &mut updates {
            update["destination"] = "session".into();
        }
        updates
    }
}

/// What the model reads where what was approved cannot be had.
const CHANGED: &str =
    "approved only with a changed input, which this agent cannot be given; ask for exactly what is to run";

fn permission(decision: &Value) -> Value {
    json!({"hookSpecificOutput": {"hookEventName": "PermissionRequest", "decision": decision}})
}
