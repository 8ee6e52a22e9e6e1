//! What is told of an order, on disk before anything follows from it.

use super::clerk::Clerk;
use super::journal::Entry;
use super::{Request, again, now, settle};
use crate::observation::Observation;
use crate::peer::Peer;
use crate::reject::Reject;
use muster_domain::family::{EffectReceiptKind, EventType};
use muster_domain::ids::{EffectId, EventId};
use muster_wire::data::effect::EffectReceipt;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

impl Clerk {
    /// Tells that an effect begins, and writes it down with the process that gets it; false when neither can be done.
    pub(super) async fn begin(&mut self, request: &Request, by: Option<Peer>) -> bool {
        let entry = Entry {
            session: request.session.clone(),
            run: request.requested.run.clone(),
            by,
            kind: Some(request.requested.action.kind()),
            begun: now(),
            over: false,
        };
        if !self
            .tell(EffectReceiptKind::Accepted, request.id, &entry, None, None)
            .await
        {
            return false;
        }
        match self.journal.write(request.id, entry).await {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(%error, "an order is not carried out, because it cannot be written down");
                false
            }
        }
    }

    /// Says that nothing comes of an order, which was not begun.
    pub(super) async fn refuse(&mut self, request: Request, reason: &str, detail: &str) {
        let entry = Entry {
            session: request.session,
            run: request.requested.run,
            by: None,
            kind: Some(request.requested.action.kind()),
            begun: now(),
            over: true,
        };
        if !self
            .tell(
                EffectReceiptKind::Failed,
                request.id,
                &entry,
                Some(reason),
                Some(detail.to_owned()),
            )
            .await
        {
            return again(request.delivery).await;
        }
        if let Err(error) = self.journal.write(request.id, entry).await {
            tracing::warn!(%error, "a refused order is not written down");
        }
        settle(request.delivery).await;
    }

    /// Tells how an effect ended, and notes that it was told.
    pub(super) async fn end(&mut self, id: EffectId, failed: Option<&str>, detail: Option<String>) -> bool {
        let Some(entry) = self.journal.get(id).cloned() else {
            return true;
        };
        let kind = if failed.is_some() {
            EffectReceiptKind::Failed
        } else {
            EffectReceiptKind::Done
        };
        if !self.tell(kind, id, &entry, failed, detail).await {
            return false;
        }
        self.carriers.over(id);
        if let Err(error) = self.journal.over(id).await {
            tracing::warn!(%error, "the end of an order is not written down");
        }
        true
    }

    pub(super) async fn unknown(&mut self, id: EffectId, why: &str) {
        self.end(id, Some("unknown"), Some(format!("nobody knows how far it got: {why}")))
            .await;
    }

    /// Makes a receipt durable; false when it could not be.
    async fn tell(
        &self,
        kind: EffectReceiptKind,
        id: EffectId,
        entry: &Entry,
        reason: Option<&str>,
        detail: Option<String>,
    ) -> bool {
        let receipt = EffectReceipt {
            effect_id: id,
            kind: entry.kind,
            run: entry.run.clone(),
            reason: reason.map(ToOwned::to_owned),
            detail,
        };
        let Ok(Value::Object(data)) = serde_json::to_value(receipt) else {
            return false;
        };
        let mut observation = Observation::of(EventType::AgentEffect(kind), data);
        observation.session = entry.session.clone();
        observation.id = Some(receipt_id(id, kind));
        match self.intake.accept_one(observation).await {
            Ok(_) => true,
            // Told before, in other words.
            Err(Reject::IdConflict(_)) => true,
            Err(error) => {
                tracing::error!(%error, "a receipt of an order was not written");
                false
            }
        }
    }
}

/// A receipt's id: the same receipt twice is one event.
fn receipt_id(effect: EffectId, kind: EffectReceiptKind) -> EventId {
    let digest: [u8; 32] = Sha256::new_with_prefix(format!("{effect} {}", kind.as_str()))
        .finalize()
        .into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    EventId::from_uuid(uuid::Builder::from_random_bytes(bytes).into_uuid())
}
