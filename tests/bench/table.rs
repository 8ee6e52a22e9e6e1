//! What is printed: each number beside its floor.
//!
//! A row is measured in rounds, floor and number in turn, so that what else the machine does hits both. The ratio is the
//! median of the rounds' ratios; the range behind it says how far it can be trusted.

use std::time::Duration;

/// What a number is counted in.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unit {
    Millis,
    PerSecond,
}

/// What a ratio, or a number without a floor, should reach.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reach {
    AtMost(f64),
    AtLeast(f64),
    /// The number itself, whatever the floor.
    Never(f64),
    Reported,
}

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    what: String,
    unit: Unit,
    reach: Reach,
    /// Number and floor of each round.
    rounds: Vec<(f64, Option<f64>)>,
}

impl Row {
    pub(crate) fn new(what: impl Into<String>, unit: Unit, reach: Reach) -> Self {
        Self {
            what: what.into(),
            unit,
            reach,
            rounds: Vec::new(),
        }
    }

    pub(crate) fn named(self, what: String) -> Self {
        Self { what, ..self }
    }

    pub(crate) fn round(&mut self, value: f64, floor: f64) {
        self.rounds.push((value, Some(floor)));
    }

    pub(crate) fn alone(&mut self, value: f64) {
        self.rounds.push((value, None));
    }

    fn line(&self) -> String {
        let values = sorted(self.rounds.iter().map(|(value, _)| *value));
        let floors = sorted(self.rounds.iter().filter_map(|(_, floor)| *floor));
        let ratios = sorted(self.rounds.iter().filter_map(|(value, floor)| Some(value / (*floor)?)));
        let ratio = median(&ratios);
        let (reach, reached) = match self.reach {
            Reach::AtMost(most) => (format!("≤ {most} ×"), Some(ratio <= most)),
            Reach::AtLeast(least) => (format!("≥ {least} ×"), Some(ratio >= least)),
            Reach::Never(most) => (
                format!("≤ {}", self.show(most)),
                values.last().map(|worst| *worst <= most),
            ),
            Reach::Reported => ("–".to_owned(), None),
        };
        let value = match self.reach {
            Reach::Never(_) => values.last().copied().unwrap_or(f64::NAN),
            Reach::AtMost(_) | Reach::AtLeast(_) | Reach::Reported => median(&values),
        };
        let (floor, ratio) = match ratios[..] {
            [] => ("–".to_owned(), "–".to_owned()),
            [least, .., most] => (
                self.show(median(&floors)),
                format!("{ratio:.2} [{least:.2}..{most:.2}]"),
            ),
            [only] => (self.show(median(&floors)), format!("{only:.2}")),
        };
        let verdict = reached.map_or("reported", |reached| if reached { "reached" } else { "MISSED" });
        format!(
            "{:<64} {:>11} {floor:>11} {ratio:>19} {reach:>10}  {verdict}",
            self.what,
            self.show(value)
        )
    }

    fn show(&self, value: f64) -> String {
        match self.unit {
            Unit::Millis => format!("{value:.2} ms"),
            Unit::PerSecond => format!("{:.1} k/s", value / 1000.0),
        }
    }
}

pub(crate) fn head() -> String {
    format!(
        "{:<64} {:>11} {:>11} {:>19} {:>10}  verdict",
        "what", "value", "floor", "ratio [of rounds]", "reach"
    )
}

pub(crate) fn lines(rows: &[Row]) -> String {
    rows.iter().map(Row::line).collect::<Vec<_>>().join("\n")
}

/// The value that `share` of the samples do not exceed, in milliseconds.
pub(crate) fn percentile(samples: &[Duration], share: f64) -> f64 {
    let millis = sorted(samples.iter().map(|sample| sample.as_secs_f64() * 1000.0));
    let place = (millis.len() as f64 * share) as usize;
    millis
        .get(place.min(millis.len().saturating_sub(1)))
        .copied()
        .unwrap_or(f64::NAN)
}

fn median(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}
