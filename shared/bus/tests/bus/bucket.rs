use crate::hub::{SOON, hub};
use muster_bus::kv::{self, Entry, KvError, Op, Watch, Watched};
use muster_wire::topology::{EDGE, PRESENCE, SESSIONS};
use std::time::Duration;
use tokio::time::timeout;

async fn entry(watch: &mut Watch) -> Entry {
    match timeout(SOON, watch.next()).await.unwrap().unwrap() {
        Watched::Entry(entry) => entry,
        Watched::Current => panic!("current, where a key was expected"),
    }
}

async fn current(watch: &mut Watch) {
    let watched = timeout(SOON, watch.next()).await.unwrap().unwrap();
    assert_eq!(watched, Watched::Current);
}

#[tokio::test]
async fn a_key_is_changed_by_comparison() {
    let (_server, bus) = hub().await;
    let edge = bus.bucket(&EDGE);
    assert_eq!(edge.get("policy").await.unwrap(), None);
    let first = edge.create("policy", "1".into()).await.unwrap();
    let conflict = KvError::Conflict {
        key: "policy".to_owned(),
    };
    assert_eq!(edge.create("policy", "x".into()).await, Err(conflict.clone()));
    let second = edge.update("policy", "2".into(), first).await.unwrap();
    assert_eq!(edge.update("policy", "x".into(), first).await, Err(conflict.clone()));
    assert_eq!(edge.get("policy").await.unwrap(), Some(("2".into(), second)));
    assert_eq!(edge.delete_revision("policy", first).await, Err(conflict));
    edge.delete("policy").await.unwrap();
    assert_eq!(edge.get("policy").await.unwrap(), None);
    edge.create("policy", "3".into()).await.unwrap();
    edge.put("policy", "4".into()).await.unwrap();
}

#[tokio::test]
async fn a_watch_lists_follows_and_sees_an_expiry() {
    let (_server, bus) = hub().await;
    let presence = bus.bucket(&PRESENCE);
    let mut nothing = presence.watch(">");
    current(&mut nothing).await;

    let ttl = Duration::from_secs(1);
    presence.put("web-02", "there".into()).await.unwrap();
    presence
        .put_with_ttl("web-01", "there".into(), ttl, None)
        .await
        .unwrap();
    let mut watch = presence.watch(">");
    assert_eq!(entry(&mut watch).await.key, "web-02");
    let listed = entry(&mut watch).await;
    assert_eq!((listed.key.as_str(), listed.op), ("web-01", Op::Put));
    assert_eq!(listed.value.as_deref(), Some(&b"there"[..]));
    current(&mut watch).await;

    let expired = entry(&mut watch).await;
    assert_eq!(
        (expired.key.as_str(), expired.op, expired.value),
        ("web-01", Op::Expired, None)
    );
    assert!(expired.revision > listed.revision);
    presence.delete("web-02").await.unwrap();
    let deleted = entry(&mut watch).await;
    assert_eq!((deleted.key.as_str(), deleted.op), ("web-02", Op::Deleted));

    let key = kv::key(&["a.b", "s 1"]);
    let sessions = bus.bucket(&SESSIONS);
    let mut one = sessions.watch(&key);
    current(&mut one).await;
    sessions.put("other", "x".into()).await.unwrap();
    sessions.put(&key, "y".into()).await.unwrap();
    assert_eq!(entry(&mut one).await.key, key);
}

#[tokio::test]
async fn a_watch_is_right_again_after_an_outage() {
    let (mut server, bus) = hub().await;
    let presence = bus.bucket(&PRESENCE);
    for host in ["gone", "same", "changed"] {
        presence.put(host, "1".into()).await.unwrap();
    }
    let mut watch = presence.watch(">");
    for _ in 0..3 {
        entry(&mut watch).await;
    }
    current(&mut watch).await;

    // Not polled meanwhile: what happens is not delivered, and the trace of the deletion is taken away.
    server.restart().await;
    let stranger = crate::hub::stranger(&server).await;
    muster_testkit::eventually(SOON, async || stranger.get_stream("KV_presence").await)
        .await
        .purge()
        .filter("$KV.presence.gone")
        .await
        .unwrap();
    muster_testkit::eventually(SOON, async || presence.put("changed", "2".into()).await).await;
    let changed = entry(&mut watch).await;
    assert_eq!((changed.key.as_str(), changed.value), ("changed", Some("2".into())));
    let gone = entry(&mut watch).await;
    assert_eq!((gone.key.as_str(), gone.op), ("gone", Op::Expired));
    current(&mut watch).await;
}
