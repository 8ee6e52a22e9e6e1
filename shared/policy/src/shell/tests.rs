mod nesting;

use super::*;
use crate::budget::{Budget, STEPS_MAX};

fn commands(line: &str) -> Vec<Command> {
    read(line, &mut Budget::new())
        .into_iter()
        .filter_map(|part| match part {
            Part::Run(command) => Some(command),
            Part::Enter | Part::Leave => None,
        })
        .collect()
}

/// What reading `line` costs, and whether all of it was read.
fn cost(line: &str) -> (usize, bool) {
    let mut budget = Budget::new();
    read(line, &mut budget);
    (budget.spent(), !budget.is_over())
}

fn words(line: &str) -> Vec<String> {
    commands(line).iter().map(|command| command.words.join(" ")).collect()
}

#[test]
fn operators_part_commands() {
    assert_eq!(
        words("cd x && ls -l; a | b & c || d\ne"),
        ["cd x", "ls -l", "a", "b", "c", "d", "e"]
    );
}

#[test]
fn quotes_and_escapes_are_resolved() {
    assert_eq!(words(r#"r\m "-rf" '/a b'"/c""#), ["rm -rf /a b/c"]);
    assert_eq!(words("echo 'a; rm -rf /' # rm -rf /"), ["echo a; rm -rf /"]);
    assert_eq!(words("/usr/bin/r''m x"), ["rm x"]);
}

#[test]
fn substitutions_are_commands_too() {
    assert_eq!(
        words(r#"echo "$(rm -rf / )" `git push`"#),
        ["rm -rf /", "git push", "echo $() $()"]
    );
    assert_eq!(words("echo $((1 + 2))"), ["echo $()"]);
    assert_eq!(words("diff <(ls a) <(ls b)"), ["ls a", "ls b", "diff $() $()"]);
}

#[test]
fn wrappers_are_seen_through() {
    assert_eq!(
        words("sudo -u root env X=1 timeout -k 1 5 git push")
            .last()
            .map(String::as_str),
        Some("sudo -u root env X=1 timeout -k 1 5 git push")
    );
    assert!(words("sudo -u root env X=1 timeout -k 1 5 git push").contains(&"git push".to_owned()));
    assert!(words("bash -lc 'cd /x && rm -rf .'").contains(&"rm -rf .".to_owned()));
    assert!(words("eval \"git push --force\"").contains(&"git push --force".to_owned()));
    assert!(words("ls | xargs -n 1 rm -rf").contains(&"rm -rf".to_owned()));
    assert!(words("find . -name x -exec rm -rf {} \\;").contains(&"rm -rf {}".to_owned()));
    assert!(words("ssh -p 22 web-01 'rm -rf /srv'").contains(&"rm -rf /srv".to_owned()));
    assert!(words("if true; then git push; fi").contains(&"git push".to_owned()));
}

#[test]
fn what_a_shell_is_fed_is_run_and_what_others_are_fed_is_not() {
    assert!(words("bash <<'E'\nrm -rf /\nE\nls").contains(&"rm -rf /".to_owned()));
    assert_eq!(words("cat <<E\nrm -rf /\nE\nls"), ["cat", "ls"]);
    assert_eq!(words("cat <<'E'\n$(rm -rf /)\nE\nls"), ["cat", "ls"]);
    assert!(words("cat <<E\n$(rm -rf /)\nE").contains(&"rm -rf /".to_owned()));
    assert!(words("bash <<< 'rm -rf /'").contains(&"rm -rf /".to_owned()));
}

#[test]
fn redirections_name_what_they_write() {
    let writes = |line: &str| {
        commands(line)
            .into_iter()
            .flat_map(|command| command.writes)
            .collect::<Vec<_>>()
    };
    assert_eq!(writes("echo a >b 2>>c &>d >|e"), ["b", "c", "d", "e"]);
    assert!(writes("echo a 2>&1 <in >&2").is_empty());
    assert_eq!(words("echo a 2>&1 < in"), ["echo a"]);
}

#[test]
fn what_only_the_shell_knows_is_marked() {
    assert!(commands("$CMD -rf /")[0].dynamic);
    assert!(commands(r"$'\x72m' -rf /")[0].dynamic);
    assert!(!commands("echo 5$")[0].dynamic);
}

#[test]
fn short_options_are_found_in_clusters() {
    let command = &commands("rm -fr x --one=two")[0];
    assert!(command.has("-r") && command.has("-f") && command.has("--one"));
    assert!(!command.has("-x") && !command.has("--two"));
}

#[test]
fn nesting_ends_somewhere_and_is_said_to() {
    let deep = format!("{}rm{}", "$(".repeat(5000), ")".repeat(5000));
    let wrapped = format!("{}rm", "sudo ".repeat(5000));
    for line in [deep, wrapped, "eval ".repeat(5000)] {
        assert!(commands(&line).len() < 40);
        assert!(!cost(&line).1, "what is nested too deep was not read");
    }
    let usual = format!("{}rm{}", "$(".repeat(12), ")".repeat(12));
    assert!(cost(&usual).1, "a dozen is read");
    assert!(commands(&usual)[0].words == ["rm"]);
}

/// Here-documents within one another, each for a shell.
fn here_documents(count: usize) -> String {
    let open = (0..count).map(|n| format!("{}bash <<E{n}\n", if n > 0 { "$(" } else { "" }));
    let close = (0..count)
        .rev()
        .map(|n| format!("E{n}\n{}", if n > 0 { ")\n" } else { "" }));
    open.chain(close).collect()
}

#[test]
fn the_cost_of_a_line_grows_with_its_length_and_not_faster() {
    type Make = fn(usize) -> String;
    let makes: [(&str, Make); 8] = [
        ("find", |count| "find -exec ".repeat(count)),
        ("find with ends", |count| "find . -exec rm {} ; ".repeat(count)),
        ("cd", |count| "cd a;".repeat(count)),
        ("words", |count| "{ ".repeat(count)),
        ("parentheses", |count| "(".repeat(count) + "ls"),
        ("here-documents", |count| "cat <<a\nb\na\n".repeat(count)),
        ("pipes", |count| "echo a | tee b |".repeat(count)),
        ("quotes", |count| "\"a 'b\" ".repeat(count)),
    ];
    for (name, make) in makes {
        let ((short, read), (long, also)) = (cost(&make(40)), cost(&make(80)));
        assert!(read && also, "{name} is read");
        assert!(long <= short * 2 + 1000, "{name}: {short} became {long}");
    }
}

#[test]
fn nothing_is_read_for_ever() {
    let endless = [
        "find -exec ".repeat(40) + "x",
        "find -exec ".repeat(4000) + "x",
        here_documents(18),
        here_documents(200),
        "cd a;".repeat(20_000),
        "ls ".repeat(100_000),
        "$(".repeat(100_000),
        "`".repeat(100_000),
        "eval ".repeat(1000),
        "sudo find -exec ".repeat(1000),
        "bash <<a\n".repeat(5000),
        "x".repeat(8 << 20),
        "cat <<E\n".to_owned() + &"$(git push) ".repeat(100_000) + "\nE",
    ];
    for line in endless {
        let mut budget = Budget::new();
        let parts = read(&line, &mut budget);
        let kept: usize = commands_of(&parts)
            .map(|command| command.words.iter().map(String::len).sum::<usize>())
            .sum();
        let start = &line[..20];
        assert!(
            budget.is_over() || line.len() < 500 || line.starts_with('`'),
            "{start:?} was read"
        );
        assert!(budget.spent() <= STEPS_MAX);
        assert!(commands_of(&parts).count() <= 2048, "{start:?}");
        assert!(kept <= STEPS_MAX, "{start:?}: {kept} bytes");
    }
}

fn commands_of(parts: &[Part]) -> impl Iterator<Item = &Command> {
    parts.iter().filter_map(|part| match part {
        Part::Run(command) => Some(command),
        Part::Enter | Part::Leave => None,
    })
}

#[test]
fn as_much_as_anybody_writes_is_read() {
    let script = "cd web && npm run build -- --mode production 2>&1 | tail -n 20\n".repeat(300);
    let document = format!(
        "cat > a.md <<'EOF'\n{}EOF\n",
        "A line of text that is written to a file.\n".repeat(20_000)
    );
    let files = format!("git add {}", "src/some/folder/file.rs ".repeat(5000));
    for line in [script, document, files] {
        assert!(cost(&line).1, "{}", cost(&line).0);
    }
}

#[test]
fn a_find_runs_what_stands_before_its_next_exec() {
    let found = words("find a -exec ls {} \\; -exec git push + -name x -execdir rm y \\;");
    assert!(found.contains(&"ls {}".to_owned()) && found.contains(&"git push".to_owned()));
    assert!(found.contains(&"rm y".to_owned()));
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(words("find -exec find x -exec rm y \\; \\;").contains(&"rm y".to_owned()));
}

#[test]
fn wrappers_options_take_their_values() {
    for line in [
        "sudo -nu root git push",
        "sudo -nuroot git push",
        "sudo --user root -- git push",
        "env -S 'git push'",
        "env -i -S'git push'",
        "env --split-string='X=1 git' push",
        "env -u X git push",
        "env 'A=b c' git push",
        "ssh web-01 'X=$(git push) ls'",
        "xargs --max-args 1 git push",
        "xargs -I{} -n1 -P 4 git push",
        "su - bob -c 'git push'",
        "su -c 'git push' bob",
        "su --command='git push'",
        "script -qc 'git push' /dev/null",
        "flock -n /x -c 'git push'",
        "flock /x git push",
        "coproc git push",
        "coproc NAME { git push; }",
        "function f { git push; }",
        "f() { git push; }",
        "trap 'git push' EXIT",
        "watch -n1 'git push'",
        "parallel -j 2 git push ::: a b",
        "tmux send-keys -t x 'git push' Enter",
        "tmux new-session -d -s x git push",
        "docker --context x exec -it -u root c git push",
        "docker run --rm -v /a:/b -e X=1 --network host image git push",
        "docker compose -f x exec -T web git push",
        "kubectl -n x exec p -c d -- git push",
        "npx -y git push",
        "npm exec -- git push",
        "uv run --with x git push",
        "muster run --agent x -- git push",
        "muster run --watch all -- git push",
        "muster --nats x run -- git push",
        "strace -f -o out git push",
        "systemd-run --user --unit x git push",
        "bash -o pipefail -c 'git push'",
        "bash -c -e 'git push'",
        "bash -cl 'git push'",
        "git -c alias.x='!git push' x",
        "git -c alias.x=push x",
        "git rebase -x 'git push' main",
        "git submodule foreach 'git push'",
        "sed -n '1e git push' f",
        "sed -ne '1e git push' f",
        "sed --expression='1e git push' f",
        "fd -e rs -x git push",
    ] {
        assert!(
            words(line).contains(&"git push".to_owned()),
            "{line}: {:?}",
            words(line)
        );
    }
    assert_eq!(words("command -v git"), ["command -v git"]);
}

#[test]
fn what_is_printed_into_a_shell_is_run() {
    for line in [
        "echo 'git push' | sh",
        "echo ls && echo git push | sudo bash -s",
        "printf 'ls\\ngit push\\n' | bash",
        "cat <<E | bash\ngit push\nE",
        "bash <<E | tee log\ngit push\nE",
        "echo 'git push' | tee f | sh",
        "echo 'git push' |& sh",
        "sudo bash <<E\ngit push\nE",
        "ssh web-01 <<E\ngit push\nE",
        "docker exec -i c sh <<E\ngit push\nE",
        "su bob <<< 'git push'",
    ] {
        assert!(
            words(line).contains(&"git push".to_owned()),
            "{line}: {:?}",
            words(line)
        );
    }
    for line in [
        "echo 'git push' || sh",
        "echo 'git push'; sh",
        "echo 'git push' | cat",
        "cat <<E | tee log\ngit push\nE",
    ] {
        assert!(
            !words(line).contains(&"git push".to_owned()),
            "{line}: {:?}",
            words(line)
        );
    }
}

#[test]
fn only_arithmetic_is_arithmetic() {
    assert_eq!(words("echo $(((1 + 2) * 3)) $((4))"), ["echo $() $()"]);
    assert!(words("echo $((git push);(true))").contains(&"git push".to_owned()));
    assert!(words("echo $(( $(git push) + 1 ))").contains(&"git push".to_owned()));
    assert!(
        words("((x<<2))\ngit push").contains(&"git push".to_owned()),
        "no here-document"
    );
}

#[test]
fn a_pattern_ends_no_substitution() {
    assert_eq!(
        words("echo $(case x in x) git push;; (y) ls;; esac) a && pwd"),
        ["case x in x", "git push", "y", "ls", "esac", "echo $() a", "pwd"]
    );
    assert_eq!(
        words("echo $(if true; then case x in x) a;; esac; fi) b")
            .last()
            .map(String::as_str),
        Some("echo $() b")
    );
    assert_eq!(words("echo $(echo case) a"), ["echo case", "echo $() a"]);
    assert_eq!(words("echo $(cat <<E\na\nE) b; pwd"), ["cat", "echo $() b", "pwd"]);
}

#[test]
fn settings_that_name_programs_act_and_others_do_not() {
    let acts = |line: &str| commands(line).iter().any(|command| command.acts);
    for line in [
        "git -c core.pager=evil log",
        "git -c core.sshCommand=x fetch",
        "GIT_EXTERNAL_DIFF=x git diff",
        "sed s/a/b/e f",
        "sed -nf x f",
        "git -c diff.a.textconv=x log",
    ] {
        assert!(acts(line), "{line}");
    }
    for line in [
        "git -c core.pager=cat log",
        "git -c color.ui=always log",
        "GIT_PAGER=cat git diff",
        "X=1 ls",
        "sed s/a/b/ f",
    ] {
        assert!(!acts(line), "{line}");
    }
}

#[test]
fn a_message_in_a_here_document_hides_nothing_that_follows_it() {
    let line = "git commit -m \"$(cat <<'EOF'\nDon't stop :) here, `rm -rf /` (\nEOF\n)\" && git push";
    let found = words(line);
    assert_eq!(found, ["cat", "git commit -m $()", "git push"]);
}
