//! When somebody is told that they should look.

use muster_domain::alert::{self, Rule};
use muster_runtime::config::HumanDuration;
use muster_runtime::exit::Failure;
use serde::Deserialize;

/// When somebody is told. A number or a span of zero switches its part off.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alerts {
    /// Rules that are not asked.
    pub off: Vec<Rule>,
    /// How long a rule is quiet about a session after an alert of it was cleared.
    pub cooldown: HumanDuration,
    /// How long what happened is news where nothing else happens.
    pub recent: HumanDuration,
    /// A session that works and gets nowhere.
    pub stuck: Stuck,
    /// A session that waits.
    pub waiting: Waiting,
    /// Calls that fail.
    pub error_rate: ErrorRate,
    /// A turn that costs more than others.
    pub cost_spike: CostSpike,
    /// A provider that turns a session away.
    pub rate_limit_cascade: RateLimitCascade,
}

/// A session that works and gets nowhere.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stuck {
    /// The same call with the same result in a row.
    pub same_call: u32,
    /// The same error of the same tool in a row.
    pub same_error: u32,
    /// One call.
    pub tool: HumanDuration,
    /// Tokens that the model read since anything new came of it.
    pub flat_tokens: u64,
}

/// A session that waits.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiting {
    /// For a permission.
    pub approval: HumanDuration,
    /// For an answer.
    pub input: HumanDuration,
    /// For the next prompt.
    pub idle: HumanDuration,
}

/// Calls that fail.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorRate {
    /// Calls that a share is drawn from, at least.
    pub calls: u32,
    /// In a hundred.
    pub percent: u8,
}

/// A turn that costs more than others.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CostSpike {
    /// Times the average.
    pub factor: u32,
    /// US dollars, at least.
    pub floor_usd: f64,
    /// Turns that an average is drawn from, at least.
    pub turns: u32,
}

/// A provider that turns a session away.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimitCascade {
    /// So often …
    pub retries: u32,
    /// … within this.
    pub window: HumanDuration,
}

impl Alerts {
    /// Refuses what no session could ever reach.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let floor = self.cost_spike.floor_usd;
        let bounds = [
            (
                u64::from(self.stuck.same_call),
                alert::Settings::CALLS_MAX,
                "alerts.stuck.same_call",
            ),
            (
                u64::from(self.stuck.same_error),
                alert::Settings::CALLS_MAX,
                "alerts.stuck.same_error",
            ),
            (
                u64::from(self.error_rate.calls),
                alert::Settings::CALLS_MAX,
                "alerts.error_rate.calls",
            ),
            (u64::from(self.error_rate.percent), 100, "alerts.error_rate.percent"),
            (
                u64::from(self.rate_limit_cascade.retries),
                alert::Settings::RETRIES_MAX,
                "alerts.rate_limit_cascade.retries",
            ),
        ];
        let beyond = bounds.iter().find(|(value, most, _)| *value > *most as u64);
        let text = match beyond {
            Some((_, most, key)) => format!("{key} is at most {most}"),
            None if !(0.0..1e9).contains(&floor) => "alerts.cost_spike.floor_usd is an amount of money".to_owned(),
            None => return Ok(()),
        };
        Err(Failure::Config(text).into())
    }

    pub(super) fn settings(&self) -> alert::Settings {
        alert::Settings {
            off: self.off.iter().copied().collect(),
            cooldown: self.cooldown.get(),
            recent: self.recent.get(),
            same_call: self.stuck.same_call,
            same_error: self.stuck.same_error,
            tool: self.stuck.tool.get(),
            flat_tokens: self.stuck.flat_tokens,
            approval: self.waiting.approval.get(),
            input: self.waiting.input.get(),
            idle: self.waiting.idle.get(),
            error_calls: self.error_rate.calls,
            error_percent: self.error_rate.percent,
            cost_factor: self.cost_spike.factor,
            // The range was checked, and the cast saturates.
            cost_floor_micros: (self.cost_spike.floor_usd * 1e6).round() as u64,
            cost_turns: self.cost_spike.turns,
            retries: self.rate_limit_cascade.retries,
            retry_window: self.rate_limit_cascade.window.get(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Config, SERVICE};
    use muster_domain::alert::Settings;
    use muster_runtime::config;
    use muster_runtime::service::Flags;

    fn told(set: &[(&str, &str)]) -> Config {
        let set = set
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let flags = Flags { config: None, set };
        config::load(SERVICE.defaults, &SERVICE.sources(flags, [])).unwrap()
    }

    #[test]
    fn what_is_not_configured_is_what_the_rules_say_by_themselves() {
        let config = told(&[]);
        assert_eq!(config.alerts.settings(), Settings::default());
        assert!(config.alerts.check().is_ok());
    }

    #[test]
    fn a_number_that_no_session_reaches_is_refused_by_name() {
        for (key, value, most) in [
            ("alerts.stuck.same_call", "21", "20"),
            ("alerts.error_rate.percent", "101", "100"),
            ("alerts.rate_limit_cascade.retries", "17", "16"),
        ] {
            let error = told(&[(key, value)]).alerts.check().unwrap_err().to_string();
            assert!(error.contains(&format!("{key} is at most {most}")), "{error}");
        }
    }
}
