//! Several servers that replicate, for what only happens between them.

use std::time::Duration;

use muster_bus::server::get_json;

use crate::eventually::eventually;
use crate::nats::TestServer;
use crate::process::free_port;

/// An election among fresh servers takes some seconds, on a loaded machine more.
const ELECTION: Duration = Duration::from_secs(60);

/// Servers that form one cluster.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<TestServer>,
}

impl Cluster {
    /// Starts `size` servers and waits until they have elected a leader and all see it.
    ///
    /// # Panics
    /// When that does not happen within a minute.
    pub async fn start(size: usize) -> Self {
        let ports: Vec<u16> = (0..size).map(|_| free_port()).collect();
        let routes: Vec<String> = ports
            .iter()
            .map(|port| format!("\"nats://127.0.0.1:{port}\""))
            .collect();
        let routes = routes.join(", ");
        let mut nodes = Vec::with_capacity(size);
        for (index, port) in ports.iter().enumerate() {
            let extra = format!("cluster {{ name: muster, listen: \"127.0.0.1:{port}\", routes: [{routes}] }}");
            let node = TestServer::start_with(|config| {
                config.name = format!("n{}", index + 1);
                config.extra = extra;
            });
            nodes.push(node.await);
        }
        let cluster = Self { nodes };
        cluster.healthy().await;
        cluster
    }

    /// Waits until every server is healthy and sees the leader of the cluster.
    ///
    /// # Panics
    /// When that does not happen within a minute.
    pub async fn healthy(&self) {
        for node in &self.nodes {
            eventually(ELECTION, async || {
                get_json(&node.monitor_url(), "/healthz")
                    .await
                    .map_err(|error| error.to_string())?;
                leader_seen_by(node, self.nodes.len()).await
            })
            .await;
        }
    }

    /// Index of the server that leads the cluster, as a follower sees it.
    ///
    /// # Panics
    /// When there is none within a minute.
    pub async fn leader(&self) -> usize {
        eventually(ELECTION, async || {
            for node in &self.nodes {
                if let Ok(name) = leader_seen_by(node, self.nodes.len()).await {
                    return self.nodes.iter().position(|node| node.config().name == name);
                }
            }
            None
        })
        .await
    }

    /// Where clients connect, separated by commas.
    #[must_use]
    pub fn client_urls(&self) -> String {
        self.nodes
            .iter()
            .map(TestServer::client_url)
            .collect::<Vec<_>>()
            .join(",")
    }

    /// One of the servers.
    #[must_use]
    pub fn node(&self, index: usize) -> &TestServer {
        &self.nodes[index]
    }

    /// One of the servers, to kill, pause or restart it.
    pub fn node_mut(&mut self, index: usize) -> &mut TestServer {
        &mut self.nodes[index]
    }
}

async fn leader_seen_by(node: &TestServer, size: usize) -> Result<String, String> {
    let jsz = get_json(&node.monitor_url(), "/jsz")
        .await
        .map_err(|error| error.to_string())?;
    let meta = &jsz["meta_cluster"];
    match meta["leader"].as_str() {
        Some(leader) if !leader.is_empty() && meta["cluster_size"] == size => Ok(leader.to_owned()),
        _ => Err(meta.to_string()),
    }
}
