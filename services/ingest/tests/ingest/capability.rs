use crate::rig::{Hub, Place};
use muster_wire::data::host::{Capabilities, Scope, Support};

#[tokio::test]
async fn a_host_says_at_its_start_what_it_can_observe() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let _ingest = place.start().await;
    let told = hub.event("web-01", "host.status.capability").await;
    let Capabilities { observes } = serde_json::from_str(told.data.get()).unwrap();
    let support = |scope| {
        let of_scope = observes.iter().filter(move |capability| capability.scope == scope);
        of_scope.map(|capability| capability.support).collect::<Vec<_>>()
    };
    let launched = if cfg!(target_os = "linux") {
        [
            Support::Supported,
            Support::Supported,
            Support::Partial,
            Support::Partial,
        ]
    } else {
        [Support::Unavailable; 4]
    };
    assert_eq!(support(Scope::LaunchedProcessTree), launched);
    assert_eq!(support(Scope::SystemWide), [Support::Unavailable; 4]);
}
