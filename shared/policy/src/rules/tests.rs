use super::*;
use crate::source::{Fault, SOURCES_BYTES_MAX};

fn source(name: &str, text: &str) -> Source {
    Source {
        name: name.to_owned(),
        text: text.to_owned(),
    }
}

fn faults(text: &str) -> Vec<Fault> {
    match Policies::parse(&[source("team.cedar", text)]) {
        Err(PolicyError::Faulty { faults }) => faults,
        other => panic!("not faulty: {other:?}"),
    }
}

#[test]
fn a_syntax_error_names_file_line_and_column() {
    let faults = faults("permit(principal, action, resource);\n\nforbid(principal, action, resource) when { 1 + };\n");
    assert_eq!(
        (faults[0].file.as_str(), faults[0].line, faults[0].column),
        ("team.cedar", 3, 48)
    );
    assert!(faults[0].to_string().starts_with("team.cedar:3:48: "), "{}", faults[0]);
}

#[test]
fn a_wrong_annotation_is_refused_where_it_stands() {
    for (annotation, says) in [
        ("@descision(\"deny\")", "unknown annotation @descision"),
        (
            "@decision(\"maybe\")",
            "it may be deny, approval_required or escalation_required",
        ),
        ("@grant(\"true\")", "@grant stands before a permit only"),
        ("@reason(\"no spaces\")", "@reason may hold"),
        ("@id(\"\")", "@id may hold"),
    ] {
        let faults = faults(&format!("// one\n{annotation} forbid(principal, action, resource);"));
        assert_eq!(faults[0].line, 2);
        assert!(faults[0].message.contains(says), "{}", faults[0]);
    }
    let permit = faults("@decision(\"deny\") permit(principal, action, resource);");
    assert!(permit[0].message.contains("only allows"), "{}", permit[0]);
}

#[test]
fn a_type_that_no_call_has_is_refused() {
    let found =
        faults("forbid(principal == User::\"me\", action, resource);\nforbid(principal is Person, action, resource);");
    assert_eq!(found.iter().map(|fault| fault.line).collect::<Vec<_>>(), [1, 2]);
    assert!(found[0].message.contains("unknown type User"));
    assert!(!faults("permit(principal == ?principal, action, resource);").is_empty());
}

#[test]
fn rules_are_named_by_their_id_or_by_their_place() {
    let text = "permit(principal, action, resource);\n@id(\"mine\") forbid(principal, action, resource);";
    let policies = Policies::parse(&[
        source("a.cedar", text),
        source("b.cedar", "\npermit(principal, action, resource);"),
    ])
    .expect("rules");
    let ids: Vec<_> = policies
        .rules()
        .map(|rule| (rule.id.as_str(), rule.file.as_str(), rule.line))
        .collect();
    assert_eq!(
        ids,
        [("a:1", "a.cedar", 1), ("b:1", "b.cedar", 2), ("mine", "a.cedar", 2)]
    );
}

#[test]
fn two_rules_or_files_of_one_name_are_refused() {
    let twice = source(
        "b.cedar",
        "@id(\"x\") permit(principal, action, resource);\n@id(\"x\") permit(principal, action, resource);",
    );
    let error = Policies::parse(&[twice]).expect_err("twice");
    assert!(error.to_string().contains("b.cedar:1"), "{error}");
    let same = [source("a", ""), source("a", "")];
    assert_eq!(
        Policies::parse(&same).expect_err("same"),
        PolicyError::SameName("a".to_owned())
    );
}

#[test]
fn too_much_text_is_refused() {
    let large = source("a", &"/".repeat(SOURCES_BYTES_MAX));
    assert!(matches!(Policies::parse(&[large]), Err(PolicyError::TooLarge { .. })));
}

#[test]
fn the_fingerprint_is_of_what_is_said() {
    let (a, b) = (
        source("a", "permit(principal, action, resource);\n"),
        source("b", "// b"),
    );
    let crlf = source("a", "permit(principal, action, resource);  \r\n\r\n");
    let one = fingerprint(&[a.clone(), b.clone()]);
    assert_eq!(one, fingerprint(&[b, crlf]));
    assert_ne!(one, fingerprint(&[a]));
    assert!(one.starts_with("sha256:") && one.len() == 71);
}

#[test]
fn a_misspelt_family_is_doubted() {
    let text = "forbid(principal, action in Action::\"repair_destuctive\", resource);\nforbid(principal, action in [Action::\"Bash\", Action::\"mcp__a__b\"], resource);";
    let policies = Policies::parse(&[source("a.cedar", text)]).expect("rules");
    assert_eq!(policies.warnings().len(), 1);
    assert!(policies.warnings()[0].starts_with("a.cedar:1: "));
}

#[test]
fn the_defaults_are_the_families_own() {
    let policies = Policies::parse(&[Source::ccd()]).expect("the shipped rules");
    assert!(policies.warnings().is_empty());
    for family in muster_domain::policy::ActionFamily::ALL {
        let (ruling, reason) = family.default_ruling();
        let rule = policies.rules.get(&format!("ccd.{family}"));
        assert_eq!(rule.map_or(Ruling::Allow, |rule| rule.ruling), ruling, "{family}");
        assert!(rule.is_none_or(|rule| rule.reason == reason), "{family}");
    }
}
