//! Ids of decisions, derived from what they decide.
//!
//! The same cause leads every leader to the same decision, so its id follows from the cause, and the hub drops the second
//! copy. The derivation is keyed: the hub recognises repetitions by id across the whole stream, so whoever could compute a
//! decision's id could occupy it first with a message of their own. The key lies in the bucket `lease`, which hosts cannot
//! read (see [`crate::migrate`]).

use hmac::{Hmac, KeyInit, Mac};
use muster_domain::ids::EventId;
use sha2::Sha256;
use std::fmt;

/// Bytes of a key: the block that HMAC-SHA256 does not have to shorten and that nobody guesses.
pub const SECRET_BYTES: usize = 32;

/// The key that only orchestrators hold.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; SECRET_BYTES]);

impl Secret {
    /// Takes a key.
    pub const fn new(key: [u8; SECRET_BYTES]) -> Self {
        Self(key)
    }

    /// A key nobody had before.
    pub(crate) fn random() -> Self {
        Self(rand::random())
    }

    pub(crate) const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// The id of what follows from `cause` in the way the `parts` say: a UUID of version 8 (RFC 9562: made our own way).
pub fn keyed(secret: &Secret, cause: &str, parts: &[&str]) -> EventId {
    // HMAC takes keys of any length; the type of the error only says that others do not.
    let mut mac = Hmac::<Sha256>::new_from_slice(&secret.0).expect("invariant: HMAC takes a key of any length");
    for part in std::iter::once(&cause).chain(parts) {
        // Length first: ("ab", "c") must not be ("a", "bc").
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part.as_bytes());
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&mac.finalize().into_bytes()[..16]);
    EventId::from_uuid(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_cause_gives_the_same_id_and_only_with_the_same_key() {
        let (ours, theirs) = (Secret::new([1; 32]), Secret::new([2; 32]));
        let id = keyed(&ours, "0198f3c2", &["approval", "expired"]);
        assert_eq!(id, keyed(&ours, "0198f3c2", &["approval", "expired"]));
        assert_ne!(id, keyed(&theirs, "0198f3c2", &["approval", "expired"]));
        assert_eq!(id.as_uuid().get_version_num(), 8);
    }

    #[test]
    fn parts_do_not_run_into_one_another() {
        let key = Secret::new([1; 32]);
        assert_ne!(keyed(&key, "c", &["ab", "c"]), keyed(&key, "c", &["a", "bc"]));
        assert_ne!(keyed(&key, "c", &[]), keyed(&key, "c", &[""]));
    }

    #[test]
    fn a_key_does_not_print() {
        assert_eq!(format!("{:?}", Secret::new([7; 32])), "Secret(***)");
    }
}
