//! Queries: what they mean, how they are written, and what is said of those that are none.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod script;

use muster_domain::fact::{Fact, Hook, HookBody, ToolUse, TurnFact};
use muster_domain::names::AgentName;
use muster_domain::query::{Field, Opinion, QUERY_BYTES_MAX, Query, Row, TERMS_MAX, Wrong};
use proptest::prelude::*;
use script::*;

/// A session that did a little of everything; it was first heard of at 1 001 s and last 3 s ago.
fn story() -> Script {
    let mut script = Script::new();
    let mut first = event(
        0,
        HOST,
        Some(SESSION),
        Fact::Hook(Box::new(Hook {
            cwd: Some("/home/anna/muster".to_owned()),
            ..hook(None, session_start("startup"))
        })),
    );
    first.agent = AgentName::new("claude-code").ok();
    script.tell(first);
    let edit = ToolUse {
        summary: Some("/srv/site/index.html".to_owned()),
        ..used("Edit", Some("c1"))
    };
    script
        .on("p1", prompt())
        .on("p1", HookBody::ToolStarted(edit))
        .on("p1", end("Edit", "c1"))
        .on("p1", fail("Bash", "c2"))
        .on("p1", ask("Write"))
        .on("p1", stop())
        .turn(TurnFact::ModelChanged {
            model: "Claude Opus".to_owned(),
        })
        .turn(turn_ended("r1", 0, true, 1_250_000));
    script
}

fn admits(script: &Script, query: &str) -> bool {
    let key = key(HOST, SESSION);
    let row = Row {
        session: script.fleet.session(&key).unwrap(),
        key: &key,
        feedback: vec![
            Opinion {
                label: Some("good"),
                score: Some(4),
            },
            Opinion {
                label: Some("bug"),
                score: None,
            },
        ],
    };
    let query = Query::parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    query.matches(&row, ms(script.now + 3000))
}

#[test]
fn every_field_means_what_the_table_says() {
    let script = story();
    let table = [
        ("", true),
        ("agent=claude-code", true),
        ("agent=Claude-Code", false),
        ("agent=codex,claude-code", true),
        ("agent!=codex,claude-code", false),
        ("agent~CLAUDE", true),
        (r#"model="Claude Opus""#, true),
        ("model~opus", true),
        ("host=web-01 session=s1", true),
        ("host=web-01 session=s2", false),
        ("state=idle", true),
        ("status=idle", true),
        ("status=done,waiting", false),
        ("status!=running", true),
        ("kind=error", true),
        ("kind=subagent", false),
        ("kind=permission", true),
        ("tool=Edit", true),
        ("tool=edit", false),
        ("tool!=Edit", false),
        ("tool~ba", true),
        ("prompt~\"THE build\"", true),
        ("path=/home/anna", true),
        ("path=/home/ann", false),
        ("path=/srv/site/", true),
        ("path~index", true),
        ("turns=2", true),
        ("turns>2", false),
        ("tool_calls>=2", true),
        ("errors>=1", true),
        ("errors<1", false),
        ("tokens_total=15", true),
        ("tokens_in>9 tokens_out<=5", true),
        ("tokens_total>1k", false),
        ("cost_usd=1.25", true),
        ("cost_usd>1.250001", false),
        ("duration=8s", true),
        ("duration<8000ms", false),
        ("last_seen>=3s", true),
        ("last_seen>3s", false),
        ("last_seen<2s", true),
        ("started>1970-01-01T00:16:40.5Z", true),
        ("started>1970-01-02", false),
        ("feedback_label=bug", true),
        ("feedback_label!=bug", false),
        ("feedback_label=regression", false),
        ("feedback_score>=4", true),
        ("feedback_score<4", false),
    ];
    let wrong: Vec<_> = table
        .iter()
        .filter(|(query, meant)| admits(&script, query) != *meant)
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    for field in Field::ALL {
        let tried = table.iter().any(|(query, _)| query.contains(field.as_str()));
        assert!(tried, "no row asks for {field}");
    }
}

#[test]
fn what_is_not_known_is_none_of_the_values() {
    let mut script = Script::new();
    script.on("p1", prompt());
    for query in ["model=x", "model~x", "cost_usd<1", "cost_usd>=0", "agent~a"] {
        assert!(!admits(&script, query), "{query}");
    }
    assert!(admits(&script, "model!=x cost_usd!=1"));
}

#[test]
fn what_is_no_query_is_refused_with_its_place_and_what_would_be_right() {
    let said = |query: &str| Query::parse(query).unwrap_err().to_string();
    assert_eq!(
        said("agent=codex speed>9"),
        format!(
            "at character 13: no field \"speed\"; fields are {}",
            Field::ALL
                .iter()
                .map(|field| field.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        )
    );
    let refused = [
        ("codex", "at character 1: \"codex\" is no term"),
        ("turns = 3", "at character 1: \"turns\" is no term"),
        (
            "turns~3",
            "at character 6: turns does not take ~, but =, !=, >, >=, <, <=",
        ),
        ("agent>b", "at character 6: agent does not take >, but =, !=, ~"),
        ("started=24h", "at character 8: started does not take ="),
        (
            "turns>",
            "at character 7: \"\" is no value of turns, which is a whole number",
        ),
        ("turns>-1", "at character 7: \"-1\" is no value of turns"),
        ("turns>1,2", "at character 9: turns> takes one value"),
        ("turns==1", "at character 7: \"=1\" is no value of turns"),
        ("state=busy", "at character 7: \"busy\" is no value of state"),
        (
            "cost_usd>0.1234567",
            "at character 10: \"0.1234567\" is no value of cost_usd",
        ),
        ("agent=é,\"x", "at character 9: the quotes are not closed"),
        ("agent=\"x\"y", "at character 10: 'y' follows the quotes"),
        ("agent=,x", "at character 7: \"\" is no value of agent"),
        (
            "last_seen>yesterday",
            "at character 11: \"yesterday\" is no value of last_seen",
        ),
        ("turns!3", "at character 6: \"turns\" is no term"),
    ];
    for (query, begins) in refused {
        assert!(said(query).starts_with(begins), "{query}: {}", said(query));
    }
    let wrong = |query: &str| Query::parse(query).unwrap_err().wrong;
    assert_eq!(wrong(&"turns>1 ".repeat(TERMS_MAX + 1)), Wrong::TooManyTerms);
    assert_eq!(wrong("agent=a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q"), Wrong::TooManyValues);
    let long = format!("agent={}", "x".repeat(QUERY_BYTES_MAX));
    assert_eq!(wrong(&long), Wrong::TooLong(long.len()));
}

/// Terms as somebody might write them.
fn term() -> impl Strategy<Value = String> {
    let quoted = "[ a-zA-Z0-9,=~é\\\\/.\"]{1,12}";
    let text = quoted.prop_map(|text| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")));
    let texts = prop::collection::vec(
        prop_oneof![
            "[a-zA-Z0-9_/.=~-]{1,8}".prop_filter("no operator", |text| { !text.starts_with(['=', '~']) }),
            text
        ],
        1..4,
    );
    prop_oneof![
        (
            "agent|model|host|session|tool|prompt|path|feedback_label",
            "=|!=|~",
            texts
        )
            .prop_map(|(field, operator, values)| format!("{field}{operator}{}", values.join(","))),
        ("state|status", "=|!=", "running|waiting|done|idle|idle,lost").prop_map(|(f, o, v)| format!("{f}{o}{v}")),
        ("turns|errors|tokens_in", "=|!=|>|>=|<|<=", "[0-9]{1,6}[km]?").prop_map(|(f, o, v)| format!("{f}{o}{v}")),
        ("cost_usd", ">|>=|<|<=", r"[0-9]{1,5}(\.[0-9]{1,6})?").prop_map(|(f, o, v)| format!("{f}{o}{v}")),
        ("duration", "=|>|<", "[0-9]{1,5}(ms|s|m|h|d)").prop_map(|(f, o, v)| format!("{f}{o}{v}")),
        (
            "started|last_seen",
            ">|>=|<|<=",
            "[0-9]{1,3}[hd]|20[0-9]{2}-1[0-2]-[0-2][1-9](T1[0-9]:[0-5][0-9]:00(\\.[0-9]{1,3})?Z)?"
        )
            .prop_map(|(f, o, v)| format!("{f}{o}{v}")),
    ]
}

proptest! {
    #[test]
    fn a_query_is_written_as_it_is_read(terms in prop::collection::vec(term(), 0..6)) {
        let query = Query::parse(&terms.join("  ")).unwrap();
        prop_assert_eq!(Query::parse(&query.to_string()).unwrap(), query);
    }

    #[test]
    fn whatever_somebody_writes_is_read_or_refused_at_a_place_in_it(text in "\\PC{0,60}") {
        if let Err(error) = Query::parse(&text) {
            prop_assert!(error.position <= text.chars().count());
        }
    }

    #[test]
    fn nearly_queries_are_read_or_refused(text in "(agent|turns|started|cost_usd|x)?(=|!=|>=|~|!|<)[\\PC]{0,8}[, \"\\\\]{0,3}\\PC{0,4}") {
        if let Ok(query) = Query::parse(&text) {
            prop_assert_eq!(Query::parse(&query.to_string()).unwrap(), query);
        }
    }
}
