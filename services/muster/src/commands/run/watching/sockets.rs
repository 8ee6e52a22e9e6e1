//! What one process did on the network, from the sockets that it has.

use super::snapshot::Endpoint;
use std::collections::{BTreeMap, BTreeSet};

/// How often a socket is looked up that the kernel does not list as one of TCP: most never will be (Unix, UDP), and the list
/// is as long as the machine has connections. Half a second, after which hardly any begins to connect or to listen.
const LOOKS: u8 = 10;

/// The sockets that a process has, and how often each was looked up in vain.
#[derive(Debug, Clone, Default)]
pub(super) struct Sockets(BTreeMap<u64, u8>);

impl Sockets {
    pub(super) fn contains(&self, inode: u64) -> bool {
        self.0.contains_key(&inode)
    }

    /// Whether one of these has to be looked up.
    pub(super) fn asks(&self, now: &[u64]) -> bool {
        now.iter()
            .any(|inode| self.0.get(inode).is_none_or(|looks| *looks < LOOKS))
    }

    /// Takes the sockets there are now; those that are new and `given` are not the process's doing. Gives back those that
    /// were found.
    pub(super) fn take(
        &mut self,
        now: &[u64],
        endpoints: &BTreeMap<u64, Endpoint>,
        given: impl Fn(u64) -> bool,
    ) -> Vec<Endpoint> {
        let there: BTreeSet<u64> = now.iter().copied().collect();
        self.0.retain(|inode, _| there.contains(inode));
        let mut found = Vec::new();
        for inode in now {
            let looks = self
                .0
                .entry(*inode)
                .or_insert_with(|| if given(*inode) { LOOKS } else { 0 });
            if *looks == LOOKS {
                continue;
            }
            match endpoints.get(inode) {
                Some(endpoint) => {
                    *looks = LOOKS;
                    found.push(*endpoint);
                }
                None => *looks += 1,
            }
        }
        found
    }
}

/// Ports that somebody of the run listens at: a connection that has its near end there was accepted, not made.
#[derive(Debug, Clone, Default)]
pub(super) struct Ports(BTreeSet<u16>);

impl Ports {
    pub(super) fn note(&mut self, endpoints: &BTreeMap<u64, Endpoint>) {
        for endpoint in endpoints.values() {
            if let Endpoint::Listening(address) = endpoint {
                self.0.insert(address.port());
            }
        }
    }

    pub(super) fn accepted(&self, port: u16) -> bool {
        self.0.contains(&port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_found_once_and_looked_for_no_longer_than_it_may_be_found() {
        let listening = Endpoint::Listening("127.0.0.1:80".parse().unwrap());
        let mut sockets = Sockets::default();
        let none = BTreeMap::new();
        assert!(sockets.asks(&[1]));
        assert_eq!(sockets.take(&[1, 2], &none, |_| false), []);
        let listed = BTreeMap::from([(1, listening)]);
        assert_eq!(sockets.take(&[1, 2], &listed, |_| false), [listening]);
        assert!(!sockets.asks(&[1]) && sockets.asks(&[2]));
        for _ in 0..LOOKS {
            assert_eq!(sockets.take(&[1, 2], &listed, |_| false), []);
        }
        assert!(!sockets.asks(&[1, 2]));
        // The number is another socket's once it was gone.
        sockets.take(&[], &none, |_| false);
        assert_eq!(sockets.take(&[1], &listed, |_| false), [listening]);
    }

    #[test]
    fn a_socket_that_was_given_is_not_the_process_s() {
        let listed = BTreeMap::from([(1, Endpoint::Listening("[::]:80".parse().unwrap()))]);
        let mut sockets = Sockets::default();
        assert_eq!(sockets.take(&[1], &listed, |_| true), []);
        assert!(!sockets.asks(&[1]));
    }
}
