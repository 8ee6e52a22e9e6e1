//! Rules about files: length, places that must not be named, and names that say nothing.

use crate::root;
use std::path::{Path, PathBuf};

/// A file that grows past this is several ideas. Tests may be longer: they are read one at a time.
const LINES_MAX: usize = 600;
/// Half of all files stay below this, so that a file is usually read in one go.
const LINES_MEDIAN_MAX: usize = 160;
/// Module names that would collect whatever fits nowhere.
const ATTICS: &[&str] = &["utils", "util", "helpers", "common", "manager", "misc"];

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the workspace can be read") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["services", "shared"] {
        rust_files(&root().join(folder), &mut found);
    }
    let is_test = |path: &Path| path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs");
    found.retain(|path| !is_test(path));
    assert!(found.len() > 50, "the sources were not found");
    found
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a source file can be read")
}

#[test]
fn files_are_short() {
    let mut lengths: Vec<(usize, PathBuf)> = sources()
        .into_iter()
        .map(|path| (read(&path).lines().count(), path))
        .collect();
    lengths.sort();
    let (longest, path) = lengths.last().expect("there are sources");
    assert!(
        *longest <= LINES_MAX,
        "{} has {longest} lines; the stop is {LINES_MAX}",
        path.display()
    );
    let median = lengths[lengths.len() / 2].0;
    assert!(
        median <= LINES_MEDIAN_MAX,
        "the median file has {median} lines; the aim is {LINES_MEDIAN_MAX}"
    );
}

#[test]
fn every_file_says_what_it_is_for() {
    for path in sources() {
        assert!(read(&path).starts_with("//!"), "{} has no module head", path.display());
    }
}

#[test]
fn no_module_is_an_attic() {
    for path in sources() {
        let name = path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
            .unwrap_or_default();
        assert!(
            !ATTICS.contains(&name.as_str()),
            "{} says nothing about what is in it",
            path.display()
        );
    }
}

#[test]
fn subjects_are_spelled_in_one_crate() {
    // `format!("…{…}.…")` around a family name is how a subject would be glued elsewhere.
    let families = [
        "agent.",
        "process.",
        "host.status",
        "runtime.",
        "notice.",
        "orchestrator.v1",
    ];
    for path in sources()
        .into_iter()
        .filter(|path| !path.starts_with(root().join("shared/wire")))
    {
        for (number, line) in read(&path).lines().enumerate() {
            let glued = families
                .iter()
                .any(|family| line.contains(&format!("format!(\"{family}")));
            assert!(!glued, "{}:{} builds a subject by hand", path.display(), number + 1);
        }
    }
}
