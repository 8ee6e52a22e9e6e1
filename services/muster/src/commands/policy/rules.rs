//! Where rules come from: files, what is shipped, or what is in force.

use crate::args::Global;
use crate::ask::{AskError, ask};
use crate::{hub, output};
use anyhow::Context as _;
use muster_bus::Bus;
use muster_policy::{Policies, Source};
use muster_runtime::exit::Failure;
use muster_wire::api::{PolicyShowRequest, PolicyShown};
use muster_wire::subject::Operation;
use std::path::{Path, PathBuf};

/// How a file of rules is named.
const EXTENSION: &str = "cedar";

/// Rules that are shipped.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(super) enum Shipped {
    /// The defaults of the nine action families, as ccd has them
    Ccd,
}

#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// Rules in this file, or in the .cedar files of this folder; without any, those in force
    #[arg(long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Rules that are shipped
    #[arg(long, value_name = "NAME")]
    defaults: Option<Shipped>,
}

impl Which {
    /// Whether the rules in force are meant.
    pub(super) fn is_in_force(&self) -> bool {
        self.files.is_empty() && self.defaults.is_none()
    }

    /// The rules, read.
    pub(super) async fn read(&self, global: &Global) -> anyhow::Result<Policies> {
        let sources = if self.is_in_force() {
            in_force(&hub::connect(global).await?).await?.1
        } else {
            sources(&self.files, self.defaults)?
        };
        read(&sources)
    }
}

/// Rules, or what is wrong with them as a mistake of whoever wrote them.
pub(super) fn read(sources: &[Source]) -> anyhow::Result<Policies> {
    let policies = Policies::parse(sources).map_err(|error| Failure::Usage(error.to_string()))?;
    for warning in policies.warnings() {
        output::remark(&format!("warning: {warning}"));
    }
    Ok(policies)
}

/// What is in force.
pub(super) async fn in_force(bus: &Bus) -> anyhow::Result<(PolicyShown, Vec<Source>)> {
    let shown = ask(bus, Operation::PolicyShow, &PolicyShowRequest::default()).await;
    let (_, shown): (_, PolicyShown) = shown.map_err(AskError::fatal)?;
    let sources = shown.sources.iter().map(|source| Source {
        name: source.name.clone(),
        text: source.text.clone(),
    });
    let sources = sources.collect();
    Ok((shown, sources))
}

/// The texts of files and folders, and what is shipped.
pub(super) fn sources(files: &[PathBuf], defaults: Option<Shipped>) -> anyhow::Result<Vec<Source>> {
    let mut found: Vec<Source> = match defaults {
        Some(Shipped::Ccd) => vec![Source::ccd()],
        None => Vec::new(),
    };
    for file in files {
        if !file.is_dir() {
            found.push(source(file)?);
            continue;
        }
        let listed = std::fs::read_dir(file).with_context(|| format!("reading {}", file.display()))?;
        let mut inside = listed
            .map(|entry| Ok(entry?.path()))
            .collect::<std::io::Result<Vec<_>>>()?;
        inside.retain(|path| path.extension().is_some_and(|extension| extension == EXTENSION));
        inside.sort();
        if inside.is_empty() {
            let text = format!("{} holds no .{EXTENSION} file", file.display());
            return Err(Failure::Usage(text).into());
        }
        for path in inside {
            found.push(source(&path)?);
        }
    }
    Ok(found)
}

fn source(path: &Path) -> anyhow::Result<Source> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
    let name = path.file_name().unwrap_or(path.as_os_str());
    Ok(Source {
        name: name.to_string_lossy().into_owned(),
        text,
    })
}
