//! `muster replay`: what happened, again, in its own rhythm or faster.

use super::selection::Selection;
use crate::args::Global;
use crate::{format, hub};
use anyhow::bail;
use muster_bus::read::Start;
use muster_domain::time::Timestamp;
use muster_runtime::exit::Failure;
use muster_wire::topology;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Selection,
    /// From then: an age as in 15m, or a time
    #[arg(long, value_name = "WHEN", value_parser = format::moment_arg)]
    since: Option<Timestamp>,
    /// From this sequence
    #[arg(long, value_name = "N", conflicts_with = "since")]
    from_seq: Option<u64>,
    /// Until then; without it, what is stored now
    #[arg(long, value_name = "WHEN", value_parser = format::moment_arg)]
    until: Option<Timestamp>,
    /// Until this sequence
    #[arg(long, value_name = "N")]
    until_seq: Option<u64>,
    /// How many times as fast as it happened, or max; 1 without it, and max with --json
    #[arg(long, value_name = "FACTOR")]
    speed: Option<Speed>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Speed {
    Times(f64),
    Max,
}

#[derive(Debug, thiserror::Error)]
#[error("give a number above 0, or max")]
struct NoSpeed;

impl FromStr for Speed {
    type Err = NoSpeed;

    fn from_str(text: &str) -> Result<Self, NoSpeed> {
        if text == "max" {
            return Ok(Self::Max);
        }
        let times: f64 = text.trim_end_matches('x').parse().map_err(|_| NoSpeed)?;
        (times.is_finite() && times > 0.0)
            .then_some(Self::Times(times))
            .ok_or(NoSpeed)
    }
}

impl Speed {
    /// When, counted from the first event, the event is due that came `after` it.
    fn due(self, after: Duration) -> Duration {
        match self {
            Self::Max => Duration::ZERO,
            Self::Times(times) => Duration::try_from_secs_f64(after.as_secs_f64() / times).unwrap_or(Duration::MAX),
        }
    }
}

pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<ExitCode> {
    let start = match (args.from_seq, args.since) {
        (Some(seq), _) => Start::Seq(seq.max(1)),
        (None, Some(since)) => Start::Time(since),
        (None, None) if args.which.names_session() => Start::First,
        (None, None) => {
            bail!(Failure::Usage(
                "name a --session, or say --since when or --from-seq which event to replay the fleet".to_owned()
            ))
        }
    };
    let speed = args
        .speed
        .unwrap_or(if global.json { Speed::Max } else { Speed::Times(1.0) });
    args.which.check()?;
    let bus = hub::connect(global).await?;
    hub::may_read(&bus, topology::EVENTS).await?;
    let selected = args.which.resolve(&bus).await?;
    if let Start::Seq(seq) = start
        && seq > bus.stream_state(topology::EVENTS).await?.last_seq
    {
        return Ok(ExitCode::SUCCESS);
    }
    let mut reader = bus.read(topology::EVENTS, std::slice::from_ref(&selected.filter), start);
    // What is stored meanwhile is not part of the replay.
    let end = args.until_seq.unwrap_or(u64::MAX).min(reader.open().await?.last_seq);
    let mut begun: Option<(Instant, Timestamp)> = None;
    while reader.pending() != Some(0) {
        let stored = reader.next().await?;
        if stored.seq > end || args.until.is_some_and(|until| stored.at > until) {
            break;
        }
        let (began, first) = *begun.get_or_insert((Instant::now(), stored.at));
        match began.checked_add(speed.due(stored.at.since(first))) {
            Some(due) => sleep_until(due).await,
            // Later than any clock says.
            None => std::future::pending().await,
        }
        selected.print(&stored, global.json);
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_scale_the_gaps() {
        let ten: Speed = "10x".parse().unwrap();
        assert_eq!(ten.due(Duration::from_secs(5)), Duration::from_millis(500));
        assert_eq!(
            "max".parse::<Speed>().unwrap().due(Duration::from_secs(5)),
            Duration::ZERO
        );
        for text in ["0", "-1", "nan", "inf", "fast"] {
            assert!(text.parse::<Speed>().is_err(), "{text}");
        }
    }
}
