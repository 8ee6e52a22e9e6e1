use super::*;
use serde_json::json;

fn clean(text: &str) -> (String, u64) {
    let mut value = Value::String(text.to_owned());
    let found = Redactor::new().unwrap().redact(&mut value);
    (value.as_str().unwrap().to_owned(), found)
}

/// Joined here, so that no scanner takes this file for a leak.
fn secret(prefix: &str, rest: &str) -> String {
    [prefix, rest].concat()
}

#[test]
fn well_known_secrets_go_and_the_text_around_them_stays() {
    let alnum = "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8";
    let cases = [
        (secret("sk-", &format!("ant-api03-{alnum}")), "api-key"),
        (secret("sk-", &format!("proj-{alnum}")), "api-key"),
        (secret("ghp_", alnum), "github-token"),
        (secret("github_pat_", alnum), "github-token"),
        (secret("AKIA", "IOSFODNN7EXAMPLE"), "aws-key"),
        (secret("xoxb-", "123456789012-abcdefghij"), "slack-token"),
        (secret("AIza", &alnum[..35]), "google-key"),
        (secret("npm_", alnum), "registry-token"),
        (secret("whsec_", alnum), "signing-secret"),
        (secret("SU", &"A2B3C4D5".repeat(7)), "nkey-seed"),
        (
            secret(
                "eyJ",
                &format!("hbGciOiJIUzI1NiJ9.{}.c2lnbmF0dXJl", secret("eyJ", "zdWIiOiIxMjM0In0")),
            ),
            "jwt",
        ),
        (
            secret(
                "-----BEGIN RSA PRIVATE",
                " KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----",
            ),
            "private-key",
        ),
    ];
    for (secret, kind) in cases {
        let (text, found) = clean(&format!("before {secret} after"));
        assert_eq!(text, format!("before [redacted:{kind}] after"), "{secret}");
        assert_eq!(found, 1);
    }
}

#[test]
fn an_unfinished_private_key_goes_to_the_end() {
    let (text, _) = clean(&secret("x -----BEGIN PRIVATE", " KEY-----\nMIIEv"));
    assert_eq!(text, "x [redacted:private-key]");
}

#[test]
fn headers_and_assignments_keep_their_names() {
    for (text, expected) in [
        (
            "Authorization: Bearer abc.def-123456",
            "Authorization: Bearer [redacted:authorization]",
        ),
        (
            "curl -H 'authorization: Basic dXNlcjpwYXNz' x",
            "curl -H 'authorization: Basic [redacted:authorization]' x",
        ),
        ("use bearer abcdefgh12345678 now", "use bearer [redacted:bearer] now"),
        ("DB_PASSWORD=hunter22 make", "DB_PASSWORD=[redacted:password] make"),
        ("--token=tok12345678 go", "--token=[redacted:assignment] go"),
        ("api_key: 'k3yk3yk3y'", "api_key: '[redacted:assignment]'"),
        (
            "postgres://app:pa55word@db:5432/x",
            "postgres://app:[redacted:url-credentials]@db:5432/x",
        ),
        ("redis://:pa55@cache/0", "redis://:[redacted:url-credentials]@cache/0"),
        (
            "Server=db;Uid=sa;Pwd=Passw0rd;",
            "Server=db;Uid=sa;Pwd=[redacted:password];",
        ),
        (
            "CLAUDE_CODE_MESSAGING_TOKEN=abcdef",
            "CLAUDE_CODE_MESSAGING_TOKEN=[redacted:messaging-token]",
        ),
        (
            r#"{"password": "hunter22", "a": 1}"#,
            r#"{"password": "[redacted:password]", "a": 1}"#,
        ),
        (
            r#"{\"api_key\":\"k3yk3yk3y\"}"#,
            r#"{\"api_key\":\"[redacted:assignment]\"}"#,
        ),
    ] {
        assert_eq!(clean(text), (expected.to_owned(), 1), "{text}");
    }
}

#[test]
fn identifiers_hashes_code_and_prose_stay() {
    for text in [
        "78e6edba-fbb9-4db4-878f-fd73757b08ad",
        "commit 2f1c7e0b5d8a4c3e9f6b1a0d7c8e5f4a3b2c1d0e",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "toolu_01A09q90qw90lq917835lq9",
        "let token = parse_token(input)?;",
        "token: String, secret: &str",
        "max_tokens=4096 input_tokens: 12345678",
        "PWD=/home/dev/app",
        "password=$DB_PASSWORD",
        "export API_KEY=${API_KEY_FROM_VAULT_2}",
        "the bearer authentication scheme",
        "sk-learn-compatible-estimator-interface",
        "https://example.org:8443/a@b",
        "http://localhost:4180/v1/hooks",
        "git@github.com:owner/repo.git",
        "disk-utilisation-2026-report-of-everything",
    ] {
        assert_eq!(clean(text), (text.to_owned(), 0), "{text}");
    }
}

#[test]
fn a_key_that_says_secret_hides_its_text_whatever_it_looks_like() {
    let mut value = json!({
        "env": {"DB-Password": "plain", "clientSecret": "plain", "max_tokens": 5, "token": null, "tokens": "kept"},
        "headers": {"Set-Cookie": ["a", "b"], "X-Api-Key": "plain", "Accept": "kept"},
    });
    let found = Redactor::new().unwrap().redact(&mut value);
    assert_eq!(found, 5);
    assert_eq!(
        value,
        json!({
            "env": {"DB-Password": BY_KEY, "clientSecret": BY_KEY, "max_tokens": 5, "token": null, "tokens": "kept"},
            "headers": {"Set-Cookie": [BY_KEY, BY_KEY], "X-Api-Key": BY_KEY, "Accept": "kept"},
        })
    );
}

#[test]
fn a_secret_that_is_a_key_goes_and_what_is_under_it_stays() {
    let token = |last: &str| secret("ghp_", &format!("A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r{last}"));
    let mut value = json!({"a": {format!("k {}", token("1")): 1, "plain": 2, format!("k {}", token("2")): 3}});
    let redactor = Redactor::new().unwrap();
    assert_eq!(redactor.redact(&mut value), 2);
    assert_eq!(
        value,
        json!({"a": {"k [redacted:github-token]": 1, "plain": 2, "k [redacted:github-token] 2": 3}})
    );
    assert_eq!(redactor.redact(&mut value), 0);
}

#[test]
fn redacting_twice_changes_nothing_more() {
    let redactor = Redactor::new().unwrap();
    let mut value = json!({"password": "a", "text": "password=hunter22 Authorization: Bearer abcdefgh1 x://u:p4ss@h CLAUDE_CODE_MESSAGING_TOKEN=q1w2"});
    assert!(redactor.redact(&mut value) > 0);
    let once = value.clone();
    assert_eq!(redactor.redact(&mut value), 0);
    assert_eq!(value, once);
}

#[test]
fn json_inside_a_text_stays_json() {
    let inner = json!({"auth": {"password": "pa55 word", "api_key": "k3yk3yk3y"}, "url": "amqp://u:p4ss@h/v"});
    let (text, found) = clean(&inner.to_string());
    assert!(found >= 3, "{text}");
    serde_json::from_str::<Value>(&text).unwrap();
}
