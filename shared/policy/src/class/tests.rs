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
            &["echo x >> CLAUDE.md", "cat > .claude/agents/a.md <<E\nx\nE"],
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
