//! The documentation's rules are rules.

use muster_policy::{Policies, Source};

#[test]
fn every_rule_that_is_documented_can_be_read() {
    let documents = [
        include_str!("../../../docs/policy.md"),
        include_str!("../../../README.md"),
    ];
    let blocks: Vec<&str> = documents
        .iter()
        .flat_map(|document| document.split("```cedar\n").skip(1))
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert!(blocks.len() >= 2, "the examples were not found");
    for text in blocks {
        let source = Source {
            name: "documented.cedar".to_owned(),
            text: text.to_owned(),
        };
        let policies = Policies::parse(&[source]).unwrap_or_else(|error| panic!("{error}"));
        assert!(policies.warnings().is_empty(), "{:?}", policies.warnings());
    }
}
