//! One receiver: where it is, what it wants, and how it is doing.

use super::queue::Queue;
use super::sign::{Key, KeyError};
use crate::config::Webhook;
use crate::select::{SelectError, Selection};
use axum::http::Uri;
use axum::http::uri::InvalidUri;
use muster_bus::kv;
use muster_domain::family::Family;
use muster_domain::ids::EventId;
use muster_domain::time::Timestamp;
use muster_runtime::config::SecretError;
use muster_wire::Subject;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Why an endpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EndpointError {
    #[error("webhook {name:?}: a name is letters, digits, - and _")]
    Name { name: String },
    #[error("webhook {name:?} is configured twice")]
    Twice { name: String },
    #[error("webhook {name:?}: url: {source}; it is http:// or https:// and a host")]
    Url { name: String, source: InvalidUri },
    /// Nothing else is spoken here, and a file or a socket of this machine is nobody's receiver.
    #[error("webhook {name:?}: url: it is http:// or https:// and a host, without user and password")]
    Scheme { name: String },
    #[error("webhook {name:?}: {source}")]
    Secret { name: String, source: SecretError },
    #[error("webhook {name:?}: secret_file: {source}")]
    Key { name: String, source: KeyError },
    #[error("webhook {name:?}: {source}")]
    Select { name: String, source: SelectError },
    /// Each delivery makes a notice, so telling of notices would never end.
    #[error("webhook {name:?}: families: notices are not delivered")]
    Notices { name: String },
}

/// A receiver.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) name: String,
    pub(crate) url: Uri,
    pub(crate) key: Key,
    selection: Selection,
    /// Whether it said that it wants nothing more (410). Forgotten with the process, so that a restart asks again.
    gone: AtomicBool,
    queue: Mutex<Queue>,
    /// Told when the queue changed.
    pub(crate) changed: Notify,
}

impl Endpoint {
    pub(crate) fn new(webhook: &Webhook) -> Result<Self, EndpointError> {
        let name = webhook.name.clone();
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || !name.chars().all(legal) {
            return Err(EndpointError::Name { name });
        }
        let url: Uri = webhook.url.parse().map_err(|source| EndpointError::Url {
            name: name.clone(),
            source,
        })?;
        let plain = url
            .authority()
            .is_some_and(|authority| !authority.as_str().contains('@'));
        if !matches!(url.scheme_str(), Some("http" | "https")) || !plain {
            return Err(EndpointError::Scheme { name });
        }
        let secret = webhook.secret_file.read().map_err(|source| EndpointError::Secret {
            name: name.clone(),
            source,
        })?;
        let key = Key::parse(secret.expose()).map_err(|source| EndpointError::Key {
            name: name.clone(),
            source,
        })?;
        let selection = select(webhook).map_err(|source| EndpointError::Select {
            name: name.clone(),
            source,
        })?;
        if selection.families().contains(&Family::NoticeDelivery) {
            return Err(EndpointError::Notices { name });
        }
        Ok(Self {
            name,
            url,
            key,
            selection,
            gone: AtomicBool::new(false),
            queue: Mutex::new(Queue::default()),
            changed: Notify::new(),
        })
    }

    pub(crate) fn wants(&self, subject: &Subject) -> bool {
        subject.event_type.family() != Family::NoticeDelivery && self.selection.wants_subject(subject)
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    pub(crate) fn set_gone(&self) {
        self.gone.store(true, Ordering::Release);
    }

    pub(crate) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ledger's key of one delivery.
    pub(crate) fn ledger_key(&self, event: EventId) -> String {
        kv::key(&[&self.name, &event.to_string()])
    }

    /// That a delivery is due then.
    pub(crate) fn enqueue(&self, event: EventId, due: Timestamp, seq: u64) {
        self.queue().set(event, due, seq);
        self.changed.notify_one();
    }

    /// That nothing is to be done about a delivery.
    pub(crate) fn dequeue(&self, event: EventId) {
        self.queue().remove(event);
    }
}

fn select(webhook: &Webhook) -> Result<Selection, SelectError> {
    let mut selection = Selection::default();
    webhook
        .families
        .iter()
        .try_for_each(|family| selection.family(family))?;
    webhook.kinds.iter().try_for_each(|kind| selection.kind(kind))?;
    webhook.hosts.iter().try_for_each(|host| selection.host(host))?;
    Ok(selection)
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_runtime::config::SecretFile;
    use std::path::Path;

    fn webhook(folder: &Path, url: &str, families: &[&str]) -> Webhook {
        let secret = folder.join("secret");
        std::fs::write(&secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        Webhook {
            name: "pager".to_owned(),
            url: url.to_owned(),
            secret_file: SecretFile::new(secret),
            families: families.iter().map(|family| (*family).to_owned()).collect(),
            kinds: Vec::new(),
            hosts: Vec::new(),
        }
    }

    #[test]
    fn an_endpoint_that_cannot_work_is_refused_at_start() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |url: &str, families: &[&str]| {
            Endpoint::new(&webhook(folder.path(), url, families))
                .unwrap_err()
                .to_string()
        };
        for url in [
            "ftp://host/x",
            "/path",
            "file:///etc/passwd",
            "https://user:word@host/",
            "unix:/run/x",
        ] {
            assert!(refused(url, &["runtime.*"]).contains("http://"), "{url}");
        }
        assert!(refused("http://host/", &["notice.delivery"]).contains("notices are not delivered"));
        assert!(refused("http://host/", &["notice.*"]).contains("notices are not delivered"));
        assert!(refused("http://host/", &["runtime.nope"]).contains("runtime.nope"));
        assert!(Endpoint::new(&webhook(folder.path(), "https://host:8443/x?y", &["runtime.*"])).is_ok());
    }

    #[test]
    fn an_endpoint_is_told_of_what_it_selected_and_never_of_notices() {
        let folder = tempfile::tempdir().unwrap();
        let endpoint = Endpoint::new(&webhook(folder.path(), "http://host/", &[])).unwrap();
        let wants = |subject: &str| endpoint.wants(&Subject::parse(subject).unwrap());
        assert!(wants("agent.hook.stop.web-01.s1"));
        assert!(!wants("notice.delivery.sent.web-01.s1"));
    }
}
