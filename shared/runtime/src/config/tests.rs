use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;

use super::*;

const DEFAULTS: &str = r#"
[http]
listen = "127.0.0.1:4180"
name = "web"
hosts = []
[limits]
wait = "30s"
size = "8MiB"
retries = 3
"#;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    http: Http,
    limits: Limits,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Http {
    listen: SocketAddr,
    name: String,
    hosts: Vec<String>,
    token_file: Option<SecretFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    wait: HumanDuration,
    size: ByteSize,
    retries: u32,
}

fn sources(env: &[(&str, &str)]) -> Sources {
    Sources {
        env_prefix: "MUSTER_TEST__",
        env: env
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        aliases: &[("MUSTER_TOKEN_FILE", "http.token_file")],
        ..Sources::default()
    }
}

fn set(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

#[test]
fn later_layers_win() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.toml");
    std::fs::write(&path, "[limits]\nwait = \"250ms\"\nretries = 4\nsize = \"1KiB\"\n").unwrap();
    let mut sources = sources(&[
        ("MUSTER_TEST__LIMITS__RETRIES", "5"),
        ("MUSTER_TEST__LIMITS__SIZE", "2KiB"),
    ]);
    sources.file = Some(path);
    sources.overrides.push(set("limits.size", "14B"));

    let config: Config = load(DEFAULTS, &sources).unwrap();
    assert_eq!(config.http.listen.port(), 4180);
    assert_eq!(config.limits.wait.get(), Duration::from_millis(250));
    assert_eq!(config.limits.retries, 5);
    assert_eq!(config.limits.size.as_u64(), 14);
}

#[test]
fn text_takes_the_type_of_the_key_it_sets() {
    let env = [
        ("MUSTER_TEST__HTTP__NAME", "4711"),
        ("MUSTER_TEST__HTTP__HOSTS", r#"["a:1","b"]"#),
        ("MUSTER_TOKEN_FILE", "/run/token"),
        ("MUSTER_TEST__LIMITS__WAIT", "14d"),
    ];
    let config: Config = load(DEFAULTS, &sources(&env)).unwrap();
    assert_eq!(config.http.name, "4711");
    assert_eq!(config.http.hosts, ["a:1", "b"]);
    assert_eq!(config.http.token_file, Some(SecretFile::new("/run/token")));
    assert_eq!(config.limits.wait.get(), Duration::from_secs(14 * 24 * 3600));
}

#[test]
fn unrelated_variables_are_not_keys() {
    let env = [
        ("MUSTER_TEST__", "x"),
        ("MUSTER_TEST", "x"),
        ("MUSTER_TESTS__HTTP__NAME", "x"),
        ("PATH", "/bin"),
    ];
    let config: Config = load(DEFAULTS, &sources(&env)).unwrap();
    assert_eq!(config.http.name, "web");
}

#[test]
fn every_problem_names_its_key_and_its_source() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.toml");
    std::fs::write(&path, "[http]\nlisten = 7\n[limitz]\nwait = \"1s\"\n").unwrap();
    let mut sources = sources(&[
        ("MUSTER_TEST__LIMITS__RETRIES", "many"),
        ("MUSTER_TEST__HTTP__PORT", "1"),
    ]);
    sources.file = Some(path.clone());
    sources.overrides.push(set("limits.wait", "soon"));

    let error = load::<Config>(DEFAULTS, &sources).unwrap_err();
    let mut found: Vec<_> = error
        .0
        .iter()
        .map(|problem| (problem.key.clone(), problem.source.clone()))
        .collect();
    found.sort();
    let file = format!("file {}", path.display());
    let expected = [
        ("http.listen", file.as_str()),
        ("http.port", "environment variable MUSTER_TEST__HTTP__PORT"),
        ("limits.retries", "environment variable MUSTER_TEST__LIMITS__RETRIES"),
        ("limits.wait", "flag --set limits.wait=soon"),
        ("limitz", file.as_str()),
    ];
    assert_eq!(found, expected.map(|(key, source)| set(key, source)), "{error}");
    assert_eq!(error.to_string().lines().count(), 5);
    assert!(
        error
            .to_string()
            .contains("unknown key; known here: hosts, listen, name, token_file"),
        "{error}"
    );
}

#[test]
fn a_missing_key_says_how_to_set_it() {
    let error = load::<Config>(
        "[limits]\nwait=\"1s\"\nsize=\"1B\"\nretries=1\n[http]\nname=\"x\"\nhosts=[]",
        &sources(&[]),
    );
    let text = error.unwrap_err().to_string();
    assert!(
        text.contains("`http.listen`") && text.contains("MUSTER_TEST__HTTP__LISTEN"),
        "{text}"
    );
}

#[test]
fn a_file_that_is_absent_or_broken_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.toml");
    let mut sources = sources(&[]);
    sources.file = Some(path.clone());
    let absent = load::<Config>(DEFAULTS, &sources).unwrap_err().to_string();
    assert!(
        absent.contains("test.toml") && absent.contains("No such file"),
        "{absent}"
    );
    std::fs::write(&path, "[http\n").unwrap();
    let broken = load::<Config>(DEFAULTS, &sources).unwrap_err().to_string();
    assert!(broken.contains("test.toml"), "{broken}");
}

#[test]
fn a_dump_shows_each_value_with_its_source_and_can_be_read_back() {
    let env = [
        ("MUSTER_TEST__HTTP__HOSTS", r#"["a"]"#),
        ("MUSTER_TEST__LIMITS__RETRIES", "9"),
    ];
    let text = dump(DEFAULTS, &sources(&env)).unwrap();
    assert!(
        text.contains("limits.retries = 9  # environment variable MUSTER_TEST__LIMITS__RETRIES\n"),
        "{text}"
    );
    assert!(text.contains("http.name = \"web\"  # the defaults\n"), "{text}");
    let again: Config = load(&text, &Sources::default()).unwrap();
    assert_eq!((again.http.hosts, again.limits.retries), (vec!["a".to_owned()], 9));
}

#[test]
fn a_password_in_an_address_is_never_shown() {
    let address = "nats://web-01:pa55@hub:4222";
    let mut sources = sources(&[("MUSTER_TEST__HTTP__NAME", address)]);
    assert!(
        dump(DEFAULTS, &sources)
            .unwrap()
            .contains("name = \"nats://***@hub:4222\"  # env")
    );
    for key in ["http.name", "limits.retries", "http.unknown"] {
        sources.overrides = vec![set(key, address)];
        let dumped = dump(DEFAULTS, &sources).unwrap();
        assert!(!dumped.contains("pa55"), "{dumped}");
        let refused = load::<Config>(DEFAULTS, &sources).map_or_else(
            |error| error.to_string(),
            |config| {
                assert_eq!(config.http.name, address, "only what is shown is masked");
                String::new()
            },
        );
        assert!(!refused.contains("pa55"), "{refused}");
    }
}
