//! The server module against the real server: started, stopped, killed, frozen, adopted, clustered.

use std::net::TcpListener;
use std::time::Duration;

use muster_bus::server::{Running, Server, ServerConfig, StartError, get_json, sync_always};
use muster_testkit::nats::server_bin;
use muster_testkit::{Cluster, TestServer, eventually};

#[tokio::test]
async fn a_server_syncs_always_and_has_raised_batch_limits() {
    let server = TestServer::start().await;
    assert!(sync_always(&server.monitor_url()).await.unwrap());
    let jsz = get_json(&server.monitor_url(), "/jsz").await.unwrap();
    assert_eq!(jsz["limits"]["max_batch_inflight_per_stream"], 256);
    assert_eq!(jsz["limits"]["max_batch_inflight_total"], 4096);
}

#[tokio::test]
async fn a_server_with_default_sync_is_told_apart() {
    let server = TestServer::start_with(|config| config.sync_always = false).await;
    assert!(!sync_always(&server.monitor_url()).await.unwrap());
}

#[tokio::test]
async fn a_killed_server_comes_back_on_its_ports() {
    let mut server = TestServer::start().await;
    let (url, monitor, pid) = (server.client_url(), server.monitor_url(), server.pid());
    server.kill9().await;
    assert!(sync_always(&monitor).await.is_err());
    server.restart().await;
    assert_eq!((server.client_url(), server.monitor_url()), (url, monitor));
    assert_ne!(server.pid(), pid);
    assert!(sync_always(&server.monitor_url()).await.unwrap());
}

#[tokio::test]
async fn a_paused_server_answers_after_it_is_resumed() {
    let mut server = TestServer::start().await;
    let monitor = server.monitor_url();
    server.pause();
    let asked = tokio::time::timeout(Duration::from_millis(200), sync_always(&monitor)).await;
    assert!(asked.is_err(), "it answered while paused: {asked:?}");
    server.resume();
    assert!(sync_always(&monitor).await.unwrap());
    server.pause();
    server.stop().await;
}

#[tokio::test]
async fn a_held_port_is_refused_by_the_name_of_its_holder() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let config = ServerConfig {
        listen: listener.local_addr().unwrap(),
        ..ServerConfig::new(dir.path())
    };
    let refused = Server::start(&server_bin(), config).await.unwrap_err();
    assert!(matches!(&refused, StartError::PortHeld { .. }), "{refused}");
    assert!(
        refused.to_string().contains(&format!("pid {}", std::process::id())),
        "{refused}"
    );
}

#[tokio::test]
async fn a_server_that_gives_up_shows_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let config = ServerConfig {
        extra: "no_such_key: 1".to_owned(),
        ..ServerConfig::new(dir.path())
    };
    let refused = Server::start(&server_bin(), config).await.unwrap_err();
    assert!(refused.to_string().contains("no_such_key"), "{refused}");
}

#[tokio::test]
async fn an_orphan_is_adopted_with_its_ports_and_can_be_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let config = ServerConfig::new(dir.path());
    let first = Server::start(&server_bin(), config.clone()).await.unwrap();
    let (pid, url) = (first.pid(), first.client_url());
    drop(first);

    let mut adopted = Server::adopt_or_start(&server_bin(), config.clone()).await.unwrap();
    assert!(adopted.is_adopted());
    assert_eq!((adopted.pid(), adopted.client_url()), (pid, url));

    adopted.stop(Duration::from_secs(10)).await.unwrap();
    assert_eq!(Running::find(adopted.config()), None);
    assert!(!adopted.is_running());
}

#[tokio::test]
async fn an_orphan_with_another_configuration_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let config = ServerConfig::new(dir.path());
    let first = Server::start(&server_bin(), config.clone()).await.unwrap();
    let pid = first.pid();
    drop(first);

    let changed = ServerConfig {
        batches_per_stream: 99,
        ..config
    };
    let mut second = Server::adopt_or_start(&server_bin(), changed).await.unwrap();
    assert_ne!(second.pid(), pid);
    let jsz = get_json(&second.monitor_url(), "/jsz").await.unwrap();
    assert_eq!(jsz["limits"]["max_batch_inflight_per_stream"], 99);
    second.kill9().unwrap();
}

#[tokio::test]
async fn another_process_with_the_recorded_pid_is_not_adopted() {
    let dir = tempfile::tempdir().unwrap();
    let config = ServerConfig::new(dir.path().canonicalize().unwrap());
    let mut first = Server::start(&server_bin(), config.clone()).await.unwrap();
    assert!(Running::find(first.config()).is_some());
    first.kill9().unwrap();
    first.exited().await;
    std::fs::write(dir.path().join("nats.pid"), std::process::id().to_string()).unwrap();
    assert_eq!(Running::find(&config), None);
}

#[tokio::test]
async fn a_cluster_elects_another_leader_when_one_is_killed() {
    let mut cluster = Cluster::start(3).await;
    let first = cluster.leader().await;
    cluster.node_mut(first).kill9().await;
    eventually(Duration::from_secs(60), async || {
        let now = cluster.leader().await;
        if now == first { Err(now) } else { Ok(now) }
    })
    .await;
    cluster.node_mut(first).restart().await;
    cluster.healthy().await;
}
