//! Where a budget stands for each of those it is for.
//!
//! Only what differs from "counts from zero, nothing told yet" is kept.

use super::{Subject, Window};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How much of a budget is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Not much.
    #[default]
    Under,
    /// Most of it.
    Warned,
    /// All of it.
    Exceeded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub(super) struct Meter {
    /// What was spent before counting began.
    base: u64,
    /// When the window passes.
    pub(super) until: Option<Timestamp>,
    /// What the log says already.
    pub(super) told: Level,
}

impl Meter {
    /// What counts at this moment of all that was ever spent.
    pub(super) fn counts(self, sum: u64, at: Timestamp) -> u64 {
        if self.until.is_some_and(|until| until <= at) {
            return 0;
        }
        sum.saturating_sub(self.base)
    }

    /// What the log says already, as far as it is of this moment's window.
    pub(super) fn told(self, at: Timestamp) -> Level {
        if self.until.is_some_and(|until| until <= at) {
            return Level::Under;
        }
        self.told
    }
}

/// The meters of one budget.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub(super) struct Meters(#[serde(with = "crate::pairs")] BTreeMap<Subject, Meter>);

impl Meters {
    /// The meter of `subject`; of a windowed budget it has none before it spent anything.
    pub(super) fn get(&self, subject: &Subject) -> Option<Meter> {
        self.0.get(subject).copied()
    }

    pub(super) fn begin(&mut self, subject: Subject, base: u64) {
        self.0.entry(subject).or_default().base = base;
    }

    pub(super) fn roll(&mut self, subject: Subject, before: u64, at: Timestamp, window: Window) {
        let meter = self.0.entry(subject).or_default();
        if meter.until.is_none_or(|until| until <= at) {
            *meter = Meter {
                base: before,
                until: Some(window.end(at)),
                told: Level::Under,
            };
        }
    }

    pub(super) fn told(&mut self, subject: Subject, level: Level) {
        let meter = self.0.entry(subject).or_default();
        meter.told = meter.told.max(level);
    }

    pub(super) fn tell_anew(&mut self) {
        for meter in self.0.values_mut() {
            meter.told = Level::Under;
        }
    }

    pub(super) fn remove(&mut self, subject: &Subject) {
        self.0.remove(subject);
    }
}
