//! What a subagent needs to begin in a workspace: a context of bounded size, and how much did not fit.

use super::{Asked, lists};
use muster_domain::delegation;
use muster_domain::fleet::{Fleet, SessionKey};
use muster_domain::host::HostState;
use muster_domain::lease::{Continuity, EscalationKind, GateStatus, Guards, Handoff, Lease, LeaseKey, Place, Recovery};
use muster_wire::api::{
    ApiError, BOOTSTRAP_BYTES_MAX, Bootstrap, BootstrapLease, BootstrapMemory, BootstrapRequest, LeftOut, Nesting,
    OpenGate,
};
use muster_wire::data::continuity::WrittenData;
use muster_wire::data::lease::{EscalationData, GuardsData};
use serde::Serialize;

/// Bytes that are kept for what an answer says beside the context, and for the members of the context themselves.
const FRAME_BYTES: usize = 1024;
/// Bytes that what is known has at least, however much else there is.
const MEMORIES_BYTES: usize = 4 * 1024;
/// What a child may.
const RIGHTS: &str = "you have at most the rights of the session that hands work on to you; you write to work that a \
    program holds only as its owner or supervisor; approvals, holds, circuits and durable memory are an operator's";

/// How many bytes are left.
struct Room(usize);

impl Room {
    /// Whether this fits too; then its place is taken.
    fn takes(&mut self, what: &impl Serialize) -> bool {
        let bytes = serde_json::to_vec(what).map_or(usize::MAX, |bytes| bytes.len() + 1);
        match self.0.checked_sub(bytes) {
            Some(left) => {
                self.0 = left;
                true
            }
            None => false,
        }
    }

    /// What fits of these, and how many do not.
    fn fill<T: Serialize>(&mut self, mut all: Vec<T>) -> (Vec<T>, usize) {
        let wanted = all.len();
        all.retain(|one| self.takes(one));
        let left_out = wanted - all.len();
        (all, left_out)
    }
}

pub(super) fn of(asked: &Asked<'_>, request: BootstrapRequest) -> Result<Bootstrap, ApiError> {
    let fleet = asked.fleet;
    let session = request.session.as_ref();
    // One that nobody heard of yet may begin all the same.
    let session = session.and_then(|id| lists::find(fleet, id, request.host.as_ref()).ok());
    let key = LeaseKey {
        profile: request.profile,
        workspace: request.workspace,
    };
    let place = fleet.leases().get(&key).cloned().unwrap_or_default();
    let mut left_out = LeftOut::default();
    let names = key.workspace.as_str().len() + key.profile.as_ref().map_or(0, |profile| profile.as_str().len());
    // A character of a name may take two in JSON.
    let mut room = Room(BOOTSTRAP_BYTES_MAX.saturating_sub(FRAME_BYTES + MEMORIES_BYTES + 2 * names));
    let lease = place.lease.as_ref().map(|lease| held(asked, lease, place.revision));
    let kept = lease.filter(|lease| room.takes(lease));
    left_out.lease = kept.is_none() && place.lease.is_some();
    let Place { guards, continuity, .. } = place;
    let attention_anchor = guards.attention_anchor();
    let escalations;
    (escalations, left_out.escalations) = room.fill(escalated(&guards));
    let open_gates;
    (open_gates, left_out.open_gates) = room.fill(open(guards));
    let Continuity { handoff, recovery } = continuity;
    let handoff = handoff.and_then(|written| in_part_handoff(written.into(), &mut room, &mut left_out.handoff));
    let recovery = recovery.and_then(|written| in_part_recovery(written.into(), &mut room, &mut left_out.recovery));
    room.0 += MEMORIES_BYTES;
    let memories;
    (memories, left_out.memories) = room.fill(known(fleet, &key));
    Ok(Bootstrap {
        workspace: key.workspace,
        profile: key.profile,
        rights: RIGHTS.to_owned(),
        nesting: session.map(|session| nesting(fleet, &session)),
        lease: kept,
        escalations,
        open_gates,
        attention_anchor,
        handoff,
        recovery,
        memories,
        left_out,
    })
}

fn nesting(fleet: &Fleet, session: &SessionKey) -> Nesting {
    let depth_max = fleet.settings().circuits.max_depth;
    let depth = delegation::next_depth(fleet, session);
    Nesting {
        depth,
        depth_max,
        depth_left: depth_max.saturating_sub(depth),
    }
}

fn held(asked: &Asked<'_>, lease: &Lease, revision: u64) -> BootstrapLease {
    let host = lease.host.as_ref().and_then(|host| asked.fleet.hosts().get(host));
    let lost = host.is_some_and(|host| host.state() == HostState::Lost);
    BootstrapLease {
        stale: lease.is_stale(asked.now, lost),
        revision,
        session: lease.into(),
    }
}

/// What waits for somebody, what stops the work first.
fn escalated(guards: &Guards) -> Vec<EscalationData> {
    let mut all = GuardsData::from(guards).escalations;
    all.sort_by_key(|one| one.kind != EscalationKind::Blocking);
    all
}

fn open(guards: Guards) -> Vec<OpenGate> {
    let gates = guards.gates.into_iter().enumerate();
    let open = gates.filter(|(_, gate)| gate.status != GateStatus::Done);
    open.map(|(index, gate)| OpenGate { index, gate }).collect()
}

/// What fits of the lists, those first that a beginner needs first.
fn lists_in_part<const N: usize>(lists: [&mut Vec<Box<str>>; N], room: &mut Room, left_out: &mut usize) {
    for list in lists {
        let (kept, left) = room.fill(std::mem::take(list));
        *list = kept;
        *left_out += left;
    }
}

fn in_part_handoff(
    mut written: WrittenData<Handoff>,
    room: &mut Room,
    left_out: &mut usize,
) -> Option<WrittenData<Handoff>> {
    let whole = std::mem::take(&mut written.what);
    let Handoff {
        title,
        mut immediate_actions,
        mut completed_state,
        mut operational_guardrails,
        mut key_files,
        mut definition_of_done,
    } = whole;
    written.what.title = title;
    let lists = [
        &mut operational_guardrails,
        &mut immediate_actions,
        &mut definition_of_done,
        &mut key_files,
        &mut completed_state,
    ];
    if !room.takes(&written) {
        *left_out = 1 + lists.iter().map(|list| list.len()).sum::<usize>();
        return None;
    }
    lists_in_part(lists, room, left_out);
    written.what = Handoff {
        immediate_actions,
        completed_state,
        operational_guardrails,
        key_files,
        definition_of_done,
        ..written.what
    };
    Some(written)
}

fn in_part_recovery(
    mut written: WrittenData<Recovery>,
    room: &mut Room,
    left_out: &mut usize,
) -> Option<WrittenData<Recovery>> {
    let what = &mut written.what;
    let mut immediate_actions = std::mem::take(&mut what.checkpoint.immediate_actions);
    let mut key_files = std::mem::take(&mut what.checkpoint.key_files);
    let mut summary_lines = std::mem::take(&mut what.working_buffer.summary_lines);
    let lists = [&mut immediate_actions, &mut summary_lines, &mut key_files];
    if !room.takes(&written) {
        *left_out = 1 + lists.iter().map(|list| list.len()).sum::<usize>();
        return None;
    }
    lists_in_part(lists, room, left_out);
    let what = &mut written.what;
    what.checkpoint.immediate_actions = immediate_actions;
    what.checkpoint.key_files = key_files;
    what.working_buffer.summary_lines = summary_lines;
    Some(written)
}

fn known(fleet: &Fleet, key: &LeaseKey) -> Vec<BootstrapMemory> {
    let recalled = fleet.work_memories().recalled(key).into_iter();
    let rows = recalled.map(|(of, entry)| BootstrapMemory {
        id: entry.id,
        workspace: (of != key).then(|| of.workspace.clone()),
        kind: entry.kind,
        scope: entry.scope,
        text: entry.text.to_string(),
    });
    rows.collect()
}
