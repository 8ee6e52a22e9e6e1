//! Programs that run the rest of their line.

/// One of them.
pub(super) struct Wrapper {
    /// Its name, and the word that says what it does.
    pub(super) begins: &'static [&'static str],
    /// Options that take a value: the short ones, a letter each, and the long ones, parted by spaces.
    pub(super) valued: (&'static str, &'static str),
    /// How many words come before the command.
    pub(super) leading: usize,
}

const fn wrapper(begins: &'static [&'static str], short: &'static str, long: &'static str, leading: usize) -> Wrapper {
    Wrapper {
        begins,
        valued: (short, long),
        leading,
    }
}

/// Options of containers that are started.
const CONTAINER: (&str, &str) = (
    "vewuphmlac",
    "--volume --env --workdir --user --publish --expose --hostname --memory --label --attach --cpu-shares --name --network --net \
     --entrypoint --mount --env-file --label-file --platform --cpus --gpus --add-host --pull --restart --tmpfs --device --cap-add \
     --cap-drop --security-opt --shm-size --ulimit --ip --log-driver --log-opt --dns --pid --ipc --uts --userns --volumes-from \
     --detach-keys --runtime --stop-signal --group-add --sysctl --annotation --cidfile --index --profile --file --project-name",
);
const CLUSTER: (&str, &str) = (
    "cnfls",
    "--container --namespace --context --kubeconfig --cluster --user --server --token --filename --pod-running-timeout",
);

pub(super) const WRAPPERS: &[Wrapper] = &[
    wrapper(
        &["sudo"],
        "ugpChrtDRTUc",
        "--user --group --host --prompt --close-from --role --type --chdir --chroot --command-timeout --other-user",
        0,
    ),
    wrapper(&["doas"], "uC", "", 0),
    wrapper(&["run0"], "uD", "--user --group --chdir --setenv --property", 0),
    wrapper(&["pkexec"], "", "--user", 0),
    wrapper(&["env"], "uC", "--unset --chdir", 0),
    wrapper(&["nohup"], "", "", 0),
    wrapper(&["setsid"], "", "", 0),
    wrapper(&["time"], "fo", "--format --output", 0),
    wrapper(&["nice"], "n", "--adjustment", 0),
    wrapper(&["ionice"], "cn", "--class --classdata", 0),
    wrapper(&["chrt"], "TPD", "", 1),
    wrapper(&["taskset"], "", "", 1),
    wrapper(&["prlimit"], "", "", 0),
    wrapper(&["caffeinate"], "tw", "", 0),
    wrapper(&["stdbuf"], "ioe", "--input --output --error", 0),
    wrapper(&["unbuffer"], "", "", 0),
    wrapper(&["timeout"], "sk", "--signal --kill-after", 1),
    wrapper(&["gtimeout"], "sk", "--signal --kill-after", 1),
    wrapper(&["watch"], "nq", "--interval --equexit", 0),
    wrapper(
        &["xargs"],
        "nIPLdasE",
        "--max-args --max-procs --delimiter --arg-file --max-chars --process-slot-var",
        0,
    ),
    wrapper(
        &["parallel"],
        "jNnILSa",
        "--jobs --max-args --max-replace-args --colsep --delimiter --sshlogin --arg-file --timeout --delay --joblog --results --retries",
        0,
    ),
    wrapper(&["command"], "", "", 0),
    wrapper(&["builtin"], "", "", 0),
    wrapper(&["exec"], "a", "", 0),
    wrapper(&["coproc"], "", "", 0),
    wrapper(&["chroot"], "", "--userspec --groups", 1),
    wrapper(&["unshare"], "SGRw", "--root --wd --setuid --setgid --propagation", 0),
    wrapper(&["nsenter"], "tSGrw", "--target --setuid --setgid", 0),
    wrapper(
        &["strace"],
        "eosuEpaPSI",
        "--trace --output --user --env --string-limit",
        0,
    ),
    wrapper(&["ltrace"], "eosunlaAF", "--output", 0),
    wrapper(&["busybox"], "", "", 0),
    wrapper(&["toybox"], "", "", 0),
    wrapper(&["flock"], "wE", "--wait --timeout --conflict-exit-code", 1),
    wrapper(&["runuser"], "ugGs", "--user --group --supp-group --shell", 0),
    wrapper(&["gosu"], "", "", 1),
    wrapper(&["su-exec"], "", "", 1),
    wrapper(&["setpriv"], "", "--reuid --regid --groups", 0),
    wrapper(
        &["systemd-run"],
        "pEuH",
        "--unit --property --setenv --working-directory --uid --gid --slice --description",
        0,
    ),
    wrapper(&["systemd-inhibit"], "", "", 0),
    wrapper(&["entr"], "", "", 0),
    wrapper(
        &["hyperfine"],
        "wrpcS",
        "--warmup --runs --prepare --cleanup --setup --shell",
        0,
    ),
    wrapper(&["tmux"], "LSfntscxyeF", "", 1),
    wrapper(&["npx"], "pc", "--package --call", 0),
    wrapper(&["bunx"], "", "", 0),
    wrapper(&["pnpx"], "", "", 0),
    wrapper(&["uvx"], "p", "--from --with --python", 0),
    wrapper(&["npm", "exec"], "pcw", "--package --workspace", 0),
    wrapper(&["pnpm", "exec"], "", "", 0),
    wrapper(&["pnpm", "dlx"], "", "", 0),
    wrapper(&["yarn", "dlx"], "p", "", 0),
    wrapper(&["yarn", "exec"], "", "", 0),
    wrapper(&["bun", "x"], "", "", 0),
    wrapper(
        &["uv", "run"],
        "pm",
        "--with --python --package --extra --group --project --directory --env-file",
        0,
    ),
    wrapper(&["pipx", "run"], "", "--spec --python", 0),
    wrapper(&["pipenv", "run"], "", "", 0),
    wrapper(&["poetry", "run"], "", "", 0),
    wrapper(&["pdm", "run"], "", "", 0),
    wrapper(&["hatch", "run"], "", "", 0),
    wrapper(&["bundle", "exec"], "", "", 0),
    wrapper(&["conda", "run"], "np", "--name --prefix --cwd", 0),
    wrapper(&["mise", "exec"], "", "", 0),
    wrapper(&["direnv", "exec"], "", "", 1),
    wrapper(&["rustup", "run"], "", "", 1),
    wrapper(
        &["muster", "run"],
        "",
        "--agent --socket --watch --session --resume --model --template --cwd --nats --nats-credentials --nats-ca --operator-token",
        0,
    ),
    wrapper(&["docker", "exec"], CONTAINER.0, CONTAINER.1, 1),
    wrapper(&["docker", "run"], CONTAINER.0, CONTAINER.1, 1),
    wrapper(&["docker", "compose", "exec"], "eup", CONTAINER.1, 1),
    wrapper(&["docker", "compose", "run"], "eupvwl", CONTAINER.1, 1),
    wrapper(&["docker-compose", "exec"], "eup", CONTAINER.1, 1),
    wrapper(&["docker-compose", "run"], "eupvwl", CONTAINER.1, 1),
    wrapper(&["podman", "exec"], CONTAINER.0, CONTAINER.1, 1),
    wrapper(&["podman", "run"], CONTAINER.0, CONTAINER.1, 1),
    wrapper(&["nerdctl", "exec"], CONTAINER.0, CONTAINER.1, 1),
    wrapper(&["nerdctl", "run"], CONTAINER.0, CONTAINER.1, 1),
    wrapper(&["kubectl", "exec"], CLUSTER.0, CLUSTER.1, 1),
    wrapper(&["oc", "exec"], CLUSTER.0, CLUSTER.1, 1),
    wrapper(&["git", "bisect", "run"], "", "", 0),
    wrapper(&["git", "submodule", "foreach"], "", "", 0),
];

/// Programs that run a text given after `-c`, or what they are fed.
pub(super) const SHELLS: &[&str] = &["bash", "sh", "zsh", "dash", "ksh", "ash", "fish"];

/// Programs that run a text given by an option: the option's letter, its long names.
pub(super) const TEXTS: &[(&str, char, &[&str])] = &[
    ("su", 'c', &["--command", "--session-command"]),
    ("runuser", 'c', &["--command", "--session-command"]),
    ("script", 'c', &["--command"]),
    ("flock", 'c', &["--command"]),
    ("npx", 'c', &["--call"]),
    ("hyperfine", 'p', &["--prepare"]),
    ("nix-shell", 'r', &["--run", "--command"]),
];

/// The settings of git that name programs.
pub(super) const GIT_RUNS: &[&str] = &[
    "core.pager",
    "core.sshcommand",
    "core.fsmonitor",
    "core.editor",
    "core.hookspath",
    "core.askpass",
    "core.gitproxy",
    "sequence.editor",
    "diff.external",
    "interactive.difffilter",
];
pub(super) const GIT_RUNS_BEGIN: &[&str] = &["pager.", "alias.", "credential.", "gpg.", "filter."];
pub(super) const GIT_RUNS_END: &[&str] = &[
    ".textconv",
    ".cmd",
    ".command",
    ".program",
    ".driver",
    ".helper",
    ".uploadpack",
];

/// Variables that name programs which others then run.
pub(super) const VARIABLES: &[&str] = &[
    "GIT_EXTERNAL_DIFF",
    "GIT_PAGER",
    "GIT_EDITOR",
    "GIT_SEQUENCE_EDITOR",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_ASKPASS",
    "PAGER",
    "MANPAGER",
    "LESSOPEN",
    "LESSCLOSE",
    "BAT_PAGER",
    "EDITOR",
    "VISUAL",
    "BASH_ENV",
    "ENV",
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "DYLD_INSERT_LIBRARIES",
    "PATH",
];
/// Values of such settings and variables that only show.
pub(super) const HARMLESS: &[&str] = &[
    "",
    "cat",
    "less",
    "more",
    "true",
    "false",
    "less -FRX",
    "less -R",
    "delta",
];
