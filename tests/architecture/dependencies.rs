//! The dependency law: which crate may use which, and which libraries have one door only.

use crate::root;
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};
use std::collections::{BTreeMap, BTreeSet};

/// What each crate may use of the workspace, besides `muster-testkit` in its own tests.
const LAW: &[(&str, &[&str])] = &[
    ("muster-domain", &[]),
    ("muster-wire", &["muster-domain"]),
    ("muster-telemetry", &[]),
    ("muster-bus", &["muster-domain", "muster-telemetry", "muster-wire"]),
    ("muster-runtime", &["muster-telemetry"]),
    ("muster-policy", &["muster-domain"]),
    (
        "muster-mcp",
        &["muster-bus", "muster-domain", "muster-telemetry", "muster-wire"],
    ),
    ("muster-testkit", &["muster-bus", "muster-domain", "muster-wire"]),
    ("muster-hook", &[]),
    ("muster-ingest", SHARED),
    ("muster-orchestrator", SHARED),
    ("muster-notifier", SHARED),
    // The command starts the services in one process (`up`) and stands in for the hook where only it is installed.
    (
        "muster",
        &[
            "muster-bus",
            "muster-domain",
            "muster-hook",
            "muster-ingest",
            "muster-mcp",
            "muster-notifier",
            "muster-orchestrator",
            "muster-policy",
            "muster-runtime",
            "muster-telemetry",
            "muster-wire",
        ],
    ),
];

const SHARED: &[&str] = &[
    "muster-bus",
    "muster-domain",
    "muster-mcp",
    "muster-policy",
    "muster-runtime",
    "muster-telemetry",
    "muster-wire",
];

/// Libraries that only one crate may name, so that replacing one is one crate's work.
const DOORS: &[(&str, &str)] = &[
    ("async-nats", "muster-bus"),
    ("figment", "muster-runtime"),
    ("opentelemetry", "muster-telemetry"),
    ("cedar-policy", "muster-policy"),
    ("rmcp", "muster-mcp"),
];

/// What the pure core may never see, whatever it is called for.
const IMPURE: &[&str] = &["tokio", "serde_json", "rand", "time", "tracing", "async-nats"];

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo metadata reads the workspace")
}

fn normal(package: &Package) -> BTreeSet<&str> {
    let normal = |dependency: &&cargo_metadata::Dependency| dependency.kind != DependencyKind::Development;
    package
        .dependencies
        .iter()
        .filter(normal)
        .map(|dependency| dependency.name.as_str())
        .collect()
}

#[test]
fn crates_use_only_what_the_law_allows() {
    let law: BTreeMap<_, _> = LAW.iter().copied().collect();
    for package in &metadata().packages {
        if package.name.as_str() == "muster-tests" {
            continue;
        }
        let allowed = law
            .get(package.name.as_str())
            .unwrap_or_else(|| panic!("{} is not in the law", package.name));
        for used in normal(package).into_iter().filter(|name| name.starts_with("muster")) {
            assert!(allowed.contains(&used), "{} may not depend on {used}", package.name);
        }
    }
}

#[test]
fn each_guarded_library_has_one_door() {
    for package in &metadata().packages {
        for dependency in &package.dependencies {
            for (library, door) in DOORS {
                let guarded = dependency.name == *library || dependency.name.starts_with(&format!("{library}_"));
                let own_tests = dependency.kind == DependencyKind::Development;
                assert!(
                    !guarded || package.name.as_str() == *door || own_tests,
                    "{} names {}; only {door} may",
                    package.name,
                    dependency.name
                );
            }
        }
    }
}

#[test]
fn the_core_is_pure() {
    for package in metadata()
        .packages
        .iter()
        .filter(|package| package.name.as_str() == "muster-domain")
    {
        for library in IMPURE {
            assert!(!normal(package).contains(library), "muster-domain names {library}");
        }
    }
}

#[test]
fn every_crate_takes_the_workspace_lints() {
    for package in &metadata().packages {
        let manifest = std::fs::read_to_string(&package.manifest_path).expect("the manifest can be read");
        assert!(
            manifest.contains("[lints]\nworkspace = true"),
            "{} lacks [lints] workspace = true",
            package.name
        );
    }
}

#[test]
fn there_is_one_version_of_opentelemetry() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).expect("Cargo.lock is committed");
    assert_eq!(
        lock.matches("\nname = \"opentelemetry\"\n").count(),
        1,
        "two versions lose spans without a word"
    );
}

#[test]
fn the_core_repeats_the_root_lint_rules() {
    // A clippy.toml beside a crate replaces the root's, so the root's rules must stand in it word for word.
    let read = |path: &str| std::fs::read_to_string(root().join(path)).expect("both files exist");
    let (rules, core) = (read("clippy.toml"), read("shared/domain/clippy.toml"));
    for rule in rules.lines().filter(|line| line.trim_start().starts_with("{ path")) {
        assert!(core.contains(rule.trim()), "shared/domain/clippy.toml lacks {rule}");
    }
}
