//! What a file is worth, by its path alone: nothing is looked up, links are not followed.

use muster_domain::policy::ActionFamily;

/// Longest path that a file system takes.
pub(crate) const PATH_BYTES_MAX: usize = 4096;

/// Where a command runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// The session's working folder: what lies below is its own.
    pub(super) session: &'a str,
    /// Where the line has gone from there (`cd`).
    pub(super) folder: &'a str,
}

/// Folders that are nobody's own to work in.
const SHARED: &[&str] = &[
    "/", "/home", "/Users", "/etc", "/var", "/usr", "/opt", "/srv", "/mnt", "/media", "/boot", "/lib", "/proc", "/sys",
];

/// Folders and files that protect: credentials, agents' settings, pipelines, repositories' own files.
const PROTECTED: &[&str] = &[
    ".ssh",
    ".gnupg",
    ".aws",
    ".kube",
    ".docker",
    ".azure",
    ".gcloud",
    ".netrc",
    ".npmrc",
    ".pypirc",
    ".git",
    ".gitconfig",
    ".circleci",
    ".gitlab-ci.yml",
    "Jenkinsfile",
    ".muster",
    ".codex",
    ".gemini",
    ".bashrc",
    ".bash_profile",
    ".profile",
    ".zshrc",
    ".zshenv",
    ".zprofile",
    ".env",
    ".envrc",
    "authorized_keys",
    "sudoers",
];
/// The same, named by two parts.
const PROTECTED_PAIRS: &[(&str, &str)] = &[
    (".github", "workflows"),
    (".github", "actions"),
    (".claude", "settings.json"),
    (".claude", "settings.local.json"),
    (".claude", "hooks"),
    (".claude", "plugins"),
    (".config", "systemd"),
    (".config", "gh"),
];
/// The system's own folders.
const SYSTEM: &[&str] = &[
    "etc",
    "boot",
    "usr",
    "bin",
    "sbin",
    "lib",
    "lib64",
    "sys",
    "proc",
    "System",
    "Library",
    "Applications",
];
/// What agents read at the start of later sessions.
const MEMORY: &[&str] = &[
    "CLAUDE.md",
    "CLAUDE.local.md",
    "AGENTS.md",
    "AGENTS.override.md",
    "GEMINI.md",
    "QWEN.md",
    "MEMORY.md",
    ".cursorrules",
    "copilot-instructions.md",
    ".windsurfrules",
];
const MEMORY_PAIRS: &[(&str, &str)] = &[
    (".claude", "agents"),
    (".claude", "skills"),
    (".claude", "commands"),
    (".claude", "rules"),
    (".cursor", "rules"),
];

/// `path` seen from `cwd`, `.` and `..` taken out. Relative where neither is absolute.
pub(super) fn absolute(path: &str, cwd: &str) -> String {
    let joined = if path.starts_with(['/', '~']) || cwd.is_empty() {
        path.to_owned()
    } else {
        format!("{cwd}/{path}")
    };
    let rooted = joined.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in joined.split('/') {
        match part {
            "" | "." => {}
            ".." if rooted || parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    let path = parts.join("/");
    if rooted { format!("/{path}") } else { path }
}

/// The family of writing the file at `path`.
pub(super) fn written(path: &str) -> ActionFamily {
    if is_device(path) {
        return ActionFamily::RepairDestructive;
    }
    if is_protected(path) {
        return ActionFamily::ProtectedSurfaceMutation;
    }
    let parts: Vec<&str> = path.split('/').collect();
    let is_memory = parts.iter().any(|part| MEMORY.contains(part)) || has_pair(&parts, MEMORY_PAIRS);
    let in_project_memory = has_pair(&parts, &[(".claude", "projects")]) && parts.contains(&"memory");
    if is_memory || in_project_memory {
        return ActionFamily::DurableMemoryMutation;
    }
    ActionFamily::LocalExecution
}

/// Whether writing there changes what protects.
pub(super) fn is_protected(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let system = path.starts_with('/') && parts.get(1).is_some_and(|first| SYSTEM.contains(first));
    let local = path.starts_with("/usr/local/");
    (system && !local)
        || parts
            .iter()
            .any(|part| PROTECTED.contains(part) || part.starts_with(".env."))
        || has_pair(&parts, PROTECTED_PAIRS)
}

/// A disk, as a file.
pub(super) fn is_device(path: &str) -> bool {
    const DISKS: &[&str] = &[
        "sd", "nvme", "hd", "vd", "xvd", "mmcblk", "disk", "rdisk", "mapper/", "md", "dm-", "mem", "kmem",
    ];
    path.strip_prefix("/dev/")
        .is_some_and(|name| DISKS.iter().any(|disk| name.starts_with(disk)))
}

/// Where `cd to` leads from `folder`. A folder that nobody can be in is unknown.
pub(super) fn gone(to: &str, folder: &str) -> String {
    let path = absolute(to, folder);
    if path.len() > PATH_BYTES_MAX {
        UNKNOWN.to_owned()
    } else {
        path
    }
}

/// A folder that only the running shell knows.
const UNKNOWN: &str = "$";

/// Whether removing everything under `target` takes only what was made where one works: something below the session's
/// working folder that is not all of it, or something temporary. Each alternative of `{a,b}` must be.
pub(super) fn is_own(target: &str, place: Place<'_>) -> bool {
    /// As many as somebody writes by hand.
    const ALTERNATIVES_MAX: usize = 32;
    let braces = target
        .split_once('{')
        .and_then(|(before, rest)| Some((before, rest.split_once('}')?)));
    match braces {
        Some((before, (inside, after))) if inside.contains(',') && !inside.contains('{') => {
            inside.split(',').count() <= ALTERNATIVES_MAX
                && inside
                    .split(',')
                    .all(|one| is_one_own(&format!("{before}{one}{after}"), place))
        }
        _ => is_one_own(target, place),
    }
}

fn is_one_own(target: &str, place: Place<'_>) -> bool {
    let all = matches!(target.rsplit('/').next(), Some("*" | "." | ".." | ".*" | "") | None);
    let path = absolute(target.trim_end_matches("/*"), place.folder);
    let temporary = ["/tmp/", "/var/tmp/"]
        .iter()
        .find_map(|folder| path.strip_prefix(folder));
    let session = absolute(place.session, "");
    let below = if session.is_empty() {
        (!path.starts_with(['/', '.'])).then_some(path.as_str())
    } else if SHARED.contains(&session.as_str()) {
        None
    } else {
        path.strip_prefix(&session).and_then(|rest| rest.strip_prefix('/'))
    };
    // All of the folder, whatever is in it: `*`, `*/`, `./.*`.
    let whole = |rest: &str| rest.bytes().all(|byte| matches!(byte, b'*' | b'.' | b'?' | b'/'));
    let known = |rest: &&str| !whole(rest) && !rest.contains(['$', '~', '`', '{']);
    let unknown = target.contains(['$', '~', '`', '{']);
    let repository = path.split('/').any(|part| part == ".git");
    let is_below = below.as_ref().is_some_and(known) && !(all && target.split('/').count() == 1);
    !unknown && !repository && (temporary.as_ref().is_some_and(known) || is_below)
}

fn has_pair(parts: &[&str], pairs: &[(&str, &str)]) -> bool {
    parts
        .windows(2)
        .any(|window| pairs.iter().any(|(first, second)| window == [*first, *second]))
}
