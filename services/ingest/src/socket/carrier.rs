//! A connection that became a carrier's: orders go out as they come, receipts come in.

use super::connection::Connection;
use muster_wire::frame::{Carry, ClientFrame, OfEffect, ServerFrame};
use std::io;
use tokio::io::AsyncBufReadExt as _;

impl Connection<'_> {
    /// Serves a carrier to the connection's end, which a later connection for the same session brings about as well.
    pub(super) async fn carry(&mut self, carry: Carry) -> io::Result<bool> {
        let Some(mut orders) = self.desk.effects.carry(carry).await else {
            self.error("displaced", "a later run carries this session").await?;
            return Ok(false);
        };
        self.send(&ServerFrame::Carrying).await?;
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => self.send(&order).await?,
                    None => return Ok(false),
                },
                // Nothing is read here yet, so nothing is lost when an order comes first.
                heard = self.stream.fill_buf() => {
                    if heard?.is_empty() || !self.heard().await? {
                        return Ok(false);
                    }
                }
                () = self.stop.cancelled() => return Ok(false),
            }
        }
    }

    /// Takes what the carrier says; false when that ends the connection.
    async fn heard(&mut self) -> io::Result<bool> {
        let frame = match self.frame(self.desk.read_timeout).await {
            Ok(frame) => frame,
            Err(end) => return self.end(end).await.map(|()| false),
        };
        let Ok((Ok(ClientFrame::Receipt(receipt)), _)) = frame.read().await else {
            self.error("unexpected", "a carrier says receipts only").await?;
            return Ok(false);
        };
        let effect_id = receipt.effect_id;
        // Where it could not be written, the carrier says it again to the next connection.
        if !self.desk.effects.receipt(receipt).await {
            return Ok(false);
        }
        self.send(&ServerFrame::Noted(OfEffect { effect_id })).await?;
        Ok(true)
    }
}
