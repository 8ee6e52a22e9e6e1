//! The agent's list of MCP servers as text: our server in, our server out, every other byte as it was.
//!
//! Claude Code keeps the list in the file where it keeps much else, and writes that file often; so an untouched original
//! is rare, and taking out only our entry is the rule. Pure: no file is touched here.

use super::places::Tools;
use super::settings::{Change, Fault, Merged, Removed, input, parse, shape};
use jsonc_parser::cst::CstObject;
use serde_json::{Value, json};

/// What the server is called; its tools are `mcp__muster__…` to the agent.
const NAME: &str = "muster";
const SERVERS: &str = "mcpServers";

/// The entry, as `claude mcp add` writes it.
pub(super) fn entry(tools: &Tools) -> Value {
    let (command, args) = tools
        .argv
        .split_first()
        .map_or(("", &[][..]), |(command, args)| (command, args));
    json!({"type": "stdio", "command": command, "args": args, "env": {}})
}

/// Brings the entry into `text`.
pub(super) fn merge(text: &str, entry: &Value) -> Result<Merged, Fault> {
    let blank = text.trim().is_empty();
    let root = parse(if blank { "{}\n" } else { text })?;
    let whole = root.object_value().ok_or_else(|| shape("the whole", "an object"))?;
    let servers = match servers_of(&whole)? {
        Some(servers) => servers,
        None => whole.object_value_or_set(SERVERS),
    };
    let present = servers.get(NAME);
    let value = present.as_ref().and_then(|property| property.to_serde_value());
    let change = match (present, value) {
        (Some(_), Some(value)) if value == *entry => Change::None,
        (Some(property), Some(value)) if is_ours(&value) => {
            property.set_value(input(entry.clone()));
            Change::Again(root.to_string())
        }
        (Some(_), _) => return Err(shape("\"mcpServers.muster\"", "a server of muster's")),
        (None, _) => {
            servers.append(NAME, input(entry.clone()));
            Change::First(root.to_string())
        }
    };
    let changed = if change == Change::None {
        vec![]
    } else {
        vec![NAME.to_owned()]
    };
    Ok(Merged {
        change,
        changed,
        warnings: Vec::new(),
    })
}

/// Takes our entry out, and the list if it is empty then and was not there before.
pub(super) fn remove(text: &str, before: Option<&str>) -> Result<Removed, Fault> {
    let nothing = Removed {
        text: None,
        changed: Vec::new(),
    };
    if text.trim().is_empty() {
        return Ok(nothing);
    }
    let root = parse(text)?;
    let whole = root.object_value().ok_or_else(|| shape("the whole", "an object"))?;
    let Some(servers) = servers_of(&whole)? else {
        return Ok(nothing);
    };
    let ours = servers
        .get(NAME)
        .filter(|property| property.to_serde_value().is_some_and(|value| is_ours(&value)));
    let Some(ours) = ours else {
        return Ok(nothing);
    };
    ours.remove();
    let before: Value = before
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    if servers.properties().is_empty()
        && before.get(SERVERS).is_none()
        && let Some(property) = whole.get(SERVERS)
    {
        property.remove();
    }
    Ok(Removed {
        text: Some(root.to_string()),
        changed: vec![NAME.to_owned()],
    })
}

fn servers_of(whole: &CstObject) -> Result<Option<CstObject>, Fault> {
    let Some(property) = whole.get(SERVERS) else {
        return Ok(None);
    };
    property
        .object_value()
        .map(Some)
        .ok_or_else(|| shape("\"mcpServers\"", "an object"))
}

/// Told by the program's name, not its path, so that a moved binary is still ours.
fn is_ours(value: &Value) -> bool {
    let text = |pointer| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    text("/command").rsplit('/').next() == Some("muster") && text("/args/0") == "mcp"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(path: &str) -> Value {
        json!({"type": "stdio", "command": path, "args": ["mcp"], "env": {}})
    }

    fn merged(text: &str) -> String {
        match merge(text, &ours("/opt/muster")).map(|merged| merged.change) {
            Ok(Change::First(after)) => after,
            other => panic!("{:?} for {text}", other.err()),
        }
    }

    const WEIRD: [&str; 5] = [
        "",
        "{\n\t\"userID\":  \"x\",\n\t\"big\": 1.50e+3\n}",
        "{\"mcpServers\":{}}\n",
        "{\r\n  \"mcpServers\": {\r\n    \"other\": {\"command\": \"x\"}\r\n  }\r\n}\r\n",
        "{ \"mcpServers\" : {\"a\":{\"command\":\"/x/muster\",\"args\":[\"serve\"]} }, \"z\":[1,\n2] }",
    ];

    #[test]
    fn our_server_goes_in_and_out_and_the_rest_stays() {
        for text in WEIRD {
            let after = merged(text);
            let value: Value = serde_json::from_str(&after).unwrap();
            assert_eq!(value["mcpServers"]["muster"], ours("/opt/muster"), "{after}");
            assert_eq!(merge(&after, &ours("/opt/muster")).unwrap().change, Change::None);
            let back = remove(&after, Some(text)).unwrap().text.unwrap();
            let same = |text: &str| serde_json::from_str::<Value>(if text.is_empty() { "{}" } else { text }).unwrap();
            assert_eq!(same(&back), same(text), "{back}");
        }
    }

    #[test]
    fn a_moved_binary_is_brought_up_to_date() {
        let moved = merge(&merged("{\"a\":1}"), &ours("/new/muster")).unwrap();
        let Change::Again(after) = moved.change else {
            panic!("{:?}", moved.change);
        };
        assert!(after.contains("/new/muster") && !after.contains("/opt/"), "{after}");
    }

    #[test]
    fn a_server_of_that_name_that_is_not_ours_stays() {
        let text = r#"{"mcpServers":{"muster":{"command":"npx","args":["muster"]}}}"#;
        let refused = merge(text, &ours("/opt/muster")).unwrap_err();
        assert!(matches!(refused, Fault::Shape { at, .. } if at.contains("muster")));
        assert_eq!(remove(text, None).unwrap().text, None);
        assert!(merge("{\"mcpServers\":[]}", &ours("/opt/muster")).is_err());
    }
}
