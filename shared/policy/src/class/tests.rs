use super::*;
use ActionFamily::*;
use serde_json::json;

const CWD: &str = "/home/dev/app";

fn bash(line: &str) -> Classed {
    let input = json!({ "command": line });
    classify(&Facts {
        cwd: CWD,
        ..Facts::of_call("Bash", &input)
    })
}

fn tool(name: &str, input: serde_json::Value) -> ActionFamily {
    classify(&Facts {
        cwd: CWD,
        ..Facts::of_call(name, &input)
    })
    .family
}

#[test]
fn each_command_is_in_its_family() {
    let table: &[(ActionFamily, &[&str])] = &[
        (
            ReadOnly,
            &[
                "ls -la",
                "cat a | grep b | wc -l",
                "git status",
                "git -C /x log --oneline",
                "git diff HEAD~1",
                "find . -name '*.rs'",
                "sed -n 1,5p a",
                "curl -s https://example.com",
                "gh pr view 3",
                "kubectl -n prod get pods",
                "node --version",
                "",
                "cd /x && ls 2>/dev/null",
                "docker ps",
                "sudo cat /etc/shadow",
                "muster sessions",
                "muster memory list --scope project",
                "muster bootstrap",
                "muster --nats nats://h:1 sessions --json",
                "muster policy show --text",
                "muster policy test --tool Bash",
                "muster budget list",
                "muster case mine --since 7d",
                "muster review show 1",
                "muster circuit",
                "git -C sub diff --stat",
                "git --no-pager log -p",
                "git -c core.pager=cat log",
                "GIT_PAGER=cat git diff",
                "git remote -v",
                "git remote show origin",
                "cd sub && git status",
                "(cd sub && ls) | head",
                "sed -n '1,5p;7q' a",
                "sed 's/write/e/g' a",
                "rg -n --glob '*.rs' x",
                "fd -e rs",
                "yq .a f.yml",
                "curl -sSfL https://example.com/x",
                "curl -X GET https://example.com",
                "curl -G --data-urlencode q=x https://example.com",
                "curl -sH 'X-Do: -d' https://example.com",
                "find . -name '*.rs' -exec grep -l x {} +",
                "ls | xargs -n1 wc -l",
                "echo $((1 + 2)) $(case x in x) ls;; esac)",
                "echo 'git push'",
                "cat <<'E'\ngit push\nE",
                "for f in *.rs; do wc -l \"$f\"; done",
                "command -v cargo",
                "env | grep PATH",
            ],
        ),
        (
            LocalIsolation,
            &[
                "git worktree add ../b",
                "git switch -c x",
                "git checkout main",
                "git clone https://x/y",
                "mktemp -d",
            ],
        ),
        (
            LocalExecution,
            &[
                "cargo test",
                "make",
                "npm install",
                "python3 x.py",
                "touch a",
                "echo a > b",
                "sed -i s/a/b/ c",
                "rm a.txt",
                "rm -rf target",
                "rm -rf ./node_modules/",
                "rm -rf /tmp/scratch",
                "rm -rf /home/dev/app/build",
                "git add -A",
                "$CMD x",
                "curl -o a https://example.com",
                "dd if=/dev/zero of=disk.img",
                "cd sub && rm -rf out",
                "cd sub && rm -rf ../dist",
                "cd /home/dev/app/sub && rm -rf out",
                "(cd /srv && ls) && rm -rf target",
                "echo $(cd / && pwd) && rm -rf target",
                "bash -c 'cd /srv; ls'; rm -rf target",
                "cd /tmp/x && rm -rf y",
                "rm -rf {dist,build,sub/out}",
                "cd sub && make",
                "cd web && npm test -- --watch=false",
                "npm --workspace x test",
                "cargo -Z x test",
                "npx eslint .",
                "docker exec c npm test",
                "docker compose -f x exec web npm test",
                "muster run -- cargo test",
                "muster hook claude-code",
                "muster something",
                "muster feedback add s1 --score 1",
                "kill 123",
                "kill -9 123",
                "kill -1 123",
                "find . -name '*.tmp' -exec touch {} ;",
                "fd -x touch",
                "rg --pre cat x",
                "yq -i .a=1 f.yml",
                "sed 's/x/y/w out' f",
                "sed -n 's/x/y/e' f",
                "git diff --output=a.patch",
                "git -c core.pager=evil log",
                "PAGER=evil git log",
                "git remote prune origin",
                "curl -sSo a https://example.com",
                "curl -sO https://example.com",
                "tmux new-session -d -s x 'cargo test'",
                "sudo -nu bob make",
                "echo make | sh",
            ],
        ),
        (
            LocalFinalize,
            &[
                "git commit -m x",
                "git merge main",
                "git tag v1",
                "cargo test && git commit -am x",
            ],
        ),
        (
            DurableMemoryMutation,
            &[
                "echo x >> CLAUDE.md",
                "cat > .claude/agents/a.md <<E\nx\nE",
                "muster memory promote 2",
            ],
        ),
        (SharedQueueMutation, &["gh issue create -t x", "gh issue close 3"]),
        (
            PublishExternal,
            &[
                "git push",
                "git push origin main",
                "git -C /x push",
                "npm publish",
                "cargo publish",
                "docker push x/y",
                "gh pr create",
                "curl -X POST https://example.com -d x",
                "kubectl apply -f a.yml",
                "terraform apply",
                "scp a host:b",
                "aws s3 cp a s3://b",
                "python3 -m twine upload dist/*",
                "ssh web-01 uptime",
                "curl -XDELETE https://api/x",
                "curl -XPATCH https://api/x",
                "curl -sXPOST https://api/x",
                "curl -X DELETE https://api/x",
                "curl --request=PUT https://api/x",
                "curl -dfoo=1 https://api/x",
                "curl -sSd@f https://api/x",
                "curl --data-urlencode a=b https://api/x",
                "curl -Ff=@x https://api/x",
                "curl -T x https://api/x",
                "curl -G -F a=b https://api/x",
                "npx twine upload dist/*",
                "npm --workspace x publish",
                "npm -w x publish",
                "npm --unknown x publish",
                "cargo -Z x publish",
                "cargo --config a=b publish",
                "pnpm --filter x publish",
                "git --exec-path /x push",
                "git --unknown /x push",
                "env -S \"git push\"",
                "sudo -nu root git push",
                "xargs --max-args 1 git push",
                "su - bob -c 'git push'",
                "script -c \"git push\" /dev/null",
                "flock f -c 'git push'",
                "coproc git push",
                "function f { git push; }",
                "echo $((git push);(true))",
                "echo $(case x in x) git push;; esac)",
                "echo 'git push' | sh",
                "((1<<2))\ngit push",
                "docker exec c git push",
                "muster run -- git push",
                "sed -n '1e git push' f",
                "fd -x git push",
                "git -c alias.p=push p",
            ],
        ),
        (
            ProtectedSurfaceMutation,
            &[
                "echo x >> ~/.ssh/authorized_keys",
                "cp a .github/workflows/ci.yml",
                "git config user.name x",
                "tee /etc/hosts",
                "apt-get install x",
                "systemctl restart nginx",
                "muster enroll claude-code",
                "echo A=1 >> .env",
                "muster --nats X approve ID",
                "muster approve ID",
                "muster hold --all",
                "muster deny ID",
                "muster away --all",
                "muster budget set --usd 1",
                "muster budget remove ID",
                "muster circuit reset x",
                "muster case archive 1",
                "muster rule run --dry-run",
                "muster review dismiss 1",
                "muster up",
                "muster --json policy activate x",
                "sed 's/x/y/w /etc/passwd' f",
                "git diff --output=/etc/passwd",
                "git log --output /etc/passwd",
                "sort -o/etc/passwd f",
                "git remote rm origin",
                "git remote rename a b",
            ],
        ),
        (
            RepairDestructive,
            &[
                "rm -rf /",
                "rm -fr ~",
                "rm -r -f /home/dev",
                "rm -rf .",
                "rm -rf *",
                "rm -rf ..",
                "rm -rf \"$DIR\"",
                "rm -rf .git",
                "sudo rm -rf /var/lib/x",
                "git push --force",
                "git push -f origin main",
                "git push origin +main",
                "git push --force-with-lease",
                "git reset --hard HEAD~3",
                "git clean -fdx",
                "git branch -D x",
                "mkfs.ext4 /dev/sda1",
                "dd if=x of=/dev/sda bs=1M",
                "echo x > /dev/nvme0n1",
                "psql -c 'DROP  DATABASE app'",
                "echo 'drop table x' | mysql app",
                "dropdb app",
                "redis-cli FLUSHALL",
                "kubectl delete ns prod",
                "terraform destroy -auto-approve",
                "find . -name x -delete",
                "shutdown now",
                "bash -c 'cd / && rm -rf *'",
                "ls | xargs rm -rf",
                "echo $(rm -rf /)",
                "env X=1 timeout 5 git push --force",
                "ssh web-01 'rm -rf /srv'",
                "docker compose down -v",
                "chmod -R 777 /",
                "cd /srv && rm -rf *",
                "cd ~ && rm -rf Documents",
                "cd && rm -rf Documents",
                "cd \"$HOME\" && rm -rf Documents",
                "cd - && rm -rf Documents",
                "cd /home && rm -rf anna",
                "cd .. && rm -rf other",
                "cd sub && rm -rf ../../other",
                "pushd / && rm -rf home",
                "(cd sub && ls); rm -rf ../other",
                "cd /tmp && rm -rf *",
                "rm -rf */",
                "rm -rf ./*",
                "find ~ -exec rm -rf {} +",
                "ls -d /home/* | xargs -I{} rm -rf {}",
                "rm -rf {/a,/b}",
                "rm -rf {dist,../x}",
                "rm -rf {dist,{a,/b}}",
                "docker exec c rm -rf /",
                "docker run -v /:/h alpine rm -rf /h",
                "docker compose -f x down -v",
                "docker compose --unknown x down --volumes",
                "docker-compose -f x down -v",
                "kubectl exec p -- rm -rf /",
                "kill -9 -1",
                "kill -- -1",
                "muster run -- rm -rf /",
                "fd -x rm -rf",
                "sudo -nu root rm -rf /",
                "kubectl --unknown c delete ns y",
                "echo 'rm -rf /' | sudo bash",
                "function f { rm -rf /; }",
            ],
        ),
    ];
    let mut wrong = Vec::new();
    for (family, lines) in table {
        for line in *lines {
            let found = bash(line).family;
            if found != *family {
                wrong.push(format!("{line:?} is {found}, not {family}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_tool_is_in_its_family() {
    assert_eq!(tool("Read", json!({"file_path": "/etc/passwd"})), ReadOnly);
    assert_eq!(tool("read_file", json!({"file_path": "x"})), ReadOnly);
    assert_eq!(
        tool("Write", json!({"file_path": "src/a.rs", "content": "x"})),
        LocalExecution
    );
    assert_eq!(
        tool("write_file", json!({"file_path": "../../dev/.ssh/config"})),
        ProtectedSurfaceMutation
    );
    assert_eq!(
        tool("Edit", json!({"file_path": "/home/dev/app/CLAUDE.md"})),
        DurableMemoryMutation
    );
    assert_eq!(
        tool(
            "apply_patch",
            json!({"command": "*** Begin Patch\n*** Update File: .github/workflows/ci.yml\n"})
        ),
        ProtectedSurfaceMutation
    );
    assert_eq!(
        tool("run_shell_command", json!({"command": "git push"})),
        PublishExternal
    );
    assert_eq!(
        tool("shell", json!({"command": ["bash", "-lc", "git push --force"]})),
        RepairDestructive
    );
    assert_eq!(tool("mcp__github__get_issue", json!({})), ReadOnly);
    assert_eq!(tool("mcp__github__create_issue", json!({})), SharedQueueMutation);
    assert_eq!(tool("mcp__github__mergePullRequest", json!({})), PublishExternal);
    assert_eq!(tool("mcp__db__delete_rows", json!({})), RepairDestructive);
    assert_eq!(
        tool("mcp__db__execute", json!({"sql": "DROP TABLE users"})),
        RepairDestructive
    );
    assert_eq!(tool("save_memory", json!({"fact": "x"})), DurableMemoryMutation);
    assert_eq!(tool("EnterWorktree", json!({})), LocalIsolation);
    assert_eq!(tool("SomethingNew", json!({})), LocalExecution);
    assert_eq!(tool("Bash", json!(null)), LocalExecution);
}

#[test]
fn a_line_is_in_every_family_of_its_parts() {
    let found = bash("git commit -m x && git push --force");
    assert_eq!(found.family, RepairDestructive);
    assert!(found.families.contains(&LocalFinalize));
}

#[test]
fn what_options_make_worse_is_still_what_it_is_without_them() {
    for line in ["git push --force", "git push origin +main"] {
        assert_eq!(
            bash(line).families.into_iter().collect::<Vec<_>>(),
            [PublishExternal, RepairDestructive],
            "{line}"
        );
    }
    assert_eq!(
        bash("git clean -n").families.into_iter().collect::<Vec<_>>(),
        [ReadOnly]
    );
    assert_eq!(
        bash("git config --get x").families.into_iter().collect::<Vec<_>>(),
        [ReadOnly]
    );
}

#[test]
fn rules_can_name_beginnings_words_and_programs() {
    let found = bash("cd /x; git -C /y push --force origin && sudo rm -rf z");
    for beginning in [
        "git push",
        "git push origin",
        "git -C /y push",
        "rm -rf z",
        "sudo",
        "cd /x",
    ] {
        assert!(
            found.commands.contains(beginning),
            "{beginning} is not in {:?}",
            found.commands
        );
    }
    assert!(
        ["-r", "-f", "-rf", "--force"]
            .iter()
            .all(|word| found.words.contains(*word))
    );
    assert!(
        ["cd", "git", "sudo", "rm"]
            .iter()
            .all(|program| found.programs.contains(*program))
    );
}

#[test]
fn paths_are_absolute_and_plain() {
    assert_eq!(paths::absolute("../x/./y", "/a/b"), "/a/x/y");
    assert_eq!(paths::absolute("/../..", "/a"), "/");
    assert_eq!(paths::absolute("", "/a/b"), "/a/b");
    assert_eq!(paths::absolute("../x", ""), "../x");
}

#[test]
fn where_nobody_works_nothing_is_ones_own() {
    let family = |cwd: &str, line: &str| {
        let input = json!({ "command": line });
        classify(&Facts {
            cwd,
            ..Facts::of_call("Bash", &input)
        })
        .family
    };
    for cwd in ["/", "/home", "/home/", "/home/dev/..", "/srv"] {
        assert_eq!(family(cwd, "rm -rf anna"), RepairDestructive, "{cwd}");
    }
    for cwd in ["/work", "/home/dev", "/srv/app", ""] {
        assert_eq!(family(cwd, "rm -rf anna"), LocalExecution, "{cwd}");
    }
    for line in [
        "cd / && rm -rf anna",
        "cd && rm -rf anna",
        "cd .. && rm -rf anna",
        "cd $X && rm -rf anna",
    ] {
        assert_eq!(family("", line), RepairDestructive, "{line}");
    }
    assert_eq!(family("", "cd sub && rm -rf anna"), LocalExecution);
    assert_eq!(
        family("/home/dev/a~b", "rm -rf out"),
        LocalExecution,
        "only what lies below counts"
    );
}

#[test]
fn what_is_too_much_to_read_counts_as_what_breaks_most() {
    let commands = "cd a;".repeat(20_000);
    let input = json!({ "command": commands });
    let found = classify(&Facts {
        cwd: CWD,
        ..Facts::of_call("Bash", &input)
    });
    assert_eq!(
        (found.family, found.unread, found.dynamic),
        (RepairDestructive, true, true)
    );
    assert!(found.families.contains(&ReadOnly), "what was read is told too");

    let values: Vec<u8> = vec![1; 20_000];
    for input in [
        json!({ "a": values }),
        json!([values]),
        json!({ "a": vec![json!([1]); 9_000] }),
    ] {
        let found = classify(&Facts {
            cwd: CWD,
            ..Facts::of_call("mcp__x__get_y", &input)
        });
        assert_eq!((found.family, found.unread), (RepairDestructive, true));
    }
    let patch = "*** Add File: x\n".repeat(30_000);
    let input = json!({ "input": patch });
    assert!(
        classify(&Facts {
            cwd: CWD,
            ..Facts::of_call("apply_patch", &input)
        })
        .unread
    );
    let long = "x/".repeat(1 << 20);
    for (tool, input) in [
        ("Write", json!({ "file_path": long })),
        ("mcp__db__query", json!({ "sql": long })),
        ("Bash", json!({ "command": ["ls", long] })),
    ] {
        assert!(classify(&Facts::of_call(tool, &input)).unread, "{tool}");
    }
    // Each file is looked at from the folder that the line is in.
    for (files, unread) in [(100, false), (500, true)] {
        let input = json!({ "command": format!("rm -rf {}", "a ".repeat(files)) });
        let cwd = format!("/{}", "x/".repeat(1500));
        let facts = Facts {
            cwd: &cwd,
            ..Facts::of_call("Bash", &input)
        };
        assert_eq!(classify(&facts).unread, unread, "{files} files");
    }
    let cwd = format!("/{}", "x/".repeat(3000));
    let input = json!({ "command": "ls" });
    assert!(
        classify(&Facts {
            cwd: &cwd,
            ..Facts::of_call("Bash", &input)
        })
        .unread
    );

    let input = json!({ "file_path": "a.rs", "content": "x".repeat(4 << 20), "list": vec![1; 5000] });
    let found = classify(&Facts {
        cwd: CWD,
        ..Facts::of_call("Write", &input)
    });
    assert_eq!(
        (found.family, found.unread),
        (LocalExecution, false),
        "what is only written is not read"
    );
}

#[test]
fn a_folder_that_cannot_be_is_unknown() {
    let line = format!("{} rm -rf x", "cd a && ".repeat(100));
    let found = bash(&line);
    assert!(!found.unread);
    assert_eq!(found.family, LocalExecution);
    let deep = format!("cd {} && rm -rf x", "a/".repeat(3000));
    assert_eq!(bash(&deep).family, RepairDestructive);
}
