//! What a tool does, by its name. Agents name the same tools differently; a tool that a server offers is told by its verb.

use muster_domain::policy::ActionFamily;

/// How a tool is classed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// By the shell line in its input.
    Shell,
    /// By the file it writes.
    Write,
    /// By the files a patch names.
    Patch,
    /// By its name alone.
    Of(ActionFamily),
}

/// Compared without case, `_` and `-`, because agents differ in nothing else.
const TOOLS: &[(Kind, &[&str])] = &[
    (
        Kind::Shell,
        &[
            "bash",
            "shell",
            "localshell",
            "runshellcommand",
            "execcommand",
            "runterminalcmd",
            "runcommand",
            "terminal",
            "exec",
            "powershell",
            "shellcommand",
        ],
    ),
    (
        Kind::Write,
        &[
            "write",
            "edit",
            "multiedit",
            "notebookedit",
            "writefile",
            "replace",
            "create",
            "strreplace",
            "strreplaceeditor",
            "editfile",
            "searchreplace",
            "createfile",
            "insert",
        ],
    ),
    (Kind::Patch, &["applypatch", "patch"]),
    (
        Kind::Of(ActionFamily::ReadOnly),
        &[
            "read",
            "readfile",
            "readmanyfiles",
            "view",
            "viewimage",
            "ls",
            "list",
            "listdirectory",
            "listdir",
            "glob",
            "grep",
            "greptool",
            "searchfilecontent",
            "grepsearch",
            "codebasesearch",
            "filesearch",
            "notebookread",
            "webfetch",
            "websearch",
            "googlewebsearch",
            "fetch",
            "bashoutput",
            "taskoutput",
            "toolsearch",
            "todoread",
            "todowrite",
            "updateplan",
            "lsp",
            "askuserquestion",
            "askuser",
            "exitplanmode",
            "enterplanmode",
            "taskcreate",
            "taskget",
            "tasklist",
            "taskupdate",
            "listmcpresources",
            "readmcpresource",
            "structuredoutput",
            "skill",
            "think",
            "readlints",
        ],
    ),
    (
        Kind::Of(ActionFamily::LocalIsolation),
        &["enterworktree", "exitworktree"],
    ),
    (
        Kind::Of(ActionFamily::DurableMemoryMutation),
        &["savememory", "memory", "updatememory", "addmemory"],
    ),
    (Kind::Of(ActionFamily::SharedQueueMutation), &["sendmessage"]),
];

/// Verbs in the names of tools that servers offer, the worst first: the first that is found decides.
const VERBS: &[(ActionFamily, &[&str])] = &[
    (
        ActionFamily::RepairDestructive,
        &["delete", "destroy", "drop", "purge", "wipe", "truncate", "erase"],
    ),
    (
        ActionFamily::PublishExternal,
        &[
            "publish", "push", "deploy", "release", "send", "post", "tweet", "upload", "merge", "share", "email",
        ],
    ),
    (
        ActionFamily::SharedQueueMutation,
        &[
            "comment",
            "issue",
            "ticket",
            "assign",
            "label",
            "review",
            "transition",
            "enqueue",
            "close",
            "reopen",
        ],
    ),
    (
        ActionFamily::DurableMemoryMutation,
        &["remember", "memorize", "memory", "memories"],
    ),
];
/// Verbs that only look. They count where they begin a name: `get_issue` reads, `issue_get_or_create` need not.
const LOOKING: &[&str] = &[
    "get", "list", "read", "search", "find", "fetch", "query", "show", "view", "describe", "status", "check", "lookup",
    "count", "recall", "resolve", "whoami", "explain", "browse", "inspect",
];

pub(super) fn kind(tool: &str) -> Kind {
    match served(tool) {
        Some(served) => Kind::Of(by_verb(served)),
        None => listed(tool).unwrap_or(Kind::Of(ActionFamily::LocalExecution)),
    }
}

/// Whether a name is in the table, or a server's tool.
pub(super) fn is_known(tool: &str) -> bool {
    const WITHOUT_A_FAMILY: &[&str] = &["Task", "Agent", "KillShell", "SlashCommand", "task", "Monitor"];
    served(tool).is_some() || listed(tool).is_some() || WITHOUT_A_FAMILY.contains(&tool)
}

fn listed(tool: &str) -> Option<Kind> {
    let plain: String = tool
        .chars()
        .filter(|letter| !matches!(letter, '_' | '-'))
        .flat_map(char::to_lowercase)
        .collect();
    TOOLS
        .iter()
        .find(|(_, names)| names.contains(&plain.as_str()))
        .map(|(kind, _)| *kind)
}

/// The name a server gave to its tool, in the agents' spelling `mcp__server__tool`.
fn served(tool: &str) -> Option<&str> {
    tool.strip_prefix("mcp__")?.split_once("__").map(|(_, name)| name)
}

fn by_verb(name: &str) -> ActionFamily {
    let words = words(name);
    if words.first().is_some_and(|first| LOOKING.contains(&first.as_str())) {
        return ActionFamily::ReadOnly;
    }
    VERBS
        .iter()
        .find(|(_, verbs)| words.iter().any(|word| verbs.contains(&word.as_str())))
        .map_or(ActionFamily::LocalExecution, |(family, _)| *family)
}

/// `createPullRequest`, `create-pull-request` and `create_pull_request` in words.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut lower = false;
    for letter in name.chars() {
        let apart = !letter.is_alphanumeric();
        if apart || (lower && letter.is_uppercase()) {
            words.push(String::new());
        }
        if !apart && let Some(word) = words.last_mut() {
            word.extend(letter.to_lowercase());
        }
        lower = letter.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The files a patch in the agents' own format, or a unified diff, changes.
pub(super) fn patched(text: &str) -> impl Iterator<Item = &str> {
    const MARKS: &[&str] = &[
        "*** Add File: ",
        "*** Update File: ",
        "*** Delete File: ",
        "*** Move to: ",
        "+++ b/",
        "--- a/",
    ];
    text.lines()
        .filter_map(|line| MARKS.iter().find_map(|mark| line.strip_prefix(mark)))
        .map(str::trim)
}
