//! Who may do what on a hub of our own: the services may do everything, whoever comes without credentials may listen and ask.
//!
//! A guest publishes requests and nothing else. Not even reading from JetStream is left to guests, because there is no
//! such right that only reads: a consumer that is pushed, and a direct get with a reply subject of the asker's choice, have
//! the *server* publish what is stored, and the server may publish everywhere. For the same reason whoever answers requests
//! looks at where the answer would go (see [`crate::service`]).
//!
//! The services prove themselves with a key pair; the configuration holds its public half only.

use crate::secret_file::{self, SecretError};
use muster_wire::Request;
use nkeys::KeyPair;
use std::io;
use std::path::Path;

/// What guests do not hear though they may subscribe to `>`: requests (an operator's signature travels with them), and what
/// is no event: the API of JetStream, buckets and objects.
const UNHEARD: &[&str] = &["orchestrator.>", "$JS.>", "$KV.>", "$O.>", "$SRV.>"];

/// The users of a hub of our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Users {
    services: String,
}

/// Why the services have no key.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// The file cannot be read or made.
    #[error("it cannot be read or made: {0}")]
    Io(io::Error),
    /// Others can read it.
    #[error("others can read it; remove it, and a new key is made")]
    Exposed,
    /// It holds something else.
    #[error("it holds no NKey seed of a user; remove it, and a new key is made")]
    NoSeed,
}

impl From<SecretError> for UsersError {
    fn from(error: SecretError) -> Self {
        match error {
            SecretError::Io(error) => Self::Io(error),
            SecretError::Exposed => Self::Exposed,
        }
    }
}

impl Users {
    /// Users whose services have the key in this file, which is made with a new one if there is none. Its path is what
    /// [`crate::Options::credentials`] takes.
    ///
    /// # Errors
    /// [`UsersError`].
    pub fn read_or_make(seed_file: &Path) -> Result<Self, UsersError> {
        let seed = secret_file::read_or_make(seed_file, || KeyPair::new_user().seed().map_err(io::Error::other))?;
        let key = Some(seed.trim()).filter(|seed| seed.starts_with("SU"));
        let key = key.and_then(|seed| KeyPair::from_seed(seed).ok());
        Ok(Self {
            services: key.ok_or(UsersError::NoSeed)?.public_key(),
        })
    }

    /// Their part of the server's configuration.
    #[must_use]
    pub fn render(&self) -> String {
        let quoted: Vec<String> = UNHEARD.iter().map(|subject| format!("\"{subject}\"")).collect();
        format!(
            r#"authorization {{
  users = [
    {{ nkey: "{services}" }}
    {{ user: guest, password: guest, permissions: {{
        publish: {{ allow: ["{requests}"] }}
        subscribe: {{ allow: [">"], deny: [{unheard}] }} }} }}
  ]
}}
# Whoever shows nothing is a guest.
no_auth_user: guest
"#,
            services = self.services,
            requests = Request::EVERY,
            unheard = quoted.join(", "),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_same_file_gives_the_same_users_and_the_configuration_no_secret() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("state/services.nk");
        let users = Users::read_or_make(&file).unwrap();
        assert_eq!(Users::read_or_make(&file).unwrap(), users);
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let seed = std::fs::read_to_string(&file).unwrap();
        assert!(seed.starts_with("SU"), "no user's seed");
        let text = users.render();
        assert!(text.contains("nkey: \"U") && !text.contains(seed.trim()), "{text}");
    }

    #[test]
    fn a_key_that_others_can_read_or_that_is_none_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("services.nk");
        for (text, mode) in [("SUA", 0o600), ("password", 0o600), ("SUA", 0o644)] {
            std::fs::write(&file, text).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            let error = Users::read_or_make(&file).unwrap_err();
            assert_eq!(matches!(error, UsersError::Exposed), mode == 0o644, "{error}");
        }
    }
}
