//! Where to go on: what the hub says it has, against what the spool says it has.

use super::{Forward, stream_of};
use crate::spool::Lane;
use anyhow::Context as _;
use muster_domain::ids::ProducerId;
use muster_wire::Envelope;

/// What the hub's answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It has everything up to here.
    Has(u64),
    /// It lost what came after this.
    Lost(u64),
    /// Nothing new is known: go on after what was acknowledged.
    Same,
    /// It has what this spool never wrote.
    Copied,
}

/// `foreign` says that another producer's observations may hide newer ones of ours.
fn place(hub: Option<u64>, foreign: bool, acked: u64, last: u64) -> Place {
    match hub {
        Some(seq) if seq > last => Place::Copied,
        Some(seq) if seq >= acked => Place::Has(seq),
        _ if foreign => Place::Same,
        Some(seq) => Place::Lost(seq),
        None if acked > 0 => Place::Lost(0),
        None => Place::Same,
    }
}

impl Forward {
    /// Sets the lane to where the hub is, and returns the producer that goes on from there.
    pub(super) async fn resume(&self, lane: Lane) -> anyhow::Result<ProducerId> {
        loop {
            // Held until the lane is set: places of one producer mean nothing under another.
            let still = self.renewal.read().await;
            let mine = self.spool.producer();
            let hub = self.bus.last_stored(stream_of(lane), &self.host, mine).await?;
            let mut place = place(hub.seq, hub.foreign, self.spool.acked(lane), self.spool.last_seq(lane));
            if let (Place::Has(seq), Some(id)) = (place, hub.id)
                && let Some(record) = self.spool.read_from(lane, seq, 1, 0).await?.first()
                && record.seq == seq
                && Envelope::decode(&record.bytes).is_ok_and(|envelope| envelope.id != id)
            {
                // The same place, another event: a copy of this spool went on without this one.
                place = Place::Copied;
            }
            match place {
                Place::Has(seq) => self.spool.mark_acked(lane, seq),
                Place::Lost(seq) => {
                    let from = self.spool.rewind(lane, seq).await?;
                    tracing::warn!(
                        stream = stream_of(lane),
                        hub = seq,
                        from,
                        "the hub lost what it had acknowledged; offering it again"
                    );
                }
                Place::Same => {}
                Place::Copied => {
                    drop(still);
                    self.renew(mine).await.context("counting on as a new producer")?;
                    continue;
                }
            }
            return Ok(mine);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hub_is_believed_about_what_it_has() {
        assert_eq!(place(Some(7), false, 5, 9), Place::Has(7));
        assert_eq!(place(Some(5), false, 5, 9), Place::Has(5));
        assert_eq!(place(None, false, 0, 9), Place::Same);
    }

    #[test]
    fn a_lost_tail_is_offered_again() {
        assert_eq!(place(Some(3), false, 5, 9), Place::Lost(3));
        assert_eq!(place(None, false, 5, 9), Place::Lost(0));
    }

    #[test]
    fn hidden_behind_another_producer_a_lower_count_proves_nothing() {
        assert_eq!(place(Some(3), true, 5, 9), Place::Same);
        assert_eq!(place(None, true, 5, 9), Place::Same);
        assert_eq!(place(Some(7), true, 5, 9), Place::Has(7));
    }

    #[test]
    fn a_spool_that_the_hub_is_ahead_of_is_a_copy() {
        assert_eq!(place(Some(10), false, 5, 9), Place::Copied);
        assert_eq!(place(Some(10), true, 5, 9), Place::Copied);
    }
}
