//! Which names were answered lately, read back from the end of the spool: a hook whose ingest was killed after the write
//! and before the answer asks again, and its observation is there already.

use crate::recent::{Accepted, Content, Known, Name, Recent};
use crate::spool::{Lane, Spool, StoreError};
use muster_wire::Envelope;
use serde::Deserialize;

/// Records looked at: what a busy host writes within the minutes that a hook waits.
const RECORDS_MAX: u64 = 16 * 1024;
/// Records and bytes read at a time, so that starting takes no memory worth the name.
const CHUNK_RECORDS: usize = 256;
const CHUNK_BYTES: usize = 1024 * 1024;

#[derive(Deserialize)]
struct Noted {
    #[serde(default)]
    muster: Keyed,
}

#[derive(Deserialize, Default)]
struct Keyed {
    #[serde(default)]
    key: Option<String>,
}

pub(super) async fn recent(spool: &Spool) -> Result<Recent, StoreError> {
    let recent = Recent::default();
    for lane in [Lane::Events, Lane::Transcript] {
        let last = spool.last_seq(lane);
        let mut next = spool.first_seq(lane).max(last.saturating_sub(RECORDS_MAX) + 1);
        while next <= last {
            let records = spool.read_from(lane, next, CHUNK_RECORDS, CHUNK_BYTES).await?;
            let Some(newest) = records.last() else { break };
            next = newest.seq + 1;
            for record in &records {
                let Ok(envelope) = Envelope::decode(&record.bytes) else {
                    continue;
                };
                let known = Known {
                    accepted: Accepted {
                        id: envelope.id,
                        seq: record.seq,
                    },
                    content: Some(Content::stored(&envelope.event_type, envelope.session.as_ref())),
                };
                let key = serde_json::from_str::<Noted>(envelope.data.get())
                    .ok()
                    .and_then(|noted| noted.muster.key);
                recent.remember(key.map_or(Name::Id(envelope.id), |key| Name::Key(key.into())), known);
            }
        }
    }
    Ok(recent)
}
