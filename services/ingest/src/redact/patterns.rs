//! What secrets look like. Each pattern is anchored by something that ordinary text does not have: a vendor's prefix, a
//! header's name, the word before an equals sign. UUIDs, git hashes and paths match none of them.
//!
//! Group `secret` is what goes, `before` and `after` stay; without groups the whole match goes.

/// One kind of secret.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    /// What the mark says was there.
    pub(super) kind: &'static str,
    /// How it looks.
    pub(super) pattern: &'static str,
    /// What it must have besides: regular expressions here cannot look ahead.
    pub(super) plausible: fn(&str) -> bool,
}

const fn rule(kind: &'static str, pattern: &'static str, plausible: fn(&str) -> bool) -> Rule {
    Rule {
        kind,
        pattern,
        plausible,
    }
}

/// In the order in which they are applied: the specific before the general.
pub(super) const PATTERNS: &[Rule] = &[
    rule(
        "private-key",
        r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?s:.*?)(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\z)",
        always,
    ),
    rule(
        "messaging-token",
        r#"(?<before>CLAUDE_CODE_MESSAGING_TOKEN\\?["']?\s*[=:]\s*\\?["']?)(?<secret>[^\s"'\\,;]+)"#,
        unmarked,
    ),
    rule("api-key", r"(?-u:\b)sk-[A-Za-z0-9_-]{20,}", has_digit),
    rule("stripe-key", r"(?-u:\b)[rs]k_(?:live|test)_[A-Za-z0-9]{16,}", always),
    rule(
        "github-token",
        r"(?-u:\b)(?:gh[oprsu]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})",
        always,
    ),
    rule("gitlab-token", r"(?-u:\b)glpat-[A-Za-z0-9_-]{20,}", always),
    rule("aws-key", r"(?-u:\b)(?:AKIA|ASIA)[A-Z0-9]{16}(?-u:\b)", always),
    rule(
        "slack-token",
        r"(?-u:\b)(?:xox[abeoprs]|xapp)-[A-Za-z0-9-]{10,}",
        has_digit,
    ),
    rule(
        "slack-webhook",
        r"(?<before>hooks\.slack\.com/(?:services|workflows|triggers)/)(?<secret>[A-Za-z0-9/_-]{16,})",
        always,
    ),
    rule("google-key", r"(?-u:\b)AIza[A-Za-z0-9_-]{35}", always),
    rule(
        "registry-token",
        r"(?-u:\b)(?:npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,}|hf_[A-Za-z0-9]{30,})",
        always,
    ),
    rule("nkey-seed", r"(?-u:\b)S[ACNOUX][A-Z2-7]{56}(?-u:\b)", always),
    rule("signing-secret", r"(?-u:\b)whsec_[A-Za-z0-9+/=_-]{16,}", always),
    rule("age-key", r"(?-u:\b)AGE-SECRET-KEY-1[A-Z0-9]{50,}", always),
    rule(
        "jwt",
        r"(?-u:\b)eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
        always,
    ),
    rule(
        "authorization",
        r#"(?i)(?<before>(?-u:\b)authorization\\?["']?\s*[:=]\s*\\?["']?(?:(?:bearer|basic|token|digest|apikey)\s+)?)(?<secret>[^\s"'\\,;]{6,})"#,
        unmarked,
    ),
    rule(
        "bearer",
        r"(?i)(?<before>(?-u:\b)bearer\s+)(?<secret>[A-Za-z0-9._~+/-]{16,}=*)",
        has_digit,
    ),
    rule(
        "url-credentials",
        r#"(?<before>(?-u:\b)[a-z][a-z0-9+.-]*://[^\s:/@"'<>\\]*:)(?<secret>[^\s/@"'<>\\]+)(?<after>@)"#,
        literal,
    ),
    rule(
        "url-key",
        r#"(?i)(?<before>[?&](?:key|sig|signature|auth|code|x-amz-signature|x-amz-security-token)=)(?<secret>[^\s&"'#\\]{16,})"#,
        literal,
    ),
    rule(
        "password",
        r#"(?i)(?<before>(?:password|passwd|passphrase|;\s*pwd)\\?["']?\s*[:=]\s*\\?["']?)(?<secret>[^\s"'\\,;&<>(){}\[\]]{4,})"#,
        literal,
    ),
    rule(
        "assignment",
        r#"(?i)(?<before>(?:secret|token|api[_-]?key|access[_-]?key|secret[_-]?key|private[_-]?key)\\?["']?\s*[:=]\s*\\?["']?)(?<secret>[^\s"'\\,;&<>(){}\[\]]{8,})"#,
        secret_value,
    ),
];

const fn always(_: &str) -> bool {
    true
}

/// Not a mark that an earlier rule left.
fn unmarked(text: &str) -> bool {
    !text.starts_with("[redacted")
}

/// Random letters of this length nearly always have a digit; words joined by hyphens have none.
fn has_digit(text: &str) -> bool {
    text.bytes().any(|b| b.is_ascii_digit())
}

/// A value rather than a reference to one (`$TOKEN`, `%s`, `*****`) or a word of a programming language.
fn literal(text: &str) -> bool {
    const WORDS: &[&str] = &["true", "false", "null", "none", "undefined", "string", "str"];
    unmarked(text)
        && !text.starts_with(['$', '%', '*', '#'])
        && !WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// A literal that does not look like code: an identifier without digits, or a call, is no secret.
fn secret_value(text: &str) -> bool {
    literal(text) && has_digit(text) && !text.contains("::") && !text.bytes().all(|b| b.is_ascii_digit())
}
