//! A rule and the real agent: what is denied does not run, though its user bypasses every permission, and the model reads why.

use crate::place::{Place, bash};
use muster_bus::{Bus, Options};
use muster_testkit::model::{Rule, ScriptedModel, Step};
use muster_testkit::{Spawned, eventually};
use muster_tests::WITHIN;
use muster_wire::topology::PRESENCE;
use serde_json::Value;

const RULES: &str = r#"
@id("no-secrets") @reason("secrets_stay") @message("Secrets stay where they are; ask the keeper of the vault.")
forbid (principal in Agent::"claude-code", action == Action::"Bash", resource)
when { context.programs.contains("touch") && context.words.contains("secret.txt") };
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denied_call_does_not_run_where_permissions_are_bypassed_and_the_model_reads_why() {
    let place = Place::up().await;
    place.muster(&["enroll", "claude-code"]);
    let file = place.project().join("team.cedar");
    std::fs::write(&file, RULES).expect("the rules");
    let file = file.to_str().expect("a path in UTF-8");
    place.muster(&["policy", "activate", file]);
    assert_eq!(place.json(&["policy", "show"])["active"]["version"], 1);
    let options = Options {
        credentials: Some(place.services_key()),
        ..Options::new(place.nats(), "test/1")
    };
    let bus = Bus::connect(&options).await.expect("the hub");
    eventually(WITHIN, async || {
        let card = bus
            .bucket(&PRESENCE)
            .get("web-01")
            .await
            .map_err(|error| error.to_string())?;
        let card: Value = card
            .and_then(|(card, _)| serde_json::from_slice(&card).ok())
            .unwrap_or_default();
        if card["edge"]["policy"]["seq"].as_u64().is_some_and(|seq| seq > 0) {
            Ok(())
        } else {
            Err(card.to_string())
        }
    })
    .await;

    let rule = Rule::new(
        "make the files",
        [
            bash("touch open.txt", "One"),
            bash("cd . && touch secret.txt", "Another"),
            Step::text("Done."),
        ],
    );
    let model = ScriptedModel::start([rule]).await;
    let mut claude = place.run(&model);
    claude.args([
        "-p",
        "make the files",
        "--permission-mode",
        "bypassPermissions",
        "--output-format",
        "json",
    ]);
    let mut claude = Spawned::start(claude);
    assert!(claude.wait(WITHIN).await.success());

    assert!(
        place.project().join("open.txt").exists(),
        "what no rule names runs as ever"
    );
    assert!(!place.project().join("secret.txt").exists(), "what is denied ran");
    let told = model
        .asked()
        .iter()
        .any(|request| request.to_string().contains("ask the keeper of the vault"));
    assert!(told, "the model was not told why");
    let result: Value = serde_json::from_str(claude.stdout().trim()).expect("the agent prints its result");
    let id = result["session_id"].as_str().expect("a session").to_owned();
    let verdicts = eventually(WITHIN, async || {
        let events = place.events(&id);
        let calls = events.iter().filter(|event| event["type"] == "agent.hook.pre_tool_use");
        let verdicts: Vec<Value> = calls.map(|event| event["data"]["muster"]["verdict"].clone()).collect();
        if verdicts.len() == 2 {
            Ok(verdicts)
        } else {
            Err(events.iter().map(|event| event["type"].to_string()).collect::<Vec<_>>())
        }
    })
    .await;
    assert_eq!(verdicts[0], Value::Null);
    assert_eq!(
        (&verdicts[1]["decision"], &verdicts[1]["rule"]),
        (&"deny".into(), &"no-secrets".into())
    );

    // The same rules, asked about what happened: nothing would go differently now.
    let dry = place.json(&["policy", "dry-run", "--since", "1h"]);
    assert_eq!((&dry["calls"], &dry["changed"]), (&2.into(), &0.into()), "{dry}");
    let other = place.project().join("other.cedar");
    std::fs::write(
        &other,
        "@id(\"no-touch\") forbid (principal, action, resource) when { context.programs.contains(\"touch\") };",
    )
    .expect("rules");
    let dry = place.json(&[
        "policy",
        "dry-run",
        "--since",
        "1h",
        "--file",
        other.to_str().expect("a path in UTF-8"),
    ]);
    assert_eq!(dry["changed"], 1, "{dry}");
    assert_eq!(dry["rules"][0]["examples"][0]["what"], "Bash: touch open.txt");
}
