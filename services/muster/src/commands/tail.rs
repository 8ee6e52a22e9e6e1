//! `muster tail`: every event as it is stored.

use super::selection::Selection;
use crate::args::Global;
use crate::{format, hub};
use muster_bus::read::Start;
use muster_domain::time::Timestamp;
use muster_wire::topology;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Selection,
    /// Begin with what was stored since then: an age as in 15m, or a time
    #[arg(long, value_name = "WHEN", value_parser = format::moment_arg)]
    since: Option<Timestamp>,
    /// Begin with this sequence
    #[arg(long, value_name = "N", conflicts_with = "since")]
    from_seq: Option<u64>,
    /// Show the lines that agents print, instead of events
    #[arg(long)]
    transcript: bool,
    /// End with the newest; without --since or --from-seq, begin with the oldest
    #[arg(long)]
    no_follow: bool,
}

pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<ExitCode> {
    args.which.check()?;
    let bus = hub::connect(global).await?;
    let selected = args.which.resolve(&bus).await?;
    let stream = if args.transcript {
        topology::TRANSCRIPT
    } else {
        topology::EVENTS
    };
    hub::may_read(&bus, stream).await?;
    let from = match args.from_seq {
        Some(seq) if args.no_follow && seq > bus.stream_state(stream).await?.last_seq => return Ok(ExitCode::SUCCESS),
        // What is not stored yet is waited for: from the newest on, and not shown before its turn.
        Some(seq) => Some(seq.min(bus.stream_state(stream).await?.last_seq + 1)),
        None => None,
    };
    let start = match (from, args.since) {
        (Some(seq), _) => Start::Seq(seq.max(1)),
        (None, Some(since)) => Start::Time(since),
        (None, None) if args.no_follow => Start::First,
        (None, None) => Start::New,
    };
    let mut reader = bus.read(stream, std::slice::from_ref(&selected.filter), start);
    reader.open().await?;
    while !(args.no_follow && reader.pending() == Some(0)) {
        let stored = reader.next().await?;
        if args.from_seq.is_none_or(|from| stored.seq >= from) {
            selected.print(&stored, global.json);
        }
    }
    Ok(ExitCode::SUCCESS)
}
