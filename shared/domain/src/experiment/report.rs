//! Figures of an experiment: what the sessions of each side add up to, and what may be said of the difference.
//!
//! Sides are compared by their means. Sessions differ widely, so a difference counts only where it is unlikely to come of
//! chance: where the interval that holds it with 95 % leaves zero out. The interval is Welch's (unequal variances) with the
//! normal distribution's 1.96, which is too narrow for few sessions; below [`SESSIONS_MIN`] a side nothing is said at all.

use super::{Experiment, Metric, State, Variant};
use crate::fleet::{Fleet, SessionKey};
use crate::session::Session;
use serde::{Deserialize, Serialize};

/// Sessions a side below which a difference is not judged.
pub const SESSIONS_MIN: u32 = 5;
/// Standard errors to both sides of a mean that hold it with 95 %.
const Z_95: f64 = 1.96;

/// What the sessions of one side add up to, in the metric's unit or thousandths of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Arm {
    /// How many sessions.
    pub sessions: u32,
    /// Those of them that still run.
    pub running: u32,
    /// Of all of them, in thousandths: sessions have few turns.
    pub mean_milli: u64,
    /// Half of them have no more.
    pub median: u64,
    /// The sample's standard deviation, in thousandths.
    pub deviation_milli: u64,
}

/// Both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// Sessions as they were.
    pub control: Arm,
    /// Sessions with the change.
    pub treatment: Arm,
}

/// What may be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// There are too few sessions to say anything.
    TooFew,
    /// It may be chance.
    NoDifference,
    /// It changed as it should, by as much as it should or more.
    Met,
    /// It changed as it should, by less.
    Short,
    /// It changed the other way.
    Worse,
}

/// The treatment's mean beside the control's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// By how many per cent of the control's mean it differs; none where that is zero.
    pub change_percent: Option<f64>,
    /// Where the true change lies with 95 %, in per cent.
    pub interval_percent: Option<(f64, f64)>,
    /// What may be said.
    pub verdict: Verdict,
}

impl Metric {
    /// What this session adds up to, where that is known.
    pub(super) fn of(self, session: &Session) -> Option<u64> {
        let counts = session.counts();
        match self {
            Self::CostUsd => session.cost_micros(),
            Self::Tokens => Some(session.usage().total()),
            Self::Turns => Some(u64::from(counts.turns)),
            Self::ToolCalls => Some(counts.calls),
            Self::Failures => Some(counts.failures),
            Self::Duration => {
                let span = session.last_seen().since(session.began());
                Some(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
            }
        }
    }
}

/// The figures of an experiment as they are now, or as they were when it was concluded.
pub fn outcome(fleet: &Fleet, experiment: &Experiment) -> Outcome {
    if let Some(concluded) = experiment.concluded() {
        return concluded.outcome;
    }
    if experiment.state() != State::Running {
        return Outcome::default();
    }
    let mut sides = [Vec::new(), Vec::new()];
    let mut running = [0_u32; 2];
    for (variant, value) in experiment.kept.values() {
        sides[at(*variant)].push(*value);
    }
    let candidates: Box<dyn Iterator<Item = (&SessionKey, &Session)>> =
        if experiment.plan.control.is_none() && experiment.plan.treatment.is_none() {
            let tagged = experiment.tags.keys();
            Box::new(tagged.filter_map(|key| Some((key, fleet.session(key)?))))
        } else {
            Box::new(fleet.sessions().iter().map(|(key, session)| (key, &**session)))
        };
    for (key, session) in candidates {
        let side = experiment.side(fleet.reviews(), key, session);
        if let Some((variant, value)) = side.zip(experiment.plan.metric.of(session))
            // A session that was forgotten and came again is counted as it was.
            && !experiment.kept.contains_key(key)
        {
            sides[at(variant)].push(value);
            running[at(variant)] += u32::from(!session.standing().state.is_over());
        }
    }
    let [control, treatment] = sides;
    Outcome {
        control: Arm::of(control, running[at(Variant::Control)]),
        treatment: Arm::of(treatment, running[at(Variant::Treatment)]),
    }
}

const fn at(variant: Variant) -> usize {
    match variant {
        Variant::Control => 0,
        Variant::Treatment => 1,
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "figures of sessions are far below 2^53, and are rounded anyway"
)]
const fn real(value: u64) -> f64 {
    value as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a mean or a deviation of such figures: not negative, and a cast stops at the largest"
)]
const fn whole(value: f64) -> u64 {
    value.round() as u64
}

impl Arm {
    fn of(mut values: Vec<u64>, running: u32) -> Self {
        values.sort_unstable();
        let n = values.len();
        let Some(upper) = values.get(n / 2).copied() else {
            return Self::default();
        };
        let median = if n.is_multiple_of(2) {
            u64::midpoint(values[n / 2 - 1], upper)
        } else {
            upper
        };
        let count = f64::from(u32::try_from(n).unwrap_or(u32::MAX));
        let mean = values.iter().copied().map(real).sum::<f64>() / count;
        let squares = values.iter().map(|value| (real(*value) - mean).powi(2)).sum::<f64>();
        let deviation = if n > 1 { (squares / (count - 1.0)).sqrt() } else { 0.0 };
        Self {
            sessions: u32::try_from(n).unwrap_or(u32::MAX),
            running,
            mean_milli: whole(mean * 1000.0),
            median,
            deviation_milli: whole(deviation * 1000.0),
        }
    }

    /// The square of its mean's standard error.
    fn variance(&self) -> f64 {
        real(self.deviation_milli).powi(2) / f64::from(self.sessions.max(1))
    }
}

impl Outcome {
    /// What may be said where the mean shall change by `target` per cent.
    pub fn compare(&self, target: i16) -> Comparison {
        let base = real(self.control.mean_milli);
        let difference = real(self.treatment.mean_milli) - base;
        let error = Z_95 * (self.control.variance() + self.treatment.variance()).sqrt();
        let aim = base * f64::from(target) / 100.0;
        let few = self.control.sessions < SESSIONS_MIN || self.treatment.sessions < SESSIONS_MIN;
        let verdict = if few {
            Verdict::TooFew
        } else if difference.abs() <= error {
            Verdict::NoDifference
        } else if difference.is_sign_negative() != (target < 0) {
            Verdict::Worse
        } else if difference.abs() >= aim.abs() {
            Verdict::Met
        } else {
            Verdict::Short
        };
        // Nothing is a part of zero, and of no sessions nothing differs.
        let comparable = base > 0.0 && self.treatment.sessions > 0;
        let percent = |part: f64| part / base * 100.0;
        Comparison {
            change_percent: comparable.then(|| percent(difference)),
            interval_percent: (comparable && !few).then(|| (percent(difference - error), percent(difference + error))),
            verdict,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(control: &[u64], treatment: &[u64]) -> Outcome {
        Outcome {
            control: Arm::of(control.to_vec(), 0),
            treatment: Arm::of(treatment.to_vec(), 0),
        }
    }

    #[test]
    fn a_side_is_described_by_mean_median_and_deviation() {
        let arm = Arm::of(vec![8, 2, 4, 6], 1);
        assert_eq!((arm.sessions, arm.running, arm.mean_milli, arm.median), (4, 1, 5000, 5));
        // The squares about 5 add up to 20; a third of it, and its root.
        assert_eq!(arm.deviation_milli, 2582);
        assert_eq!(Arm::of(vec![7], 0).deviation_milli, 0);
        assert_eq!(Arm::of(Vec::new(), 0), Arm::default());
        assert_eq!(Arm::of(vec![u64::MAX, u64::MAX], 0).median, u64::MAX);
    }

    #[test]
    fn a_difference_is_judged_where_it_is_more_than_chance() {
        let hundred = [98, 99, 100, 101, 102];
        let cases: &[(&[u64], i16, Verdict)] = &[
            (&[78, 79, 80, 81, 82], -10, Verdict::Met),
            (&[94, 95, 95, 95, 96], -10, Verdict::Short),
            (&[118, 119, 120, 121, 122], -10, Verdict::Worse),
            (&[118, 119, 120, 121, 122], 10, Verdict::Met),
            (&[10, 50, 90, 150, 190], -10, Verdict::NoDifference),
            (&[1, 1, 1, 1], -10, Verdict::TooFew),
        ];
        for (treatment, target, verdict) in cases {
            let compared = outcome(&hundred, treatment).compare(*target);
            assert_eq!(compared.verdict, *verdict, "{treatment:?} {target}");
        }
        let met = outcome(&hundred, &[78, 79, 80, 81, 82]).compare(-10);
        assert_eq!(met.change_percent, Some(-20.0));
        let (low, high) = met.interval_percent.unwrap();
        // Two means of five with a deviation of √2.5: 1.96 · √(2.5/5 + 2.5/5) = 1.96.
        assert!(
            (low + 21.96).abs() < 0.01 && (high + 18.04).abs() < 0.01,
            "{low} {high}"
        );
    }

    #[test]
    fn of_nothing_no_part_is_taken() {
        let compared = outcome(&[0; 5], &[3; 5]).compare(-10);
        assert_eq!((compared.change_percent, compared.interval_percent), (None, None));
        assert_eq!(compared.verdict, Verdict::Worse, "it can still be told from the means");
        assert_eq!(outcome(&[0; 5], &[0; 5]).compare(-10).verdict, Verdict::NoDifference);
        assert_eq!(outcome(&[4; 5], &[]).compare(-10).change_percent, None);
        assert_eq!(outcome(&[], &[]).compare(-10).verdict, Verdict::TooFew);
    }
}
