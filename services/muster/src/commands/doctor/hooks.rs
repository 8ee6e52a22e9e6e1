//! Whether agents on this machine are told to report, and whether what they are told to run is there.

use super::Check;
use crate::enroll::{self, Scope};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Whether any agent on this machine is.
pub(super) fn enrolled(checks: &mut Vec<Check>) -> bool {
    let mut anywhere = false;
    for (scope, name) in [(Scope::User, "user"), (Scope::Project, "project")] {
        match enroll::enrolled(scope) {
            Ok(Some(found)) => {
                anywhere = true;
                checks.push(look(name, &found));
            }
            Ok(None) => {}
            Err(error) => checks.push(Check::fail("hooks", format!("{name}: {error}"), "repair the settings")),
        }
    }
    if !anywhere && checks.is_empty() {
        let advice = "`muster enroll claude-code` has Claude Code report its sessions";
        checks.push(Check::warn("hooks", "no agent on this machine is enrolled", advice));
    }
    anywhere
}

fn look(scope: &str, found: &enroll::Enrolled) -> Check {
    let broken: Vec<&str> = found
        .programs
        .iter()
        .map(String::as_str)
        .filter(|program| !runs(Path::new(program)))
        .collect();
    let settings = found.settings.display();
    if broken.is_empty() {
        let programs: Vec<&str> = found.programs.iter().map(String::as_str).collect();
        return Check::ok(
            "hooks",
            format!(
                "{scope}: {} events in {settings} run {}",
                found.events,
                programs.join(", ")
            ),
        );
    }
    let detail = format!("{scope}: {settings} runs what is not there: {}", broken.join(", "));
    Check::fail(
        "hooks",
        detail,
        format!("`muster enroll claude-code --scope {scope}` brings it up to date"),
    )
}

/// A file that somebody may execute.
fn runs(program: &Path) -> bool {
    std::fs::metadata(program).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}
