//! What is nested in anything is found, or it is said that not all was read.

use super::commands_of;
use crate::budget::{Budget, STEPS_MAX};
use crate::shell::read;
use proptest::prelude::*;

/// Ways to run a line within another; `{}` is the line, `[]` the line as one quoted word, `#` a number of its own.
const WITHIN: &[&str] = &[
    "echo $({})",
    "echo \"a $({}) b\"",
    "cat <({})",
    " ({})",
    "{ {}; }",
    "if true; then {}; fi",
    "X=$({}) ls",
    "echo $((1)) $(case x in x) {};; esac)",
    "bash -c []",
    "sudo -nu root sh -c []",
    "env -S []",
    "eval []",
    "ssh web-01 []",
    "find . -exec sh -c [] \\; -exec ls {} +",
    "xargs --max-args 1 sh -c []",
    "docker run -v /:/h image bash -lc []",
    "echo [] | sh",
    "bash <<'E#'\n{}\nE#\n",
    "echo $(bash <<E#\n{}\nE#\n)",
    "cd a && {}",
    "{}; cd b",
];

fn nested(ways: &[&str], innermost: &str) -> String {
    ways.iter()
        .enumerate()
        .fold(innermost.to_owned(), |line, (number, way)| {
            let quoted = format!("'{}'", line.replace('\'', "'\\''"));
            let way = way.replace('#', &number.to_string());
            let (before, after) = way
                .split_once("[]")
                .or_else(|| way.split_once("{}"))
                .expect("the line's place");
            let put = if way.contains("[]") { &quoted } else { &line };
            format!("{before}{put}{after}")
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_nested_a_few_times_is_found(ways in prop::collection::vec(prop::sample::select(WITHIN), 0..5)) {
        let line = nested(&ways, "git push --force");
        let mut budget = Budget::new();
        let parts = read(&line, &mut budget);
        prop_assert!(!budget.is_over(), "{line} costs more than there is");
        let found = commands_of(&parts).any(|command| command.words == ["git", "push", "--force"]);
        prop_assert!(found, "{line}");
    }

    #[test]
    fn what_is_nested_however_deep_costs_no_more_than_there_is(
        ways in prop::collection::vec(prop::sample::select(WITHIN), 0..12),
        times in 1_usize..2000,
    ) {
        // Quotes within quotes grow on their own.
        let innermost = ways.first().copied().unwrap_or("ls ").replace(['[', ']', '{', '}'], "").repeat(times);
        let line = nested(&ways[..ways.len().min(7)], &innermost);
        let mut budget = Budget::new();
        let parts = read(&line, &mut budget);
        let bytes: usize = commands_of(&parts)
            .flat_map(|command| command.words.iter().chain(&command.writes))
            .map(String::len)
            .sum();
        prop_assert!(budget.spent() <= STEPS_MAX);
        prop_assert!(commands_of(&parts).count() <= 2048 && bytes <= STEPS_MAX, "{bytes} bytes");
        prop_assert!(parts.len() <= STEPS_MAX);
    }
}
