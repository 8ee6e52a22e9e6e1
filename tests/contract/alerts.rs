//! The page of alerts and the rules say the same.

use muster_domain::alert::Rule;
use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn the_page_of_alerts_has_every_rule_and_no_other() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/alerts.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, rules) = page.split_once("\n## The rules\n").unwrap();
    let (rules, _) = rules.split_once("\n## ").unwrap();
    let rows = rules.lines().filter(|line| line.starts_with("| `"));
    let named: BTreeSet<&str> = rows.filter_map(|row| row.split('`').nth(1)).collect();
    let known: BTreeSet<&str> = Rule::ALL.iter().map(|rule| rule.as_str()).collect();
    assert_eq!(named, known);
}
