use super::*;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;

fn kept(revision: u64, document: &Value) -> Kept {
    Kept {
        revision,
        document: serde_json::value::to_raw_value(document).unwrap(),
    }
}

fn holds(schema: u32, seq: u64) -> Value {
    json!({"schema": schema, "stream_created": "2026-11-21T12:00:00.000Z", "seq": seq, "holds": []})
}

fn entry(revision: u64, op: Op, document: Option<&Value>) -> Entry {
    Entry {
        key: edge::HOLDS.to_owned(),
        value: document.map(|document| document.to_string().into()),
        revision,
        op,
        at: muster_domain::time::Timestamp::default(),
    }
}

#[test]
fn a_document_of_a_newer_schema_leaves_the_one_before_in_force() {
    let rules = Rules::default().with(edge::HOLDS, &kept(3, &holds(1, 7))).unwrap();
    let error = rules.with(edge::HOLDS, &kept(4, &holds(2, 8))).unwrap_err();
    assert!(error.to_string().contains("upgrade this host"), "{error}");
    assert_eq!(rules.applied().edge_revision, 3);
    assert_eq!(rules.applied().edge[edge::HOLDS].seq, 7);
}

#[test]
fn a_key_that_nobody_here_enforces_is_not_reported() {
    assert!(Rules::default().with("leases", &kept(1, &holds(1, 1))).is_err());
}

#[tokio::test]
async fn what_was_seen_last_is_in_force_after_a_restart_and_for_this_user_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (edge, mut follower) = Edge::open(dir.path());
    assert_eq!(*edge.applied().borrow(), Applied::default());
    follower.take(entry(5, Op::Put, Some(&holds(1, 9)))).await;
    let mode = std::fs::metadata(dir.path().join("edge.json"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let (again, _) = Edge::open(dir.path());
    assert_eq!(again.rules().holds.as_ref().unwrap().head.mark.seq, 9);
    assert_eq!(*again.applied().borrow(), *edge.applied().borrow());
    assert_eq!(again.applied().borrow().edge_revision, 5);
}

#[tokio::test]
async fn a_bucket_that_was_lost_takes_nothing_back_and_a_deleted_key_does() {
    let dir = tempfile::tempdir().unwrap();
    let (edge, mut follower) = Edge::open(dir.path());
    follower.take(entry(5, Op::Put, Some(&holds(1, 9)))).await;
    follower.take(entry(6, Op::Expired, None)).await;
    assert!(edge.rules().holds.is_some());
    follower.take(entry(7, Op::Deleted, None)).await;
    assert!(edge.rules().holds.is_none());
    assert_eq!(*edge.applied().borrow(), Applied::default());
}

#[tokio::test]
async fn a_damaged_cache_means_that_there_are_rules_and_nobody_can_say_which() {
    let dir = tempfile::tempdir().unwrap();
    let (fresh, _) = Edge::open(dir.path());
    assert!(
        fresh.rules().policy.is_none(),
        "where nothing was kept, nothing is in force"
    );
    let unread = |edge: &Edge| matches!(edge.rules().policy.as_deref(), Some(InForce::Unread));
    std::fs::write(dir.path().join("edge.json"), b"{\"documents\": 3").unwrap();
    let (edge, mut follower) = Edge::open(dir.path());
    assert!(unread(&edge));
    // The policy of the hub takes its place; other documents do not.
    follower.take(entry(5, Op::Put, Some(&holds(1, 9)))).await;
    assert!(unread(&edge));
    let policy = json!({"schema": 1, "stream_created": "2026-11-21T12:00:00.000Z", "seq": 9, "version": 0, "fingerprint": "", "sources": []});
    let policy = Entry {
        key: edge::POLICY.to_owned(),
        ..entry(6, Op::Put, Some(&policy))
    };
    follower.take(policy).await;
    assert!(!unread(&edge), "the hub's rules are known again");

    let damaged = json!({"documents": {"policy": {"revision": 6, "document": {"schema": 1}}}});
    std::fs::write(dir.path().join("edge.json"), damaged.to_string()).unwrap();
    assert!(unread(&Edge::open(dir.path()).0));
}
