//! For systems that do not list processes under `/proc`.

use super::Running;
use crate::commands::run::process::Started;
use muster_domain::names::RunId;
use muster_wire::data::watch::Categories;

pub(in super::super) const fn is_there() -> bool {
    false
}

pub(super) const fn start(_: &Categories, _: &RunId, _: &Started) -> Option<Running> {
    None
}
