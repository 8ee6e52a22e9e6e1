//! Any text as one subject token, and back.
//!
//! A token holds letters, digits, `-` and `_`. Every other byte becomes `=HH`, its value in upper-case hexadecimal, so
//! that encoding is reversible and needs no table. A lone `-` means *none*; the text `-` is therefore escaped.

/// The token that stands for *no host* or *no session*.
pub const NONE: &str = "-";

/// The token of `text`. The empty text has none; names are never empty.
pub fn encode(text: &str) -> String {
    if text == NONE {
        return "=2D".to_owned();
    }
    let mut token = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            token.push(char::from(byte));
        } else {
            token.push('=');
            token.push(hex_digit(byte >> 4));
            token.push(hex_digit(byte & 0xF));
        }
    }
    token
}

/// Whether `token` is that of `text`, without making it.
pub fn is_of(token: &str, text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if text != NONE && text.bytes().all(plain) {
        return token == text;
    }
    token == encode(text)
}

/// The text of `token`; `None` when [`encode`] could not have made it.
pub fn decode(token: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(token.len());
    let mut rest = token.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'=' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    let text = String::from_utf8(bytes).ok()?;
    // One text has exactly one token: what decodes but encodes differently (`=41`, `=2d`, a raw dot) is not ours.
    (!text.is_empty() && encode(&text) == token).then_some(text)
}

fn hex_digit(nibble: u8) -> char {
    char::from(if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ordinary_ids_stay_as_they_are() {
        assert_eq!(
            encode("78e6edba-fbb9-4db4-878f-fd73757b08ad"),
            "78e6edba-fbb9-4db4-878f-fd73757b08ad"
        );
    }

    #[test]
    fn separators_and_wildcards_are_escaped() {
        assert_eq!(encode("a.b*>c d"), "a=2Eb=2A=3Ec=20d");
        assert_eq!(encode("-"), "=2D");
        assert_eq!(encode("ü"), "=C3=BC");
    }

    #[test]
    fn foreign_tokens_are_refused() {
        for token in ["", "=", "=4", "=ZZ", "=41", "=2e", "a.b", "=FF", "-"] {
            assert_eq!(decode(token), None, "{token:?}");
        }
    }

    proptest! {
        #[test]
        fn every_text_comes_back(text in ".{1,40}") {
            let token = encode(&text);
            prop_assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_=".contains(&b)));
            prop_assert_eq!(decode(&token), Some(text));
        }

        #[test]
        fn decoding_never_panics(token in "\\PC{0,20}") {
            let _ = decode(&token);
        }
    }
}
