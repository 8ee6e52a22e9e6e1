//! Addresses as they may be shown: without the user, the password or the token that one may hold.
//!
//! An address is read by programs with its secret and printed by every message about it, so whatever prints one passes it
//! through here first.

use std::borrow::Cow;

const MASK: &str = "***";

/// The text with every `user:password@` or `token@` of an address in it replaced. Rather masks too much than too little.
#[must_use]
pub fn addresses(text: &str) -> Cow<'_, str> {
    if !text.contains('@') {
        return Cow::Borrowed(text);
    }
    // An address of several servers separates them by commas.
    let words = text.split_inclusive(|c: char| c.is_whitespace() || c == ',');
    Cow::Owned(words.map(word).collect())
}

fn word(word: &str) -> Cow<'_, str> {
    secret(word).map_or(Cow::Borrowed(word), |(start, end)| {
        Cow::Owned([&word[..start], MASK, &word[end..]].concat())
    })
}

/// Where a user and its password stand in a word.
fn secret(word: &str) -> Option<(usize, usize)> {
    let last = word.rfind('@')?;
    if let Some(scheme) = word.find("://").filter(|scheme| *scheme < last) {
        let start = scheme + "://".len();
        let rest = &word[start..];
        let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
        if let Some(at) = authority.rfind('@') {
            return Some((start, start + at));
        }
        // The `@` stands in the path, unless what looks like a port is the beginning of a password with a `/` in it.
        let (_, port) = authority.rsplit_once(':')?;
        let is_port = !authority.ends_with(']') && port.bytes().all(|byte| byte.is_ascii_digit());
        return (!is_port && !authority.ends_with(']')).then_some((start, last));
    }
    // Without a scheme it is an address of a server only with a password: `name@example.org` is somebody's mail.
    let colon = word[..last].find(':')?;
    let start = word[..colon]
        .rfind(['=', '"', '\'', '`', '('])
        .map_or(0, |before| before + 1);
    Some((start, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_address_holds_of_secrets_is_masked() {
        for (address, shown) in [
            ("nats://web-01:pa55@hub:4222", "nats://***@hub:4222"),
            ("tls://t0ken@hub", "tls://***@hub"),
            ("nats://a:p@h1,nats://a:p@h2:4222", "nats://***@h1,nats://***@h2:4222"),
            ("a:p@hub:4222", "***@hub:4222"),
            ("nats://a:p/w@x@hub", "nats://***@hub"),
            ("nats://a:p@w@hub/x", "nats://***@hub/x"),
            (
                "flag --set nats.url=nats://a:p@hub",
                "flag --set nats.url=nats://***@hub",
            ),
            ("flag --set nats.url=a:p@hub", "flag --set nats.url=***@hub"),
            (
                "cannot connect to \"nats://a:p@hub\": no",
                "cannot connect to \"nats://***@hub\": no",
            ),
            (
                "[\"https://a:p@one\", \"https://two\"]",
                "[\"https://***@one\", \"https://two\"]",
            ),
        ] {
            assert_eq!(addresses(address), shown);
        }
    }

    #[test]
    fn what_holds_no_secret_is_left_alone() {
        for text in [
            "nats://hub:4222",
            "nats://[::1]:4222/a@b",
            "https://example.org/@name",
            "https://example.org:443/@name",
            "mail name@example.org, or not",
            "",
        ] {
            assert_eq!(addresses(text), text);
        }
    }
}
