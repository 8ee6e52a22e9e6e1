//! Something at the hub that is opened again whenever it breaks, for whoever polls it.
//!
//! A caller may drop its `next` at any moment and call it again: opening is therefore kept as a future and gone on with,
//! not begun anew (each beginning would leave a consumer at the hub). Pauses grow until what was opened has shown to work,
//! because opening may well succeed and break at once.

use crate::connect::{Bus, retry_pause};
use crate::read::ReadError;
use futures_util::future::BoxFuture;

enum Step<S> {
    Closed,
    Opening(BoxFuture<'static, Result<S, ReadError>>),
    Open(Box<S>),
}

pub(crate) struct Resuming<S> {
    step: Step<S>,
    attempt: usize,
}

impl<S: Send + 'static> Resuming<S> {
    pub(crate) const fn new() -> Self {
        Self {
            step: Step::Closed,
            attempt: 0,
        }
    }

    /// What is open now.
    pub(crate) fn get(&self) -> Option<&S> {
        match &self.step {
            Step::Open(open) => Some(open),
            Step::Closed | Step::Opening(_) => None,
        }
    }

    /// The same, to drain it.
    pub(crate) fn get_mut(&mut self) -> Option<&mut S> {
        match &mut self.step {
            Step::Open(open) => Some(open),
            Step::Closed | Step::Opening(_) => None,
        }
    }

    /// What is open, or is opened now, however long that takes.
    ///
    /// # Errors
    /// What `open` gave, unless it was [`ReadError::Unavailable`]: that is tried again.
    pub(crate) async fn opened<F>(&mut self, bus: &Bus, open: impl Fn() -> F) -> Result<&mut S, ReadError>
    where
        F: Future<Output = Result<S, ReadError>> + Send + 'static,
    {
        // Not one `match` that returns the borrow of `Open`: the borrow checker would hold it in the other arms too.
        while !matches!(self.step, Step::Open(_)) {
            match &mut self.step {
                Step::Closed => {
                    let pause = (self.attempt > 0).then(|| retry_pause(self.attempt));
                    let mut connection = bus.state();
                    let open = open();
                    self.step = Step::Opening(Box::pin(async move {
                        if let Some(pause) = pause {
                            tokio::time::sleep(pause).await;
                        }
                        // The sender lives as long as the client does.
                        let _ = connection.wait_for(|state| state.connected).await;
                        open.await
                    }));
                }
                Step::Opening(opening) => {
                    let opened = opening.await;
                    self.step = Step::Closed;
                    match opened {
                        Ok(open) => self.step = Step::Open(Box::new(open)),
                        Err(error) => {
                            self.attempt += 1;
                            let ReadError::Unavailable(text) = error else {
                                return Err(error);
                            };
                            tracing::debug!(attempt = self.attempt, error = %text, "cannot read from the hub yet");
                        }
                    }
                }
                Step::Open(_) => {}
            }
        }
        self.get_mut()
            .ok_or_else(|| ReadError::Unavailable("closed meanwhile".to_owned()))
    }

    /// It works.
    pub(crate) const fn works(&mut self) {
        self.attempt = 0;
    }

    /// It broke.
    pub(crate) fn broke(&mut self) {
        self.attempt += 1;
        self.step = Step::Closed;
    }
}
