//! Reading the log keeps up with it. The figure is printed; only a collapse fails.

use muster_domain::time::Timestamp;
use muster_wire::decode;
use std::time::{Duration, Instant};

/// Envelopes a second below which something is badly wrong, on any machine and without optimisation.
const FLOOR: u128 = 2_000;

#[test]
fn a_replay_reads_envelopes_fast_enough() {
    let data = r#"{"session_id":"s1","cwd":"/home/dev/app","prompt_id":"c7c5ccfd-08e7-4956-9ad8-5806b838db25","permission_mode":"default","hook_event_name":"PostToolUse","tool_name":"Bash","tool_input":{"command":"echo hello-from-tool; ls","description":"List files"},"tool_response":{"stdout":"hello-from-tool","stderr":"","interrupted":false,"isImage":false},"tool_use_id":"toolu_000000","duration_ms":39,"muster":{"hook":"PostToolUse","input_digest":"0123456789abcdef","key":"1-2-3"}}"#;
    let event_type = muster_domain::family::EventType::parse("agent.hook.post_tool_use").unwrap();
    let stored = crate::envelopes::of(event_type, data).encode().unwrap();
    let started = Instant::now();
    let mut count = 0_u128;
    while started.elapsed() < Duration::from_millis(300) {
        for _ in 0..100 {
            count += 1;
            let recorded = decode::recorded(1, Timestamp::default(), &stored).unwrap();
            assert!(std::hint::black_box(recorded).event.host.is_some());
        }
    }
    let rate = count * 1_000_000 / started.elapsed().as_micros();
    println!("{rate} envelopes a second, {} bytes each", stored.len());
    assert!(rate > FLOOR, "only {rate} envelopes a second");
}
