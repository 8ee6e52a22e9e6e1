//! One table: what can be asked, by whom, and by which names. `docs/operations.md` shows it and is kept true here.

use crate::golden;
use muster_mcp::{Tool, tools};
use muster_wire::schema;
use muster_wire::subject::{Caller, Operation, Request, Role};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;

fn page() -> PathBuf {
    golden("../../../docs/operations.md")
}

/// Parameters, those that must be given in bold.
fn parameters(schema: &Value) -> String {
    let required = |name: &str| schema["required"].as_array().unwrap().iter().any(|given| given == name);
    let names = schema["properties"].as_object().unwrap().keys();
    let shown: Vec<String> = names
        .map(|name| {
            if required(name) {
                format!("**{name}**")
            } else {
                name.clone()
            }
        })
        .collect();
    if shown.is_empty() {
        "–".to_owned()
    } else {
        shown.join(", ")
    }
}

fn or_none(text: Option<String>) -> String {
    text.unwrap_or_else(|| "–".to_owned())
}

fn code(text: impl std::fmt::Display) -> String {
    format!("`{text}`")
}

fn operations() -> impl Iterator<Item = String> {
    Operation::ALL.iter().map(|operation| {
        let caller = Caller::new("CALLER").unwrap();
        let request = Request {
            operation: *operation,
            caller,
        };
        let command = operation.command().map(|words| code(format!("muster {words}")));
        let parameters = schema::request(*operation).map(|schema| parameters(&schema));
        format!(
            "| {} | {} | {} | {} | {} | {} |",
            code(request),
            operation.role(),
            or_none(operation.tool().map(code)),
            or_none(command),
            or_none(parameters),
            operation.about()
        )
    })
}

fn tool(tool: Tool) -> String {
    let over = tool.operation().map(|operation| code(operation.to_string()));
    let (name, parameters) = (code(tool.name), parameters(&tool.schema()));
    format!(
        "| {name} | {} | {} | {parameters} | {} |",
        tool.role(),
        or_none(over),
        tool.description
    )
}

fn expected() -> String {
    let head = "# What can be asked

One table holds every operation; its subject, its tool for agents and its command follow from it. This page is written by
`MUSTER_BLESS=1 cargo test --test contract`, and a test fails when it is no longer true. Parameters in bold must be given; schemas of
the tools come with `tools/list`.

Roles: a *viewer* looks; an *agent* reports and asks for what its work needs; an *operator* decides, and proves it with the operator's
token: `muster --operator-token FILE` signs with it, over HTTP it is the bearer token.

## Operations

A request is JSON to the subject, with the caller's name as its last token; the leading orchestrator answers.

| subject | role | tool | command | parameters | |
|---|---|---|---|---|---|
";
    let between = "
## Tools

Over the Model Context Protocol: `muster mcp` (stdio, beside an agent) and `POST /mcp` at the orchestrator. A tool over an operation with
the same parameters answers the operation's answer; the others, trusty-mpm's among them, keep the shapes of those they come from.

| tool | role | operation | parameters | |
|---|---|---|---|---|
";
    let rows = |rows: Vec<String>| rows.join("\n") + "\n";
    [
        head,
        &rows(operations().collect()),
        between,
        &rows(tools().map(tool).collect()),
    ]
    .concat()
}

#[test]
fn the_page_of_operations_is_true() {
    let expected = expected();
    if std::env::var_os("MUSTER_BLESS").is_some() {
        std::fs::write(page(), &expected).unwrap();
    }
    let found = std::fs::read_to_string(page()).unwrap_or_default();
    assert!(
        found == expected,
        "docs/operations.md is out of date: run MUSTER_BLESS=1 cargo test --test contract"
    );
}

#[test]
fn every_operation_has_a_schema() {
    for operation in Operation::ALL {
        assert!(
            schema::request(*operation).is_some(),
            "{operation} has no schema in muster-wire"
        );
    }
}

#[test]
fn a_tool_asks_of_its_caller_what_its_operation_does() {
    let of_operators: BTreeSet<&str> = tools()
        .filter(|tool| tool.role() == Role::Operator)
        .map(|tool| tool.name)
        .collect();
    assert!(of_operators.contains("approval_resolve"), "{of_operators:?}");
    for tool in tools() {
        if let Some(operation) = tool.operation() {
            assert_eq!(tool.role(), operation.role(), "{}", tool.name);
        }
    }
}
