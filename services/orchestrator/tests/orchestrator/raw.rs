//! The hub's bare protocol: for what no service of ours ever does, like deleting a stream under another.

use serde_json::Value;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Asks once; `None` when nobody listens there.
pub(crate) async fn request(url: &str, subject: &str, body: &str) -> Option<Value> {
    let address = url.trim_start_matches("nats://");
    let mut hub = BufReader::new(TcpStream::connect(address).await.unwrap());
    let options = r#"CONNECT {"verbose":false,"headers":true,"no_responders":true}"#;
    let bytes = body.len();
    let lines = format!("{options}\r\nSUB raw.answer 1\r\nPUB {subject} raw.answer {bytes}\r\n{body}\r\n");
    hub.write_all(lines.as_bytes()).await.unwrap();
    loop {
        let mut line = String::new();
        timeout(Duration::from_secs(10), hub.read_line(&mut line))
            .await
            .unwrap()
            .unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["PING"] => hub.write_all(b"PONG\r\n").await.unwrap(),
            // Headers come only with the word that nobody listens.
            ["HMSG", ..] => return None,
            ["MSG", .., bytes] => {
                let mut body = vec![0; bytes.parse().unwrap()];
                hub.read_exact(&mut body).await.unwrap();
                return Some(serde_json::from_slice(&body).unwrap());
            }
            _ => {}
        }
    }
}

/// Asks JetStream something that has to succeed.
pub(crate) async fn command(url: &str, subject: &str, body: &str) {
    let answer = request(url, subject, body).await.unwrap();
    assert!(answer.get("error").is_none(), "{answer}");
}
