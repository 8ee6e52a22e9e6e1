use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tower::ServiceExt;

use super::*;
use crate::drain::Drain;

/// Method or path, headers, expected status.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], u16);

const SOON: Duration = Duration::from_secs(5);

fn config(listen: &str) -> Config {
    Config::on(listen.parse().unwrap())
}

fn with_token(listen: &str) -> (tempfile::TempDir, Config) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "s3cret\n").unwrap();
    (
        folder,
        Config {
            token_file: Some(SecretFile::new(path)),
            ..config(listen)
        },
    )
}

async fn ask(router: &Router, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    router
        .clone()
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap()
}

fn guarded(config: &Config) -> Router {
    let router = Router::new()
        .route("/x", get(|| async { "x" }).post(|| async { "x" }))
        .route("/readyz", get(|| async {}));
    Guard::new(config).unwrap().protect(router)
}

#[tokio::test]
async fn only_known_hosts_and_origins_may_call() {
    let router = guarded(&Config {
        allowed_hosts: vec!["ingest".into(), "hub.example:443".into()],
        allowed_origins: vec!["https://console.example".into()],
        ..config("127.0.0.1:4180")
    });
    let host = ("host", "127.0.0.1:4180");
    let cross = ("sec-fetch-site", "cross-site");
    let table: &[Case<'_>] = &[
        ("GET", &[host], 200),
        ("GET", &[("host", "localhost:4180")], 200),
        ("GET", &[("host", "LOCALHOST")], 200),
        ("GET", &[("host", "[::1]:4180")], 200),
        ("GET", &[("host", "127.0.0.1:14180")], 200),
        ("GET", &[("host", "ingest:4180")], 200),
        ("GET", &[("host", "hub.example:443")], 200),
        ("GET", &[("host", "hub.example:80")], 403),
        ("GET", &[("host", "evil.example:4180")], 403),
        ("GET", &[("host", "localhost.evil.example")], 403),
        ("GET", &[("host", "localhost@evil.example")], 403),
        ("GET", &[], 403),
        ("GET", &[host, ("host", "localhost")], 403),
        ("POST", &[host, ("origin", "http://127.0.0.1:4180")], 200),
        ("POST", &[host, ("origin", "https://console.example"), cross], 200),
        ("POST", &[host, ("origin", "http://127.0.0.1:3000")], 403),
        ("POST", &[host, ("origin", "https://evil.example")], 403),
        ("POST", &[host, ("origin", "null")], 403),
        ("GET", &[host, cross, ("sec-fetch-mode", "no-cors")], 403),
        ("GET", &[host, cross, ("sec-fetch-mode", "navigate")], 200),
        ("POST", &[host, cross, ("sec-fetch-mode", "navigate")], 403),
        ("POST", &[host, ("sec-fetch-site", "same-origin")], 200),
    ];
    for (method, headers, expected) in table {
        let status = ask(&router, method, "/x", headers).await.status();
        assert_eq!(status.as_u16(), *expected, "{method} {headers:?}");
    }
}

#[tokio::test]
async fn a_request_line_cannot_name_another_host_than_the_header() {
    let router = guarded(&config("127.0.0.1:4180"));
    let host = [("host", "localhost:4180")];
    assert_eq!(
        ask(&router, "GET", "http://localhost:4180/x", &host).await.status(),
        StatusCode::OK
    );
    assert_eq!(
        ask(&router, "GET", "http://evil.example/x", &host).await.status(),
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn a_token_is_asked_for_where_one_is_set() {
    let (_folder, config) = with_token("0.0.0.0:4180");
    let router = guarded(&config);
    let host = ("host", "127.0.0.1:4180");
    let table: &[Case<'_>] = &[
        ("/x", &[host], 401),
        ("/x", &[host, ("authorization", "Bearer wrong")], 401),
        ("/x", &[host, ("authorization", "Basic s3cret")], 401),
        ("/x", &[host, ("authorization", "Bearer s3cret")], 200),
        ("/x", &[host, ("authorization", "bearer s3cret")], 200),
        ("/unknown", &[host], 401),
        ("/readyz", &[host], 200),
        ("/readyz", &[("host", "evil.example")], 403),
    ];
    for (path, headers, expected) in table {
        assert_eq!(
            ask(&router, "GET", path, headers).await.status().as_u16(),
            *expected,
            "{path} {headers:?}"
        );
    }
    let refused = ask(&router, "GET", "/x", &[host]).await;
    assert_eq!(refused.headers()["www-authenticate"], "Bearer");
}

#[tokio::test]
async fn a_route_that_judges_a_token_of_its_own_is_not_asked_for_the_services() {
    let (_folder, config) = with_token("0.0.0.0:4180");
    let guard = Guard::new(&config)
        .unwrap()
        .except(|method, path| method == "POST" && path == "/x");
    assert!(guard.is_service_token("s3cret") && !guard.is_service_token("other"));
    let router = guard.protect(Router::new().route("/x", get(|| async { "x" }).post(|| async { "x" })));
    let host = ("host", "127.0.0.1:4180");
    let table: &[Case<'_>] = &[
        ("POST", &[host], 200),
        ("POST", &[host, ("authorization", "Bearer other")], 200),
        ("POST", &[("host", "evil.example")], 403),
        ("POST", &[host, ("origin", "https://evil.example")], 403),
        ("GET", &[host], 401),
        ("GET", &[host, ("authorization", "Bearer s3cret")], 200),
    ];
    for (method, headers, expected) in table {
        let status = ask(&router, method, "/x", headers).await.status();
        assert_eq!(status.as_u16(), *expected, "{method} {headers:?}");
    }
}

#[test]
fn an_open_address_without_a_token_is_a_configuration_error() {
    let open = Config {
        token_file: Some(SecretFile::new("")),
        ..config("0.0.0.0:4180")
    };
    let error = Guard::new(&open).unwrap_err().to_string();
    assert!(
        error.contains("0.0.0.0:4180") && error.contains("http.token_file"),
        "{error}"
    );
    Guard::new(&config("127.0.0.1:4180")).unwrap();
}

#[tokio::test]
async fn refusals_are_problem_documents() {
    let router = guarded(&config("127.0.0.1:4180"));
    let host = ("host", "localhost");
    for (method, path, status) in [("GET", "/nowhere", 404), ("DELETE", "/x", 405)] {
        let response = ask(&router, method, path, &[host]).await;
        assert_eq!(
            (response.status().as_u16(), &response.headers()["content-type"]),
            (status, &"application/problem+json".parse().unwrap())
        );
        let body: serde_json::Value =
            serde_json::from_slice(&to_bytes(response.into_body(), 4096).await.unwrap()).unwrap();
        assert_eq!(body["status"], status);
        assert!(body["type"].as_str().unwrap().starts_with("urn:muster:problem:"));
    }
    let busy =
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "spool-full", "later").retry_after(Duration::from_millis(1200));
    assert_eq!(busy.into_response().headers()["retry-after"], "2");
}

#[test]
fn only_declared_content_types_are_taken() {
    let accepted = ["application/json", "application/x-ndjson"];
    let declared = |value: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", value.parse().unwrap());
        content_type(&headers, &accepted)
    };
    assert_eq!(declared("application/json"), Ok("application/json"));
    assert_eq!(
        declared("Application/X-NDJSON; charset=UTF-8"),
        Ok("application/x-ndjson")
    );
    for refused in [
        "text/plain",
        "application/json; charset=latin1",
        "application/jsonx",
        "",
    ] {
        assert_eq!(
            declared(refused).unwrap_err().status(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "{refused}"
        );
    }
    assert!(content_type(&HeaderMap::new(), &accepted).is_err());
}

struct Running {
    address: SocketAddr,
    drain: Drain,
}

async fn running(tune: impl FnOnce(&mut Config)) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut config = Config::on(address);
    tune(&mut config);
    let read = async |State(config): State<Config>, body: Body| read_body(body, &config).await;
    let router = Router::new()
        .route("/read", post(read))
        .route("/x", get(|| async { "x" }))
        .with_state(config.clone());
    let drain = Drain::new();
    let serving = drain.clone();
    drain.part("http", async move { serve(listener, router, &config, &serving).await });
    Running { address, drain }
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn send(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        stream
    }

    async fn is_well(&self) {
        let answer = until_closed(
            self.send(b"GET /x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                .await,
        )
        .await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

async fn until_closed(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset is a close as well.
    let _ = timeout(SOON, stream.read_to_end(&mut answer))
        .await
        .expect("the connection stayed open");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_slow_head_is_closed() {
    let server = running(|config| config.header_timeout = Duration::from_millis(50).into()).await;
    let answer = until_closed(server.send(b"GET /x HTTP/1.1\r\nhost: x\r\nx-drip: ").await).await;
    assert!(!answer.contains(" 200 "), "{answer}");
    until_closed(server.connect().await).await;
    server.is_well().await;
}

#[tokio::test]
async fn a_slow_body_gets_408() {
    let server = running(|config| config.body_timeout = Duration::from_millis(50).into()).await;
    let answer = until_closed(
        server
            .send(b"POST /read HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc")
            .await,
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    server.is_well().await;
}

#[tokio::test]
async fn a_body_over_the_cap_gets_413_announced_or_not() {
    let server = running(|config| config.max_body = ByteSize::b(8)).await;
    let fits = b"POST /read HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 8\r\n\r\n12345678";
    assert!(until_closed(server.send(fits).await).await.ends_with("12345678"));
    let announced = b"POST /read HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 9\r\n\r\n123456789";
    assert!(
        until_closed(server.send(announced).await)
            .await
            .starts_with("HTTP/1.1 413")
    );
    let chunked = b"POST /read HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n9\r\n123456789\r\n0\r\n\r\n";
    assert!(
        until_closed(server.send(chunked).await)
            .await
            .starts_with("HTTP/1.1 413")
    );
    let endless = b"POST /read HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n123456789";
    assert!(
        until_closed(server.send(endless).await)
            .await
            .starts_with("HTTP/1.1 413")
    );
    server.is_well().await;
}

#[tokio::test]
async fn one_connection_too_many_is_told_to_come_back() {
    let server = running(|config| config.max_connections = 1).await;
    let mut first = server.send(b"GET /x HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut byte = [0];
    first.read_exact(&mut byte).await.unwrap();
    let answer = until_closed(server.connect().await).await;
    assert!(
        answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_drain_closes_idle_connections_and_ends_the_loop() {
    let server = running(|_| ()).await;
    let mut idle = server.send(b"GET /x HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut byte = [0];
    idle.read_exact(&mut byte).await.unwrap();
    server.drain.request();
    server.drain.finish(SOON).await.unwrap();
    until_closed(idle).await;
}
