use super::*;

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
fn nesting_ends_somewhere() {
    let deep = format!("{}rm{}", "$(".repeat(5000), ")".repeat(5000));
    assert!(commands(&deep).len() < 20);
    let wrapped = format!("{}rm", "sudo ".repeat(5000));
    assert!(commands(&wrapped).len() < 20);
}

#[test]
fn a_message_in_a_here_document_hides_nothing_that_follows_it() {
    let line = "git commit -m \"$(cat <<'EOF'\nDon't stop :) here, `rm -rf /` (\nEOF\n)\" && git push";
    let found = words(line);
    assert_eq!(found, ["cat", "git commit -m $()", "git push"]);
}
