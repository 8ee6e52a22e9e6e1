use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::*;

/// A home with a `muster` binary in it.
struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn with_settings(text: &str) -> Self {
        let home = Self::new();
        fs::create_dir(home.path(".claude")).unwrap();
        fs::write(home.settings(), text).unwrap();
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn settings(&self) -> PathBuf {
        self.path(".claude/settings.json")
    }

    fn options(&self) -> Options {
        let home = self.folder.path().as_os_str().to_owned();
        let env = move |name: &str| (name == "HOME").then(|| home.clone());
        let launcher = Launcher::beside(self.path("muster"));
        Options::new(Scope::User, Vec::new(), launcher, Path::new("/"), &env).unwrap()
    }

    fn text(&self) -> String {
        fs::read_to_string(self.settings()).unwrap()
    }

    fn left_in_state(&self) -> usize {
        fs::read_dir(self.options().state).map_or(0, Iterator::count)
    }
}

fn outcome(result: Result<Report, Error>) -> Outcome {
    result.unwrap().outcome
}

const OWN: &str = "{\r\n   \"model\":\"opus\" ,\r\n \"hooks\": {\"Stop\":[{\"hooks\":[{\"type\":\"command\",\"command\":\"mine\"}]}]}}";

#[test]
fn leaving_restores_the_file_byte_for_byte() {
    for text in [OWN, "", "\n", "{}", "{ \"hooks\" : { } }\n"] {
        let home = Home::with_settings(text);
        fs::set_permissions(home.settings(), fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(outcome(run(&home.options())), Outcome::Enrolled);
        assert_ne!(home.text(), text);
        assert_eq!(outcome(run(&home.options())), Outcome::AlreadyEnrolled);
        assert_eq!(outcome(unenroll(&home.options())), Outcome::Restored);
        assert_eq!(home.text(), text);
        let mode = fs::metadata(home.settings()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        assert_eq!(home.left_in_state(), 0);
        assert_eq!(
            fs::read_dir(home.path(".claude")).unwrap().count(),
            1,
            "no temporary file stays"
        );
        assert_eq!(outcome(unenroll(&home.options())), Outcome::NotEnrolled);
    }
}

#[test]
fn a_file_and_folder_that_were_not_there_go_again() {
    let home = Home::new();
    assert_eq!(outcome(run(&home.options())), Outcome::Enrolled);
    assert!(home.text().ends_with("}\n"));
    assert_eq!(outcome(unenroll(&home.options())), Outcome::Restored);
    assert!(!home.path(".claude").exists());

    run(&home.options()).unwrap();
    fs::write(home.path(".claude/history"), "x").unwrap();
    assert_eq!(outcome(unenroll(&home.options())), Outcome::Restored);
    assert!(!home.settings().exists() && home.path(".claude/history").exists());
}

#[test]
fn what_others_wrote_since_survives_leaving() {
    let home = Home::with_settings(OWN);
    run(&home.options()).unwrap();
    fs::write(home.settings(), home.text().replace("opus", "sonnet")).unwrap();
    assert_eq!(outcome(unenroll(&home.options())), Outcome::Removed);
    let (left, expected) = (home.text(), OWN.replace("opus", "sonnet"));
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(value(&left), value(&expected));
    assert!(!left.contains("muster"));
}

#[test]
fn a_file_of_ours_that_others_extended_stays() {
    let home = Home::new();
    run(&home.options()).unwrap();
    fs::write(
        home.settings(),
        home.text().replacen('{', "{\n  \"model\": \"opus\",", 1),
    )
    .unwrap();
    assert_eq!(outcome(unenroll(&home.options())), Outcome::Removed);
    assert_eq!(home.text(), "{\n  \"model\": \"opus\"\n}\n");

    let home = Home::new();
    run(&home.options()).unwrap();
    fs::write(home.settings(), home.text() + "\n").unwrap();
    assert_eq!(outcome(unenroll(&home.options())), Outcome::Removed);
    assert!(!home.settings().exists(), "only our entries were in it");
}

#[test]
fn a_moved_binary_keeps_the_first_original() {
    let home = Home::with_settings(OWN);
    assert_eq!(outcome(run(&home.options())), Outcome::Enrolled);
    assert!(home.text().contains("/muster\",\r\n"), "multi-call without a sibling");
    fs::write(home.path("muster-hook"), "").unwrap();
    let report = run(&home.options()).unwrap();
    assert_eq!((report.outcome, report.changed.len()), (Outcome::Updated, 31));
    assert!(home.text().contains("/muster-hook\",\r\n") && !home.text().contains("\"hook\""));
    assert_eq!(outcome(unenroll(&home.options())), Outcome::Restored);
    assert_eq!(home.text(), OWN);
}

#[test]
fn an_update_after_others_changed_the_file_loses_nothing_of_theirs() {
    let home = Home::with_settings(OWN);
    run(&home.options()).unwrap();
    fs::write(home.settings(), home.text().replace("opus", "sonnet")).unwrap();
    fs::write(home.path("muster-hook"), "").unwrap();
    assert_eq!(outcome(run(&home.options())), Outcome::Updated);
    assert_eq!(outcome(unenroll(&home.options())), Outcome::Removed);
    assert!(home.text().contains("sonnet"));
}

#[test]
fn a_damaged_original_is_not_put_back() {
    let home = Home::with_settings(OWN);
    run(&home.options()).unwrap();
    for entry in fs::read_dir(home.options().state).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "original") {
            fs::write(path, "other").unwrap();
        }
    }
    let report = unenroll(&home.options()).unwrap();
    assert_eq!(report.outcome, Outcome::Removed);
    assert_eq!(report.warnings.len(), 1);
    assert!(home.text().contains("mine") && !home.text().contains("muster"));
}

#[test]
fn a_link_stays_a_link() {
    let home = Home::new();
    fs::create_dir(home.path(".claude")).unwrap();
    fs::create_dir(home.path("dotfiles")).unwrap();
    symlink("../dotfiles/claude.json", home.settings()).unwrap();
    for text in [None, Some(OWN)] {
        let file = home.path("dotfiles/claude.json");
        if let Some(text) = text {
            fs::write(&file, text).unwrap();
        }
        assert_eq!(outcome(run(&home.options())), Outcome::Enrolled);
        assert!(fs::symlink_metadata(home.settings()).unwrap().is_symlink());
        assert_eq!(outcome(unenroll(&home.options())), Outcome::Restored);
        assert!(fs::symlink_metadata(home.settings()).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(file).ok().as_deref(), text);
    }
}

#[test]
fn refused_settings_are_left_alone() {
    for text in ["{ // mine\n}", "{\"a\":", "[]", "{\"hooks\":{\"Stop\":1}}"] {
        let home = Home::with_settings(text);
        let message = run(&home.options()).unwrap_err().to_string();
        assert!(
            message.contains("settings.json") && message.contains("left as it"),
            "{message}"
        );
        assert_eq!(home.text(), text);
        assert_eq!(home.left_in_state(), 0);
    }
    let home = Home::with_settings("x");
    fs::write(home.settings(), b"{\"a\":\"\xff\"}").unwrap();
    assert!(matches!(run(&home.options()), Err(Error::NotJson { .. })));
}

#[test]
fn a_file_written_meanwhile_is_not_overwritten() {
    let home = Home::with_settings("{}");
    let snapshot = Snapshot::read(&home.settings()).unwrap();
    fs::write(home.settings(), "{\"new\":1}").unwrap();
    assert!(matches!(snapshot.replace(b"{}"), Err(Error::ChangedMeanwhile { .. })));
    assert!(matches!(snapshot.delete(), Err(Error::ChangedMeanwhile { .. })));
    assert_eq!(home.text(), "{\"new\":1}");
    assert_eq!(fs::read_dir(home.path(".claude")).unwrap().count(), 1);
}

#[test]
fn fail_closed_is_for_events_that_can_block() {
    let home = Home::with_settings("{}");
    let with = |events: &[&str]| {
        let mut options = home.options();
        options.fail_closed = events.iter().map(ToString::to_string).collect();
        run(&options)
    };
    for (event, why) in [
        ("Stop", "ignores onFailure"),
        ("SubagentStop", "ignores onFailure"),
        ("TaskCompleted", "ignores onFailure"),
        ("TeammateIdle", "ignores onFailure"),
        ("PostToolUse", "only reports"),
        ("WorktreeCreate", "not enrolled"),
        ("pretooluse", "no such event"),
    ] {
        let message = with(&["PreToolUse", event]).unwrap_err().to_string();
        assert!(
            message.contains(why) && message.contains("PermissionRequest"),
            "{message}"
        );
        assert_eq!(home.text(), "{}");
    }
    with(&["PreToolUse", "PermissionRequest"]).unwrap();
    let value: serde_json::Value = serde_json::from_str(&home.text()).unwrap();
    let handler = |event: &str| value["hooks"][event][0]["hooks"][0].clone();
    assert_eq!(handler("PreToolUse")["onFailure"], "block");
    assert!(handler("PreToolUse")["args"].to_string().contains("--fail-closed\""));
    assert!(
        handler("PermissionRequest")["args"]
            .to_string()
            .contains("--fail-closed=1")
    );
    assert_eq!(handler("Stop").get("onFailure"), None);
    let timeout = |event: &str| handler(event)["timeout"].as_u64();
    assert_eq!(timeout("SessionEnd"), Some(2));
    assert_eq!(timeout("PermissionRequest"), Some(600));
    assert_eq!(timeout("PreToolUse"), Some(600));
    assert_eq!(timeout("PostToolUse"), Some(10));
    for event in ["PreToolUse", "PermissionRequest"] {
        let args = handler(event)["args"].to_string();
        assert!(args.contains(r#""--wait","595s""#), "{args}");
    }
    assert_eq!(outcome(with(&[])), Outcome::Updated);
    assert!(!home.text().contains("onFailure"));
}

#[test]
fn every_event_is_enrolled_or_says_why_not() {
    let home = Home::new();
    let report = run(&home.options()).unwrap();
    assert_eq!(report.changed.len() + report.skipped.len(), 33);
    let names: std::collections::BTreeSet<_> = EVENTS.iter().map(|event| event.name).collect();
    assert_eq!(names.len(), 33);
}

#[test]
fn places_follow_scope_and_environment() {
    let place = |scope, env: &[(&str, &str)]| {
        let env = |name: &str| {
            env.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| OsString::from(value))
        };
        let options = Options::new(
            scope,
            Vec::new(),
            Launcher::beside("/m".into()),
            Path::new("/home/dev/app"),
            &env,
        )?;
        Ok::<_, Error>((
            options.settings.display().to_string(),
            options.state.display().to_string(),
        ))
    };
    let home = ("HOME", "/h");
    let cases = [
        (
            Scope::User,
            vec![home],
            "/h/.claude/settings.json",
            "/h/.local/state/muster/enroll",
        ),
        (
            Scope::User,
            vec![home, ("CLAUDE_CONFIG_DIR", "/c")],
            "/c/settings.json",
            "/h/.local/state/muster/enroll",
        ),
        (
            Scope::Project,
            vec![home, ("XDG_STATE_HOME", "/s")],
            "/home/dev/app/.claude/settings.json",
            "/s/muster/enroll",
        ),
    ];
    for (scope, env, settings, state) in cases {
        assert_eq!(place(scope, &env).unwrap(), (settings.to_owned(), state.to_owned()));
    }
    assert!(matches!(place(Scope::User, &[]), Err(Error::NoPlace { .. })));
}

#[test]
fn the_tools_come_and_go_without_a_trace() {
    for text in [
        None,
        Some("{\n\t\"userID\":  \"x\"\n}"),
        Some("{\"mcpServers\": {\"a\": {\"command\": \"b\"}}}"),
    ] {
        let home = Home::with_settings(OWN);
        let file = home.path(".claude.json");
        if let Some(text) = text {
            fs::write(&file, text).unwrap();
        }
        let mut options = home.options();
        options.tools = Some(Tools {
            file: file.clone(),
            argv: ["/opt/muster", "mcp", "--nats", "nats://hub:4222"]
                .map(str::to_owned)
                .to_vec(),
        });
        let told = |result: Result<Report, Error>| result.unwrap().tools.map(|tools| tools.outcome);
        assert_eq!(told(run(&options)), Some(Outcome::Enrolled));
        let written: serde_json::Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        assert_eq!(written["mcpServers"]["muster"]["args"][2], "nats://hub:4222");
        assert_eq!(told(run(&options)), Some(Outcome::AlreadyEnrolled));
        assert_eq!(told(unenroll(&options)), Some(Outcome::Restored));
        assert_eq!(fs::read_to_string(&file).ok().as_deref(), text);
        assert_eq!((home.text(), home.left_in_state()), (OWN.to_owned(), 0));
        assert_eq!(
            told(unenroll(&options)),
            None,
            "nothing is said of what was never there"
        );
    }
}

#[test]
fn a_list_of_servers_that_cannot_be_merged_leaves_the_settings_alone() {
    let home = Home::with_settings(OWN);
    fs::write(home.path(".claude.json"), "{ // mine\n}").unwrap();
    let mut options = home.options();
    options.tools = Some(Tools {
        file: home.path(".claude.json"),
        argv: vec!["/opt/muster".to_owned(), "mcp".to_owned()],
    });
    assert!(matches!(run(&options), Err(Error::Comments { .. })));
    assert_eq!(home.text(), OWN);
}
