//! A host's presence beside a naive model of it: one who is told each time that its heartbeat is there or is not, and who
//! remembers what was said last. Whatever a host says of itself in between, both say the same, once, and whoever leads.

mod script;

use muster_domain::conclusion::Conclusion;
use muster_domain::due::{self, Presence};
use muster_domain::fact::HostFact;
use muster_domain::host::HostState;
use muster_domain::overlay::Overlay;
use proptest::prelude::*;
use script::*;

#[derive(Debug, Clone, Copy)]
enum Step {
    /// Its heartbeat came.
    Comes,
    /// It expired.
    Expires,
    Starts,
    Stops,
    /// One of its sessions is heard.
    Heard,
    /// Another instance leads, and looks at what is there.
    Replaced,
}

#[derive(Debug, Default)]
struct Model {
    /// Whether it was last said to be there.
    said: Option<bool>,
    /// How it stands, once it was heard of.
    state: Option<HostState>,
    there: bool,
}

impl Model {
    /// What is said of it.
    fn step(&mut self, step: Step) -> Option<Conclusion> {
        match step {
            Step::Comes => self.there = true,
            Step::Expires => self.there = false,
            Step::Starts => self.state = Some(HostState::Present),
            Step::Stops => self.state = Some(HostState::Stopping),
            Step::Heard => _ = self.state.get_or_insert(HostState::Present),
            Step::Replaced => {}
        }
        if !matches!(step, Step::Comes | Step::Expires | Step::Replaced) {
            return None;
        }
        let (said, state) = match (self.there, self.said) {
            (true, None) => (Conclusion::HostAdded, HostState::Present),
            (true, Some(false)) => (Conclusion::HostReturned, HostState::Present),
            (false, Some(true)) if self.state != Some(HostState::Stopping) => (Conclusion::HostLost, HostState::Lost),
            _ => return None,
        };
        (self.said, self.state) = (Some(self.there), Some(state));
        Some(said)
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Comes),
        4 => Just(Step::Expires),
        2 => Just(Step::Starts),
        2 => Just(Step::Stops),
        1 => Just(Step::Heard),
        2 => Just(Step::Replaced),
    ]
}

proptest! {
    #[test]
    fn presence_is_told_as_the_naive_model_says(steps in prop::collection::vec(step(), 0..40)) {
        let (mut script, mut model) = (Script::new(), Model::default());
        let mut presence = Presence::Gone;
        for (n, step) in steps.iter().enumerate() {
            let mut said = None;
            match step {
                Step::Starts => _ = script.host(started_host()),
                Step::Stops => _ = script.host(HostFact::Stopping),
                Step::Heard => _ = script.on("p1", prompt()),
                Step::Comes => presence = Presence::Present,
                Step::Expires => presence = Presence::Gone,
                Step::Replaced => script.overlay = Overlay::new(),
            }
            if matches!(step, Step::Comes | Step::Expires | Step::Replaced) {
                let ask = |script: &Script| due::presence(&script.fleet, &script.overlay, &host_name(HOST), presence);
                if let Some(draft) = ask(&script) {
                    script.overlay.published(id(script.seq + 1), &draft);
                    prop_assert_eq!(ask(&script), None, "what is on its way is said again");
                    said = Some(draft.conclusion.clone());
                    script.write(vec![draft]);
                }
                prop_assert_eq!(ask(&script), None, "it is said again");
            }
            prop_assert_eq!(said, model.step(*step), "step {} of {:?}", n, steps);
            let state = script.fleet.hosts().get(&host_name(HOST)).map(muster_domain::host::Host::state);
            prop_assert_eq!(state, model.state, "after step {} of {:?}", n, steps);
        }
    }
}
