use super::*;
use muster_domain::fact::{Event, Fact, Recorded};
use muster_domain::family::EventType;
use muster_domain::ids::EventId;
use muster_domain::time::Timestamp;

const CREATED: Timestamp = Timestamp::from_millis(1_790_000_000_000);

fn log(created: Timestamp, first_seq: u64, last_seq: u64) -> StreamState {
    StreamState {
        created,
        first_seq,
        last_seq,
    }
}

fn snapshot_at(last_seq: u64) -> Vec<u8> {
    let mut fleet = Fleet::new(Settings::default());
    let event = Event {
        id: EventId::from_uuid(uuid::Uuid::nil()),
        event_type: EventType::parse("agent.hook.stop").unwrap(),
        host: None,
        session: None,
        agent: None,
        profile: None,
        origin: None,
        fact: Fact::Noted,
    };
    let recorded = Recorded {
        seq: last_seq,
        at: CREATED,
        event,
    };
    assert!(fleet.apply(&recorded).counted());
    snapshot::encode(&fleet, topology::EVENTS, CREATED).unwrap()
}

fn fits(bytes: &[u8], stream: StreamState) -> bool {
    fitting(bytes, &stream, &Settings::default(), "a test").is_some()
}

#[test]
fn a_snapshot_fits_a_log_that_goes_on_from_it() {
    let bytes = snapshot_at(10);
    assert!(fits(&bytes, log(CREATED, 1, 10)));
    assert!(fits(&bytes, log(CREATED, 11, 20)));
}

#[test]
fn a_snapshot_of_another_log_is_refused() {
    let later = Timestamp::from_millis(CREATED.as_millis() + 1);
    assert!(!fits(&snapshot_at(10), log(later, 1, 20)));
}

#[test]
fn a_snapshot_is_refused_when_the_log_lost_its_tail_or_aged_beyond_it() {
    let bytes = snapshot_at(10);
    assert!(!fits(&bytes, log(CREATED, 1, 9)));
    assert!(!fits(&bytes, log(CREATED, 12, 20)));
}

#[test]
fn a_snapshot_under_other_settings_or_damaged_is_refused() {
    let mut bytes = snapshot_at(10);
    let other = Settings {
        silence: Duration::from_secs(1),
        ..Settings::default()
    };
    assert!(fitting(&bytes, &log(CREATED, 1, 10), &other, "a test").is_none());
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    assert!(!fits(&bytes, log(CREATED, 1, 10)));
    assert!(!fits(b"", log(CREATED, 1, 10)));
}

#[test]
fn a_snapshot_is_written_whole_whoever_else_writes_one() {
    let dir = tempfile::tempdir().unwrap();
    let texts: Vec<Vec<u8>> = (0..8u8).map(|n| vec![n; 1 << 20]).collect();
    std::thread::scope(|scope| {
        for text in &texts {
            scope.spawn(|| write(dir.path(), text).unwrap());
        }
    });
    assert!(texts.contains(&on_disk(dir.path()).unwrap()));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}
