use crate::hub::hub;
use bytes::Bytes;
use muster_wire::topology::{PAYLOADS, SNAPSHOTS};

#[tokio::test]
async fn an_object_comes_back_as_it_was_stored() {
    let (_server, bus) = hub().await;
    let payloads = bus.objects(&PAYLOADS);
    let large = Bytes::from((0..3_000_000u32).map(|n| n.to_le_bytes()[0]).collect::<Vec<_>>());
    assert_eq!(payloads.get("web-01/abc").await.unwrap(), None);
    assert!(!payloads.contains("web-01/abc").await.unwrap());
    payloads.put("web-01/abc", large.clone()).await.unwrap();
    assert!(payloads.contains("web-01/abc").await.unwrap());
    assert_eq!(payloads.get("web-01/abc").await.unwrap(), Some(large));
}

#[tokio::test]
async fn older_objects_can_be_found_and_deleted() {
    let (_server, bus) = hub().await;
    let snapshots = bus.objects(&SNAPSHOTS);
    for name in ["1", "2", "3"] {
        snapshots.put(name, Bytes::from(name.repeat(10))).await.unwrap();
    }
    let listed = snapshots.list().await.unwrap();
    let names: Vec<&str> = listed.iter().map(|object| object.name.as_str()).collect();
    assert_eq!(names, ["1", "2", "3"]);
    assert_eq!(listed[0].bytes, 10);
    snapshots.delete("1").await.unwrap();
    snapshots.delete("1").await.unwrap();
    assert!(!snapshots.contains("1").await.unwrap());
    assert_eq!(snapshots.list().await.unwrap().len(), 2);
}
