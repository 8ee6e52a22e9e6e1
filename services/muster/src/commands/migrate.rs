//! `muster migrate`: the one place that creates and changes the hub's streams, buckets and consumers.

use crate::args::Global;
use crate::{hub, output};
use anyhow::Context as _;
use muster_bus::migrate::{self, Shrink};
use muster_runtime::config::{ByteSize, HumanDuration};
use muster_wire::topology::Sizing;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Bytes of randomness in a generated token: as many as a SHA-256 has, and more than anybody guesses.
const TOKEN_BYTES: usize = 32;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Copies of everything: 1, or 3 on a cluster
    #[arg(long, default_value_t = 1)]
    replicas: usize,
    /// Events kept at most, by size (as in 4GiB)
    #[arg(long, value_name = "SIZE")]
    events_bytes: Option<ByteSize>,
    /// Events kept at most, by age (as in 14d)
    #[arg(long, value_name = "AGE", value_parser = age)]
    events_age: Option<HumanDuration>,
    /// Apply limits that discard events which are stored now
    #[arg(long)]
    shrink: bool,
    /// Also make a token for the services' HTTP surfaces in this file, if it is not there yet
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

fn age(text: &str) -> Result<HumanDuration, serde_json::Error> {
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
}

pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<ExitCode> {
    if let Some(file) = &args.token_file
        && make_token(file).with_context(|| format!("making a token in {}", file.display()))?
    {
        output::remark(&format!("made a token in {}", file.display()));
    }
    let mut sizing = Sizing {
        replicas: args.replicas,
        ..Sizing::default()
    };
    if let Some(bytes) = args.events_bytes {
        sizing.events_bytes_max = i64::try_from(bytes.as_u64())?;
    }
    if let Some(age) = args.events_age {
        sizing.events_age_max = age.get();
    }
    let bus = hub::connect(global).await?;
    let shrink = if args.shrink { Shrink::Apply } else { Shrink::Refuse };
    let changes: Vec<String> = migrate::migrate(&bus, &sizing, shrink)
        .await?
        .iter()
        .map(ToString::to_string)
        .collect();
    if global.json {
        output::json(&serde_json::json!({ "changes": changes }))?;
    } else if changes.is_empty() {
        output::line("nothing to change");
    } else {
        changes.iter().for_each(|change| output::line(change));
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes a token readable by its owner alone. Returns whether there was none yet.
fn make_token(file: &Path) -> anyhow::Result<bool> {
    let mut out = match std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
    {
        Ok(out) => out,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let mut random = [0_u8; TOKEN_BYTES];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut random)?;
    let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    out.write_all(token.as_bytes())?;
    out.sync_all()?;
    Ok(true)
}
