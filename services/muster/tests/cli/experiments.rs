//! Experiments from outside: by the command, and by kaizen's tools over the protocol.

use crate::mcp::{Talk, call, refusal, told};
use crate::place::{Place, hook};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn an_experiment_is_planned_run_and_concluded_by_command() {
    let place = Place::new();
    let (_up, running) = place.started(&["--host", "web-01"]).await;
    let run = |words: &[&str]| {
        let output = place.output(&[&["experiment"], words].concat());
        let text = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        (text.concat(), output.status.success())
    };
    assert_eq!(run(&["list"]).0, "no experiments; `muster experiment new` plans one\n");
    let new = [
        "new",
        "say less",
        "--metric",
        "turns",
        "--target",
        "-20",
        "--treatment",
        "host=web-02",
    ];
    let (text, ok) = run(&new);
    assert!(ok, "{text}");
    let id = text.split_whitespace().next().unwrap().to_owned();
    assert!(
        text.contains("draft; turns shall change by -20 %\ntreatment: host=web-02"),
        "{text}"
    );
    hook(&running, "s1", "UserPromptSubmit", json!({"prompt": "build it"}));
    place.session("s1", |_| true).await;
    let (text, ok) = run(&["tag", &id, "s1", "control"]);
    assert!(!ok && text.contains("only what runs is given sessions"), "{text}");
    run(&["start", &id]);
    let (text, ok) = run(&["tag", &id, "s1", "control"]);
    assert!(ok && text.contains("too few sessions to say"), "{text}");
    let control = text.lines().find(|line| line.starts_with("control")).unwrap();
    assert!(
        control.contains("1 (1 running)") && control.contains("1.0 turns"),
        "{text}"
    );
    let (text, ok) = run(&["conclude", &id, "--note", "one session says nothing"]);
    assert!(ok && text.contains("one session says nothing"), "{text}");
    let (text, _) = run(&["list", "--state", "concluded"]);
    assert!(text.contains(&id) && text.contains("say less"), "{text}");
    let (text, ok) = run(&["new", "x", "--metric", "joy"]);
    assert!(!ok && text.contains("metrics are cost, tokens"), "{text}");
    let (text, ok) = run(&["new", "x", "--metric", "cost", "--control", "colour=red"]);
    assert!(!ok && text.contains("colour"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn kaizens_tools_plan_begin_tag_report_and_conclude_an_experiment() {
    let place = Place::new();
    let (_up, running) = place.started(&["--host", "web-01"]).await;
    hook(&running, "s1", "UserPromptSubmit", json!({"prompt": "build it"}));
    place.session("s1", |_| true).await;
    let mut count = 0;
    let mut ask = |talk: &mut Talk, tool: &str, arguments: Value| {
        count += 1;
        talk.ask(&call(count, tool, arguments))
    };
    let token = place.path("state/muster/operator.token").display().to_string();
    let mut operator = Talk::start(place.muster(&["--operator-token", &token, "mcp"]));
    let plan = json!({"name": "smaller", "metric": "cost_usd", "hypothesis": "cheaper", "change": "haiku"});
    let id = told(&ask(&mut operator, "kaizen_exp_new", plan.clone()))["experiment"]["id"].clone();
    let one = json!({"id": id});
    told(&ask(&mut operator, "kaizen_exp_start", one.clone()));

    let mut command = place.muster(&["mcp"]);
    command.env("CLAUDE_CODE_SESSION_ID", "s1");
    let mut agent = Talk::start(command);
    let tag = json!({"id": id, "session": "s1", "variant": "treatment"});
    told(&ask(&mut agent, "kaizen_exp_tag", tag));
    let status = told(&ask(&mut agent, "kaizen_exp_status", one.clone()));
    assert_eq!(status["experiment"]["state"], "running");
    let report = told(&ask(&mut agent, "kaizen_exp_report", one.clone()))["experiment"]["report"].clone();
    assert_eq!(
        (&report["unit"], &report["treatment"]["sessions"], &report["verdict"]),
        (&json!("USD"), &json!(0), &json!("too_few")),
        "what nobody told the cost of does not count"
    );
    let listed = told(&ask(&mut agent, "kaizen_exp_list", json!({})));
    assert_eq!(listed["experiments"][0]["id"], id);
    // An agent looks and tags; what an experiment is, and when it is over, an operator says.
    for (tool, arguments) in [("kaizen_exp_new", plan), ("kaizen_exp_conclude", one.clone())] {
        let refused = ask(&mut agent, tool, arguments);
        assert!(refusal(&refused).contains("operator"), "{tool}: {refused}");
    }
    agent.end();
    let done = told(&ask(&mut operator, "kaizen_exp_conclude", one.clone()));
    assert_eq!(done["experiment"]["state"], "concluded");
    told(&ask(&mut operator, "kaizen_exp_archive", one));
    operator.end();
}
