//! Which process carries which session, remembered beyond every connection and beyond this service.
//!
//! Every process of this user can open the socket, the shell of an agent too. So a session is its carrier's for as long as
//! the process lives that said so first: no other gets its orders, answers them, or tells that its run began or ended. When
//! that process is gone another may go on with the session, but none that an agent of another session started. Processes
//! are told apart as the kernel names them. Where it does not, a session is kept for whoever is connected, and no longer.

use crate::peer::Peer;
use muster_domain::names::{RunId, SessionId};
use muster_wire::data::hook::ProcessId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Sessions remembered at most: half a megabyte. Those whose process is gone are forgotten first, the earliest runs of them.
const SESSIONS_MAX: usize = 4096;

/// Why a process does not carry a session, or may not say so.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum NotCarrier {
    #[error("a later run carries this session")]
    Later,
    #[error("process {0} carries this session; another one may when that is gone")]
    Another(u32),
    #[error("somebody else is connected and carries this session")]
    Somebody,
    #[error("this session was begun by order, and this is not the process that it was begun in")]
    Ordered,
    #[error("this process was started by the agent of another session")]
    Agents,
    #[error("this order was given to another process")]
    NotGiven,
    #[error("this service ends")]
    Ending,
}

impl NotCarrier {
    /// The stable name.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Later => "displaced",
            Self::Another(_) | Self::Somebody | Self::Ordered | Self::Agents | Self::NotGiven => "not-the-carrier",
            Self::Ending => "draining",
        }
    }
}

/// That a run carries a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claim {
    pub(super) run: RunId,
    /// Whose run it is.
    pub(super) by: Option<Peer>,
    /// The run's agent, once it was told of.
    pub(super) agent: Option<ProcessId>,
    /// Its process went on to another session.
    #[serde(default)]
    pub(super) left: bool,
}

impl Claim {
    pub(super) const fn new(run: RunId, by: Option<Peer>, agent: Option<ProcessId>) -> Self {
        Self {
            run,
            by,
            agent,
            left: false,
        }
    }

    fn is_of(&self, by: Option<Peer>) -> bool {
        by.is_some() && self.by == by
    }

    fn holds(&self) -> bool {
        !self.left && self.by.is_some_and(|peer| peer.is_alive())
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    /// Process ids mean nothing after a reboot.
    boot: Option<String>,
    claims: BTreeMap<SessionId, Claim>,
}

#[derive(Debug)]
pub(crate) struct Claims {
    path: PathBuf,
    content: Content,
}

impl Claims {
    /// What is known from before, of the same boot. Without the file, or with half of one, whoever comes first carries.
    pub(crate) fn open(dir: &Path, boot: Option<&str>) -> Self {
        let path = dir.join("carriers.json");
        let before = fs::read(&path).ok();
        let before = before.and_then(|bytes| serde_json::from_slice::<Content>(&bytes).ok());
        let same = before.filter(|before| before.boot.is_some() && before.boot.as_deref() == boot);
        let content = same.unwrap_or_else(|| Content {
            boot: boot.map(ToOwned::to_owned),
            claims: BTreeMap::new(),
        });
        Self { path, content }
    }

    /// Takes a claim on a session, which somebody who cannot be named is `connected` for or not.
    ///
    /// # Errors
    /// When the session is another's.
    pub(super) fn take(&mut self, session: &SessionId, mut claim: Claim, connected: bool) -> Result<(), NotCarrier> {
        let claims = &mut self.content.claims;
        let known = claims.get(session);
        let own = known.is_some_and(|known| known.is_of(claim.by));
        if let Some(known) = known.filter(|_| !own) {
            match known.by {
                Some(peer) if known.holds() => return Err(NotCarrier::Another(peer.pid)),
                None if connected => return Err(NotCarrier::Somebody),
                Some(_) | None => {}
            }
            let foreign = |(other, of): (&SessionId, &Claim)| {
                let descends = || Some(claim.by?.descends_from(&of.by?));
                other != session && of.holds() && descends() == Some(true)
            };
            if claims.iter().any(foreign) {
                return Err(NotCarrier::Agents);
            }
        }
        // Told late, of a run that was over when this one began.
        let later = |of: &Claim| of.is_of(claim.by) && of.run.as_str() > claim.run.as_str();
        if claims.values().any(later) {
            return Ok(());
        }
        if let Some(known) = known.filter(|known| known.run == claim.run) {
            claim.agent = claim.agent.or(known.agent);
        }
        if known == Some(&claim) {
            return Ok(());
        }
        for (other, of) in claims.iter_mut() {
            of.left |= other != session && of.is_of(claim.by);
        }
        claims.insert(session.clone(), claim);
        self.forget();
        if let Err(error) = self.write() {
            tracing::warn!(%error, "who carries a session was not written down");
        }
        Ok(())
    }

    /// Whether a process may tell that one of a session's ended.
    ///
    /// # Errors
    /// When that is the agent of a run of another process, which lives.
    pub(super) fn may_end(&self, session: &SessionId, process: ProcessId, by: Option<Peer>) -> Result<(), NotCarrier> {
        let is_its_agent = |claim: &Claim| claim.agent == Some(process);
        self.unless_anothers(session, by, is_its_agent)
    }

    /// Whether a process may tell what it saw of a session's processes.
    ///
    /// # Errors
    /// When another process, which lives, carries the session.
    pub(super) fn may_see(&self, session: &SessionId, by: Option<Peer>) -> Result<(), NotCarrier> {
        self.unless_anothers(session, by, |_| true)
    }

    fn unless_anothers(
        &self,
        session: &SessionId,
        by: Option<Peer>,
        concerns: impl Fn(&Claim) -> bool,
    ) -> Result<(), NotCarrier> {
        let claim = self.content.claims.get(session);
        let claim = claim.filter(|claim| concerns(claim) && claim.holds() && !claim.is_of(by));
        claim
            .and_then(|claim| claim.by)
            .map_or(Ok(()), |peer| Err(NotCarrier::Another(peer.pid)))
    }

    fn forget(&mut self) {
        let claims = &mut self.content.claims;
        if claims.len() <= SESSIONS_MAX {
            return;
        }
        let gone = claims.iter().filter(|(_, claim)| !claim.holds());
        let earliest = gone.min_by(|(_, a), (_, b)| a.run.as_str().cmp(b.run.as_str()));
        if let Some(session) = earliest.map(|(session, _)| session.clone()) {
            claims.remove(&session);
        }
    }

    /// Replaced whole. Not synced: after a crash of the machine no process of them is left.
    fn write(&self) -> io::Result<()> {
        let partial = self.path.with_extension("partial");
        fs::write(&partial, serde_json::to_vec(&self.content)?)?;
        fs::rename(&partial, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command};

    fn session(name: &str) -> SessionId {
        SessionId::new(name).unwrap()
    }

    fn claim(run: &str, by: Option<Peer>) -> Claim {
        Claim::new(RunId::new(run).unwrap(), by, None)
    }

    fn this() -> Option<Peer> {
        Some(Peer::running(std::process::id()))
    }

    /// A process that runs until it is killed, and descends from this one.
    fn other() -> (Child, Option<Peer>) {
        let child = Command::new("tail").args(["-f", "/dev/null"]).spawn().unwrap();
        let peer = Some(Peer::running(child.id()));
        (child, peer)
    }

    fn end(mut child: Child) {
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn open(dir: &tempfile::TempDir) -> Claims {
        Claims::open(dir.path(), Some("boot"))
    }

    #[test]
    fn a_session_is_its_carriers_while_that_lives_also_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let (child, first) = other();
        open(&dir).take(&session("s"), claim("r1", first), false).unwrap();
        let mut claims = open(&dir);
        let refused = claims.take(&session("s"), claim("r2", this()), false);
        assert!(matches!(refused, Err(NotCarrier::Another(pid)) if Some(pid) == first.map(|peer| peer.pid)));
        claims.take(&session("s"), claim("r3", first), false).unwrap();
        end(child);
        claims.take(&session("s"), claim("r2", this()), false).unwrap();
        // Of another boot, the numbers of processes say nothing.
        let mut next = Claims::open(dir.path(), Some("later"));
        let (child, other) = other();
        next.take(&session("s"), claim("r4", other), false).unwrap();
        end(child);
    }

    #[test]
    fn a_session_whose_carrier_went_on_to_another_is_free_and_a_late_word_of_it_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut claims = open(&dir);
        let (child, first) = other();
        claims.take(&session("old"), claim("r1", first), false).unwrap();
        claims.take(&session("new"), claim("r2", first), false).unwrap();
        claims.take(&session("old"), claim("r1", first), false).unwrap();
        claims.take(&session("old"), claim("r3", this()), false).unwrap();
        assert!(claims.take(&session("new"), claim("r4", this()), false).is_err());
        end(child);
    }

    #[test]
    fn what_an_agent_started_carries_no_session_that_was_anothers() {
        let dir = tempfile::tempdir().unwrap();
        let mut claims = open(&dir);
        let (dead, first) = other();
        claims.take(&session("theirs"), claim("r1", first), false).unwrap();
        end(dead);
        claims.take(&session("ours"), claim("r2", this()), false).unwrap();
        let (child, below) = other();
        let refused = claims.take(&session("theirs"), claim("r3", below), false);
        assert!(matches!(refused, Err(NotCarrier::Agents)), "{refused:?}");
        claims.take(&session("fresh"), claim("r3", below), false).unwrap();
        end(child);
    }

    #[test]
    fn somebody_who_cannot_be_named_is_not_displaced_while_connected() {
        let dir = tempfile::tempdir().unwrap();
        let mut claims = open(&dir);
        claims.take(&session("s"), claim("r1", None), false).unwrap();
        let refused = claims.take(&session("s"), claim("r2", None), true);
        assert!(matches!(refused, Err(NotCarrier::Somebody)));
        claims.take(&session("s"), claim("r2", this()), false).unwrap();
    }

    #[test]
    fn only_its_own_process_tells_of_a_runs_end() {
        let dir = tempfile::tempdir().unwrap();
        let mut claims = open(&dir);
        let (child, first) = other();
        let agent = ProcessId {
            pid: 7,
            start_ticks: 70,
        };
        let told = Claim {
            agent: Some(agent),
            ..claim("r1", first)
        };
        claims.take(&session("s"), told, false).unwrap();
        claims.take(&session("s"), claim("r1", first), false).unwrap();
        assert!(claims.may_end(&session("s"), agent, this()).is_err());
        assert!(claims.may_end(&session("s"), agent, None).is_err());
        claims.may_end(&session("s"), agent, first).unwrap();
        // Nor does any other tell what the run's processes do.
        assert!(claims.may_see(&session("s"), this()).is_err());
        assert!(claims.may_see(&session("s"), None).is_err());
        claims.may_see(&session("s"), first).unwrap();
        let another = ProcessId { pid: 8, ..agent };
        claims.may_end(&session("s"), another, this()).unwrap();
        end(child);
        claims.may_end(&session("s"), agent, this()).unwrap();
        claims.may_see(&session("s"), this()).unwrap();
    }

    #[test]
    fn those_that_are_gone_are_forgotten_first() {
        let dir = tempfile::tempdir().unwrap();
        let mut claims = open(&dir);
        claims.take(&session("kept"), claim("a", this()), false).unwrap();
        let gone = Peer {
            pid: u32::MAX - 1,
            start_ticks: Some(1),
        };
        let many = (0..SESSIONS_MAX).map(|n| (session(&format!("s{n}")), claim(&format!("r{n:05}"), Some(gone))));
        claims.content.claims.extend(many);
        claims.forget();
        assert_eq!(claims.content.claims.len(), SESSIONS_MAX);
        assert!(claims.content.claims.contains_key(&session("kept")));
        assert!(!claims.content.claims.contains_key(&session("s0")));
    }
}
