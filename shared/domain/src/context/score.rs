//! How far a session's context can still be relied on, as a number: CCD's table, line by line.

use serde::{Deserialize, Serialize};

/// The highest score: what is only measured from outside is never certain.
pub const SCORE_MAX: u8 = 95;
/// How many symptoms count.
const SYMPTOMS_MAX: u32 = 3;

/// What was measured, or told by whoever asks. What is not known does not count.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Measures {
    /// Minutes since the session, or the work, began.
    pub minutes: Option<u64>,
    /// How often the work was started.
    pub start_cycles: Option<u32>,
    /// Hundredths of the window that are used.
    pub used_percent: Option<u64>,
    /// All tokens of the session.
    pub total_tokens: Option<u64>,
    /// Whether the context was compacted.
    pub compacted: bool,
    /// Output of its tools, in thousands of bytes.
    pub tool_output_kb: Option<u64>,
    /// Symptoms that its operator sees.
    pub symptoms: u32,
    /// Attempts in a row that brought nothing.
    pub no_progress: u32,
}

/// What adds to the score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Factor {
    /// Minutes of the session.
    SessionMinutes,
    /// Starts.
    StartCycles,
    /// Share of the window.
    UsedPercent,
    /// Tokens, where the share is not known.
    TotalTokens,
    /// A compaction.
    Compacted,
    /// Output of tools.
    #[serde(rename = "tool_output_kb")]
    ToolOutput,
    /// Symptoms.
    OperatorSymptoms,
    /// Attempts that brought nothing.
    NoProgress,
}

impl Factor {
    /// The name, as in `tool_output`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SessionMinutes => "session_minutes",
            Self::StartCycles => "start_cycles",
            Self::UsedPercent => "used_percent",
            Self::TotalTokens => "total_tokens",
            Self::Compacted => "compacted",
            Self::ToolOutput => "tool_output_kb",
            Self::OperatorSymptoms => "operator_symptoms",
            Self::NoProgress => "no_progress",
        }
    }
}

/// What one factor adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Part {
    /// Which.
    pub factor: Factor,
    /// What was measured.
    pub value: u64,
    /// What it adds.
    pub points: u8,
}

/// How risky it is to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Band {
    /// Nothing is known that would tell.
    Unknown,
    /// Up to 34.
    Low,
    /// From 35.
    Moderate,
    /// From 60.
    Risky,
    /// From 80.
    Critical,
}

/// What is recommended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recommendation {
    /// Go on.
    Continue,
    /// Go on with what is at hand, and begin nothing new.
    KeepFocus,
    /// Come to an end.
    WrapUpSoon,
    /// Come to an end now, and begin with an empty context.
    WrapUpAndClear,
    /// Write down what is known: nobody can tell how long it stays.
    CaptureSessionState,
}

/// How sure that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// Neither the context's fill nor its tokens are known.
    Low,
    /// Tokens are known, and not how many fit.
    Medium,
    /// How full the context is is known.
    High,
}

/// The score, and what it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Score {
    /// The sum, [`SCORE_MAX`] at most.
    pub points: u8,
    /// What is known, and what it adds.
    pub factors: Vec<Part>,
    /// How risky that is.
    pub band: Band,
    /// What is recommended.
    pub recommendation: Recommendation,
    /// How sure that is.
    pub confidence: Confidence,
}

/// The points of the first row whose bound is not reached; of `above` when all are.
fn step(value: u64, rows: &[(u64, u8)], above: u8) -> u8 {
    let row = rows.iter().find(|(below, _)| value < *below);
    row.map_or(above, |(_, points)| *points)
}

impl Measures {
    /// What is known, and what it adds.
    fn parts(&self) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut add = |factor, value: Option<u64>, points: fn(u64) -> u8| {
            parts.extend(value.map(|value| Part {
                factor,
                value,
                points: points(value),
            }));
        };
        add(Factor::SessionMinutes, self.minutes, |n| {
            step(n, &[(30, 0), (60, 10), (90, 25)], 40)
        });
        add(Factor::StartCycles, self.start_cycles.map(u64::from), |n| {
            step(n, &[(2, 0), (4, 10)], 25)
        });
        add(Factor::UsedPercent, self.used_percent, |n| {
            step(n, &[(70, 0), (85, 10), (95, 20)], 30)
        });
        let tokens = self.total_tokens.filter(|_| self.used_percent.is_none());
        add(Factor::TotalTokens, tokens, |n| {
            step(n, &[(100_000, 0), (200_000, 5), (400_000, 15), (700_000, 25)], 35)
        });
        add(Factor::Compacted, self.compacted.then_some(1), |_| 35);
        add(Factor::ToolOutput, self.tool_output_kb, |n| {
            step(n, &[(100, 0), (250, 10), (500, 20)], 30)
        });
        let symptoms = self.symptoms.min(SYMPTOMS_MAX);
        add(Factor::OperatorSymptoms, some(symptoms), |n| {
            step(n, &[(1, 0), (2, 15), (3, 30)], 45)
        });
        add(Factor::NoProgress, some(self.no_progress), |n| {
            step(n, &[(1, 0), (2, 5), (3, 20)], 35)
        });
        parts
    }

    /// The score.
    pub fn score(&self) -> Score {
        let factors = self.parts();
        let sum: u32 = factors.iter().map(|part| u32::from(part.points)).sum();
        let points = u8::try_from(sum).unwrap_or(SCORE_MAX).min(SCORE_MAX);
        let band = if factors.is_empty() {
            Band::Unknown
        } else {
            Band::of(points)
        };
        let decayed = self.no_progress >= 3;
        let confidence = match (self.used_percent, self.total_tokens) {
            (Some(_), _) => Confidence::High,
            (None, Some(_)) => Confidence::Medium,
            (None, None) => Confidence::Low,
        };
        Score {
            points,
            factors,
            band,
            recommendation: if decayed {
                Recommendation::WrapUpAndClear
            } else {
                band.recommendation()
            },
            confidence,
        }
    }
}

fn some(n: u32) -> Option<u64> {
    (n > 0).then_some(u64::from(n))
}

impl Band {
    /// The band of a score.
    const fn of(points: u8) -> Self {
        match points {
            0..=34 => Self::Low,
            35..=59 => Self::Moderate,
            60..=79 => Self::Risky,
            80.. => Self::Critical,
        }
    }

    const fn recommendation(self) -> Recommendation {
        match self {
            Self::Low => Recommendation::Continue,
            Self::Moderate => Recommendation::KeepFocus,
            Self::Risky => Recommendation::WrapUpSoon,
            Self::Critical => Recommendation::WrapUpAndClear,
            Self::Unknown => Recommendation::CaptureSessionState,
        }
    }

    /// The name, as in `moderate`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Low => "low",
            Self::Moderate => "moderate",
            Self::Risky => "risky",
            Self::Critical => "critical",
        }
    }
}

impl Recommendation {
    /// Whether the work is to come to an end.
    pub const fn wraps_up(self) -> bool {
        matches!(self, Self::WrapUpSoon | Self::WrapUpAndClear)
    }

    /// The name, as in `keep_focus`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Continue => "continue",
            Self::KeepFocus => "keep_focus",
            Self::WrapUpSoon => "wrap_up_soon",
            Self::WrapUpAndClear => "wrap_up_and_clear",
            Self::CaptureSessionState => "capture_session_state",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(measures: &Measures) -> u8 {
        measures.score().points
    }

    #[test]
    fn each_factor_adds_what_the_table_says() {
        let none = Measures::default();
        for (minutes, expected) in [
            (0, 0),
            (29, 0),
            (30, 10),
            (59, 10),
            (60, 25),
            (89, 25),
            (90, 40),
            (9000, 40),
        ] {
            let measured = Measures {
                minutes: Some(minutes),
                ..none.clone()
            };
            assert_eq!(points(&measured), expected, "{minutes} min");
        }
        for (starts, expected) in [(0, 0), (1, 0), (2, 10), (3, 10), (4, 25), (40, 25)] {
            let measured = Measures {
                start_cycles: Some(starts),
                ..none.clone()
            };
            assert_eq!(points(&measured), expected, "{starts} starts");
        }
        for (used, expected) in [
            (0, 0),
            (69, 0),
            (70, 10),
            (84, 10),
            (85, 20),
            (94, 20),
            (95, 30),
            (120, 30),
        ] {
            let measured = Measures {
                used_percent: Some(used),
                ..none.clone()
            };
            assert_eq!(points(&measured), expected, "{used} %");
        }
        let tokens = [(99_999, 0), (100_000, 5), (200_000, 15), (400_000, 25), (700_000, 35)];
        for (total, expected) in tokens {
            let measured = Measures {
                total_tokens: Some(total),
                ..none.clone()
            };
            assert_eq!(points(&measured), expected, "{total} tokens");
            let with_percent = Measures {
                used_percent: Some(1),
                ..measured
            };
            assert_eq!(
                points(&with_percent),
                0,
                "tokens count only where the share is not known"
            );
        }
        for (kb, expected) in [(99, 0), (100, 10), (249, 10), (250, 20), (499, 20), (500, 30)] {
            let measured = Measures {
                tool_output_kb: Some(kb),
                ..none.clone()
            };
            assert_eq!(points(&measured), expected, "{kb} KB");
        }
        for (symptoms, expected) in [(0, 0), (1, 15), (2, 30), (3, 45), (9, 45)] {
            assert_eq!(
                points(&Measures {
                    symptoms,
                    ..none.clone()
                }),
                expected,
                "{symptoms} symptoms"
            );
        }
        for (no_progress, expected) in [(0, 0), (1, 5), (2, 20), (3, 35), (9, 35)] {
            assert_eq!(
                points(&Measures {
                    no_progress,
                    ..none.clone()
                }),
                expected,
                "{no_progress} in vain"
            );
        }
        assert_eq!(
            points(&Measures {
                compacted: true,
                ..none
            }),
            35
        );
    }

    #[test]
    fn the_sum_has_a_cap_and_its_bands_and_their_recommendations() {
        let full = Measures {
            minutes: Some(90),
            start_cycles: Some(4),
            used_percent: Some(95),
            compacted: true,
            tool_output_kb: Some(500),
            symptoms: 3,
            no_progress: 3,
            total_tokens: None,
        };
        assert_eq!(points(&full), SCORE_MAX);
        let bands = [
            (0, "low", "continue"),
            (34, "low", "continue"),
            (35, "moderate", "keep_focus"),
            (59, "moderate", "keep_focus"),
            (60, "risky", "wrap_up_soon"),
            (79, "risky", "wrap_up_soon"),
            (80, "critical", "wrap_up_and_clear"),
            (95, "critical", "wrap_up_and_clear"),
        ];
        for (points, band, recommendation) in bands {
            let of = Band::of(points);
            assert_eq!(
                (of.as_str(), of.recommendation().as_str()),
                (band, recommendation),
                "{points}"
            );
        }
        let nothing = Measures::default().score();
        assert_eq!((nothing.band, nothing.confidence), (Band::Unknown, Confidence::Low));
        assert_eq!(nothing.recommendation, Recommendation::CaptureSessionState);
    }

    #[test]
    fn three_attempts_in_vain_end_the_work_whatever_the_score() {
        let decayed = Measures {
            no_progress: 3,
            ..Measures::default()
        };
        assert_eq!(decayed.score().band, Band::Moderate);
        assert_eq!(decayed.score().recommendation, Recommendation::WrapUpAndClear);
    }
}
