//! The operator's word: requests that only an operator may make carry a signature made with the operator's token.
//!
//! The token itself never travels: whoever may listen on the hub would have it. What is signed is the subject (and with it
//! the operation and the caller), the time, a nonce and the body, so a signature is good for one request, once, for a
//! few minutes.

use crate::secret_file::{self, SecretError};
use hmac::{Hmac, KeyInit, Mac};
use muster_domain::time::Timestamp;
use muster_wire::Request;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::Path;

/// The header that carries a signature.
pub const HEADER: &str = "Muster-Operator";
/// How far the clocks of an operator and of the orchestrator may be apart, in milliseconds: five minutes, as Kerberos
/// (RFC 4120) allows.
const SKEW_MS: i64 = 5 * 60 * 1000;
/// Shortest token that is taken, in bytes: what cannot be guessed through a service that answers some thousand times a
/// second.
const TOKEN_BYTES_MIN: usize = 16;

/// An operator's token.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Box<str>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(***)")
    }
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or made.
    #[error("the operator token's file cannot be used: {0}")]
    Io(#[from] io::Error),
    /// Others can read it.
    #[error(
        "the operator token's file can be read by others; `chmod 600` it, and make a new token if others are not trusted"
    )]
    Exposed,
    /// It holds too little.
    #[error("an operator token has at least {TOKEN_BYTES_MIN} characters")]
    Short,
}

impl From<SecretError> for KeyError {
    fn from(error: SecretError) -> Self {
        match error {
            SecretError::Io(error) => Self::Io(error),
            SecretError::Exposed => Self::Exposed,
        }
    }
}

/// Why a signature does not make its request an operator's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// There is none.
    #[error("this needs the operator's token; name its file with --operator-token, or MUSTER_OPERATOR_TOKEN_FILE")]
    Missing,
    /// It cannot be read.
    #[error("the operator's signature cannot be read")]
    Malformed,
    /// It was made with another token, or for another request.
    #[error("the operator token is not this orchestrator's")]
    Wrong,
    /// It was made too long ago, or in the future.
    #[error("the operator's signature is too old or too new; the clocks are more than five minutes apart")]
    Stale,
    /// It was made before whoever judges it began to, and may have been used where another one judged.
    #[error(
        "it was signed before this orchestrator began to lead; sign again, and check the clocks if that does not help"
    )]
    Early,
    /// It was used before.
    #[error("the operator's signature was used before")]
    Replayed,
}

impl Key {
    /// Takes a token's text; white space around it does not count.
    ///
    /// # Errors
    /// [`KeyError::Short`].
    pub fn new(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        if text.len() < TOKEN_BYTES_MIN {
            return Err(KeyError::Short);
        }
        Ok(Self(text.into()))
    }

    /// Reads a token from its file.
    ///
    /// # Errors
    /// [`KeyError`]; [`KeyError::Exposed`] when anybody but its owner may read it.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        Self::new(&secret_file::read(path)?)
    }

    /// Reads a token from its file, which is made with a new one if there is none. Of several processes that make it at the
    /// same time one wins, and all read the same.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn read_or_make(path: &Path) -> Result<Self, KeyError> {
        let text = secret_file::read_or_make(path, || Ok(hex(&rand::random::<[u8; 32]>())))?;
        Self::new(&text)
    }

    /// The signature of a request made at `at`: the value of [`HEADER`].
    pub fn sign(&self, request: &Request, body: &[u8], at: Timestamp) -> String {
        let nonce = hex(&rand::random::<[u8; 16]>());
        let mac = hex(&self.mac(request, body, at.as_millis(), &nonce).finalize().into_bytes());
        format!("v1;{};{nonce};{mac}", at.as_millis())
    }

    fn mac(&self, request: &Request, body: &[u8], ms: i64, nonce: &str) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(self.0.as_bytes()).expect("invariant: HMAC takes a key of any length");
        // None of the parts can hold a line's end.
        for part in [
            request.to_string(),
            ms.to_string(),
            nonce.to_owned(),
            hex(&Sha256::digest(body)),
        ] {
            mac.update(part.as_bytes());
            mac.update(b"\n");
        }
        mac
    }
}

/// Judges signatures, each once.
#[derive(Debug)]
pub struct Judge {
    key: Key,
    /// Those that were good, by their time, for as long as they would be good again.
    used: BTreeSet<(i64, Box<str>)>,
    /// Nothing signed before this is good: what was used then, another judge knows.
    since_ms: i64,
}

impl Judge {
    /// Judges by this token.
    pub const fn new(key: Key) -> Self {
        Self {
            key,
            used: BTreeSet::new(),
            since_ms: i64::MIN,
        }
    }

    /// Begins to judge in place of whoever did before.
    pub const fn begin(&mut self, now: Timestamp) {
        self.since_ms = now.as_millis();
    }

    /// Whether `signature` makes `request` an operator's.
    ///
    /// # Errors
    /// [`Unproven`] says why not.
    pub fn verify(
        &mut self,
        request: &Request,
        body: &[u8],
        signature: Option<&str>,
        now: Timestamp,
    ) -> Result<(), Unproven> {
        let signature = signature.ok_or(Unproven::Missing)?;
        let parts: Vec<&str> = signature.split(';').collect();
        let ["v1", ms, nonce, mac] = parts[..] else {
            return Err(Unproven::Malformed);
        };
        let ms: i64 = ms.parse().map_err(|_| Unproven::Malformed)?;
        let mac = unhex(mac).ok_or(Unproven::Malformed)?;
        self.key
            .mac(request, body, ms, nonce)
            .verify_slice(&mac)
            .map_err(|_| Unproven::Wrong)?;
        let now = now.as_millis();
        if now.abs_diff(ms) > SKEW_MS.unsigned_abs() {
            return Err(Unproven::Stale);
        }
        if ms < self.since_ms {
            return Err(Unproven::Early);
        }
        self.used.retain(|(used, _)| *used + SKEW_MS >= now);
        if self.used.insert((ms, nonce.into())) {
            Ok(())
        } else {
            Err(Unproven::Replayed)
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_wire::subject::{Caller, Operation};
    use std::os::unix::fs::PermissionsExt as _;

    const TOKEN: &str = "0123456789abcdef";

    fn request(caller: &str) -> Request {
        Request {
            operation: Operation::ApprovalsResolve,
            caller: Caller::new(caller).unwrap(),
        }
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn a_signature_is_good_once_for_its_own_request() {
        let key = Key::new(TOKEN).unwrap();
        let mut judge = Judge::new(key.clone());
        let signature = key.sign(&request("anna"), b"{}", at(1_000_000));
        let mut judged = |request: &Request, body: &[u8], signature: Option<&str>, now| {
            judge.verify(request, body, signature, at(now))
        };
        let signed = Some(signature.as_str());
        assert_eq!(judged(&request("anna"), b"{}", None, 1_000_000), Err(Unproven::Missing));
        assert_eq!(judged(&request("bert"), b"{}", signed, 1_000_000), Err(Unproven::Wrong));
        assert_eq!(
            judged(&request("anna"), b"{ }", signed, 1_000_000),
            Err(Unproven::Wrong)
        );
        assert_eq!(
            judged(&request("anna"), b"{}", Some("v1;x"), 1_000_000),
            Err(Unproven::Malformed)
        );
        assert_eq!(judged(&request("anna"), b"{}", signed, 1_400_000), Err(Unproven::Stale));
        assert_eq!(judged(&request("anna"), b"{}", signed, 600_000), Err(Unproven::Stale));
        assert_eq!(judged(&request("anna"), b"{}", signed, 1_200_000), Ok(()));
        assert_eq!(
            judged(&request("anna"), b"{}", signed, 1_200_000),
            Err(Unproven::Replayed)
        );
    }

    #[test]
    fn what_a_judge_before_may_have_admitted_is_not_admitted_again() {
        let key = Key::new(TOKEN).unwrap();
        let early = key.sign(&request("anna"), b"{}", at(999_999));
        let later = key.sign(&request("anna"), b"{}", at(1_000_000));
        let mut judge = Judge::new(key);
        judge.begin(at(1_000_000));
        let mut judged = |signed: &str| judge.verify(&request("anna"), b"{}", Some(signed), at(1_000_001));
        assert_eq!(judged(&early), Err(Unproven::Early));
        assert_eq!(judged(&later), Ok(()));
    }

    #[test]
    fn another_token_proves_nothing() {
        let mut judge = Judge::new(Key::new(TOKEN).unwrap());
        let other = Key::new("another-token-of-16")
            .unwrap()
            .sign(&request("anna"), b"", at(0));
        assert_eq!(
            judge.verify(&request("anna"), b"", Some(&other), at(0)),
            Err(Unproven::Wrong)
        );
    }

    #[test]
    fn a_token_is_made_once_and_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/operator.token");
        let made = Key::read_or_make(&path).unwrap();
        assert_eq!(made, Key::read_or_make(&path).unwrap());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path().join("deep")).unwrap().count(), 1);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Key::read(&path), Err(KeyError::Exposed)));
        assert!(matches!(Key::new("short"), Err(KeyError::Short)));
        assert_eq!(format!("{made:?}"), "Key(***)");
    }
}
