//! A connection that became a carrier's: orders go out as they come, receipts come in.

use super::connection::Connection;
use crate::effects::NotCarrier;
use muster_wire::frame::{Carry, ClientFrame, OfEffect, ServerFrame};
use std::io;
use tokio::io::AsyncBufReadExt as _;

impl Connection<'_> {
    /// Serves a carrier to the connection's end, which a later connection for the same session brings about as well.
    pub(super) async fn carry(&mut self, carry: Carry) -> io::Result<bool> {
        let mut orders = match self.desk.effects.carry(carry, self.peer).await {
            Ok(orders) => orders,
            Err(not) => return self.not_the_carrier(&not).await,
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
        match self.desk.effects.receipt(receipt, self.peer).await {
            Ok(()) => {}
            // Where it could not be written, the carrier says it again to the next connection.
            Err(NotCarrier::Ending) => return Ok(false),
            Err(not) => return self.not_the_carrier(&not).await,
        }
        self.send(&ServerFrame::Noted(OfEffect { effect_id })).await?;
        Ok(true)
    }

    async fn not_the_carrier(&mut self, not: &NotCarrier) -> io::Result<bool> {
        self.error(not.kind(), &not.to_string()).await?;
        Ok(false)
    }
}
