//! The page that says which operation is asserted where names tests that exist.

use std::collections::BTreeSet;
use std::path::Path;

fn tests(path: &Path, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            tests(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let functions = text.lines().filter_map(|line| line.trim_start().split_once("fn "));
            names.extend(functions.filter_map(|(_, rest)| Some(rest.split_once('(')?.0.to_owned())));
        }
    }
}

#[test]
fn the_page_of_parity_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut known = BTreeSet::new();
    for folder in ["shared", "services", "tests"] {
        tests(&root.join(folder), &mut known);
    }
    let page = std::fs::read_to_string(root.join("docs/parity.md")).unwrap();
    let mut named = 0;
    for line in page.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [operation, _, result, refusal] = cells[..] else {
            panic!("a row has four cells: {line}");
        };
        if ["operation", "---"].contains(&operation) {
            continue;
        }
        for cell in [result, refusal] {
            let name = cell.trim_matches('`');
            assert!(known.contains(name), "{operation}: no test {name:?}");
            named += 1;
        }
    }
    assert!(named > 0);
}
