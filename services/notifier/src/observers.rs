//! Observers: registered once, told of what they asked for whenever somebody attaches, and truly of what they missed.
//!
//! - [`registration`], [`record`]: what is asked for, and what the hub keeps of it.
//! - [`account`]: what was delivered, what was missed, what waits.
//! - [`book`]: all of them, changed by comparison, followed by every notifier.
//! - [`count`]: offers each event of the log to each of them; [`attach`]: hands it to a client; [`keep`]: writes it down.
//! - [`mod@routes`]: the REST surface.
//!
//! The log is the buffer, so an observer costs places in it and no events; and whoever reads slowly is behind in the log,
//! where it holds up nobody.

mod account;
mod attach;
mod book;
mod count;
mod keep;
mod observed;
mod record;
mod registration;
mod routes;

pub(crate) use routes::{Desk, routes};

use crate::config;
use crate::stream::Streams;
use book::Book;
use count::Count;
use keep::Keep;
use muster_domain::time::Timestamp;
use muster_runtime::http;
use muster_runtime::service::Context;
use muster_wire::time;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;

/// The numbers of the section `[observers]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    max: usize,
    waiting_max: u64,
    save_every: Duration,
    attachment_lapses: Duration,
}

impl From<&config::Observers> for Settings {
    fn from(config: &config::Observers) -> Self {
        Self {
            max: config.max,
            waiting_max: config.waiting_max,
            save_every: config.save_every.get(),
            attachment_lapses: config.attachment_lapses.get(),
        }
    }
}

/// Starts the parts; gives what the routes need.
pub(crate) fn start(streams: &Streams, config: &config::Observers, http: &http::Config, context: &Context) -> Desk {
    let drain = &context.drain;
    let book = Arc::new(Book::new(&streams.bus, config.into()));
    let (progress, progress_seen) = watch::channel(0);
    let count = Count {
        book: Arc::clone(&book),
        follower: streams.follower(),
        progress,
    };
    let keep = Keep {
        book: Arc::clone(&book),
        bus: streams.bus.clone(),
        observers: context
            .metrics
            .gauge("muster_notifier_observers", "Registered observers", &[]),
    };
    drain.part("observers", Arc::clone(&book).listen(drain.clone()));
    drain.part("count", count.run(drain.clone()));
    drain.part("keep", keep.run(drain.clone()));
    Desk {
        book,
        streams: streams.clone(),
        progress: progress_seen,
        http: http.clone(),
    }
}

fn now() -> Timestamp {
    time::from_system(SystemTime::now())
}
