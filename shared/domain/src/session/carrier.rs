//! Who carries out what the session is told.
//!
//! A carrier may run its agent once for each turn, so that between two turns the agent is gone and says that its session
//! ended. As long as the carrier itself runs, the session goes on.

use super::merge::Latest;
use crate::effect::Carrier;
use crate::fact::ProcessRef;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// How many ends of other processes are remembered, the latest: a carrier's end may overtake its beginning.
const GONE_MAX: usize = 4;

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub(crate) struct Carriers {
    /// Boxed: few sessions have one.
    latest: Option<Box<Known>>,
    gone: Vec<(Timestamp, ProcessRef)>,
}

/// The carrier that began last.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Known {
    began: Latest<(ProcessRef, Carrier)>,
    gone: bool,
}

impl Carriers {
    pub(super) fn began(&mut self, process: &ProcessRef, carrier: &Carrier, at: Timestamp) {
        let began = Latest {
            at,
            value: (process.clone(), carrier.clone()),
        };
        if self.latest.as_ref().is_none_or(|known| known.began < began) {
            let gone = self.gone.iter().any(|(_, gone)| gone == process);
            self.latest = Some(Box::new(Known { began, gone }));
        }
    }

    pub(super) fn ended(&mut self, process: &ProcessRef, at: Timestamp) {
        if let Some(known) = &mut self.latest
            && known.began.value.0 == *process
        {
            known.gone = true;
            return;
        }
        let mark = (at, process.clone());
        if let Err(place) = self.gone.binary_search(&mark) {
            self.gone.insert(place, mark);
        }
        if self.gone.len() > GONE_MAX {
            self.gone.remove(0);
        }
    }

    /// The one that runs.
    pub(crate) fn current(&self) -> Option<&Carrier> {
        let known = self.latest.as_ref().filter(|known| !known.gone)?;
        Some(&known.began.value.1)
    }
}
