//! The state of a checkout, as git itself tells it.

use muster_domain::checkpoint::Git;
use std::path::Path;
use std::process::Command;

/// The state of the checkout that the folder is in; none where it is in none, or there is no git.
pub(super) fn state(folder: &Path) -> Option<Git> {
    let status = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(["status", "--porcelain=v2", "--branch"])
        .output()
        .ok()?;
    status
        .status
        .success()
        .then(|| read(&String::from_utf8_lossy(&status.stdout)))
}

/// Reads `git status --porcelain=v2 --branch`.
fn read(status: &str) -> Git {
    let mut git = Git::default();
    for line in status.lines() {
        if let Some(branch) = line.strip_prefix("# branch.head ") {
            git.branch = Some(branch.into());
        } else if let Some(counts) = line.strip_prefix("# branch.ab ") {
            let mut counts = counts.split(' ').filter_map(|count| count[1..].parse().ok());
            git.ahead = counts.next().unwrap_or_default();
            git.behind = counts.next().unwrap_or_default();
        } else if line.starts_with("u ") {
            git.conflicts += 1;
        } else if line.starts_with(['1', '2', '?']) {
            git.changed_files += 1;
        }
    }
    git
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_says_is_counted() {
        let status = "# branch.oid 0123\n# branch.head main\n# branch.upstream origin/main\n# branch.ab +2 -1\n\
            1 .M N... 100644 100644 100644 a b src/a.rs\n2 R. N... 100644 100644 100644 a b R100 b\tc\n? new\n\
            u UU N... 100644 100644 100644 100644 a b c clash\n";
        let git = Git {
            branch: Some("main".into()),
            changed_files: 3,
            conflicts: 1,
            ahead: 2,
            behind: 1,
        };
        assert_eq!(read(status), git);
        assert_eq!(read(""), Git::default());
    }
}
