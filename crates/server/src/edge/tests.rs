//! The accept loop over real sockets, with short times.

use std::net::SocketAddr;
use std::path::Path;

use axum::extract::Request;
use axum::routing::{get, post};
use axum::{Extension, Router};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::*;

const A_WHILE: Duration = Duration::from_secs(10);

struct Running {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

async fn start(edge: Edge) -> Running {
    let app = Router::new()
        .route("/", get(async || "hello"))
        .route("/livez", get(async || "ok"))
        .route(
            "/slow",
            get(async || {
                sleep(Duration::from_millis(600)).await;
                "late"
            }),
        )
        .route("/read", post(async |body: String| body.len().to_string()))
        .route("/large", get(async || vec![b'x'; 32 << 20]))
        .route(
            "/who",
            get(async |Extension(client): Extension<ClientAddress>, Extension(external): Extension<External>| {
                format!("{} {}", client.0, external.https)
            }),
        )
        .fallback(async |request: Request| request.uri().to_string());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    Running { address, stop, task: tokio::spawn(accept(listener, app, Arc::new(edge), stopped)) }
}

fn limits() -> Limits {
    Limits { head_time: Duration::from_millis(300), idle_time: Duration::from_millis(900), ..Limits::default() }
}

async fn connect(running: &Running) -> TcpStream {
    TcpStream::connect(running.address).await.unwrap()
}

/// Everything until the server closes.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset is an end as well.
    drop(timeout(A_WHILE, stream.read_to_end(&mut bytes)).await.expect("the server closes"));
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn ask(running: &Running, request: &str) -> String {
    let mut stream = connect(running).await;
    stream.write_all(request.as_bytes()).await.unwrap();
    rest(&mut stream).await
}

async fn get_closing(running: &Running, path: &str, headers: &str) -> String {
    ask(running, &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n")).await
}

#[tokio::test]
async fn slow_heads_and_silent_connections_are_cut_and_others_are_not() {
    let running = start(Edge { limits: limits(), ..Edge::default() }).await;
    let begun = Instant::now();
    let mut trickling = connect(&running).await;
    let trickle = tokio::spawn(async move {
        for byte in b"GET / HTTP/1.1\r\nhost: x\r\nx-slow: ".iter().chain(std::iter::repeat_n(&b'x', 100)) {
            if trickling.write_all(&[*byte]).await.is_err() {
                return true;
            }
            sleep(Duration::from_millis(50)).await;
        }
        false
    });
    let mut silent = connect(&running).await;
    assert_eq!(rest(&mut silent).await, "");
    assert!(begun.elapsed() < Duration::from_millis(800), "{:?}", begun.elapsed());
    assert!(trickle.await.unwrap(), "a head that comes byte by byte is cut");
    // A request at work takes longer than a head may.
    assert!(get_closing(&running, "/slow", "").await.ends_with("late"));
}

#[tokio::test]
async fn an_idle_connection_is_kept_for_its_time_and_then_closed() {
    let running = start(Edge { limits: limits(), ..Edge::default() }).await;
    let mut stream = connect(&running).await;
    let mut buffer = [0; 4_096];
    for _ in 0..3 {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        assert!(stream.read(&mut buffer).await.unwrap() > 0);
        sleep(Duration::from_millis(500)).await;
    }
    let begun = Instant::now();
    assert_eq!(rest(&mut stream).await, "");
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn who_does_not_read_the_answer_is_cut() {
    let running = start(Edge { limits: limits(), ..Edge::default() }).await;
    let mut stream = connect(&running).await;
    stream.write_all(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    sleep(Duration::from_secs(3)).await;
    assert!(rest(&mut stream).await.len() < 32 << 20);
}

#[tokio::test]
async fn heads_have_limits_and_bodies_arrive() {
    let running = start(Edge::default()).await;
    let large = format!("x-large: {}\r\n", "x".repeat(HEAD_BYTES));
    assert!(get_closing(&running, "/", &large).await.starts_with("HTTP/1.1 431"));
    let many: String = (0..101).map(|number| format!("x-{number}: 1\r\n")).collect();
    assert!(get_closing(&running, "/", &many).await.starts_with("HTTP/1.1 431"));
    let body = "y".repeat(1 << 20);
    let request =
        format!("POST /read HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", 1 << 20);
    assert!(ask(&running, &request).await.ends_with("1048576"));
    let answer = get_closing(&running, "/", "origin: https://evil.example\r\n").await.to_lowercase();
    for header in ["x-content-type-options: nosniff", "content-security-policy: default-src 'none'", "no-store"] {
        assert!(answer.contains(header), "{answer}");
    }
    for header in ["\nserver:", "access-control", "strict-transport"] {
        assert!(!answer.contains(header), "{answer}");
    }
}

#[tokio::test]
async fn more_connections_than_seats_wait_their_turn() {
    let limits = Limits { connections: 2, ..limits() };
    let running = start(Edge { limits, ..Edge::default() }).await;
    let (first, _second) = (connect(&running).await, connect(&running).await);
    sleep(Duration::from_millis(50)).await;
    let mut third = connect(&running).await;
    third.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(timeout(Duration::from_millis(100), third.read_u8()).await.is_err(), "there is no seat");
    drop(first);
    assert!(rest(&mut third).await.ends_with("ello"));
}

#[tokio::test]
async fn a_stop_answers_what_is_at_work_and_closes_what_is_idle() {
    let running = start(Edge::default()).await;
    let mut idle = connect(&running).await;
    idle.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut buffer = [0; 4_096];
    assert!(idle.read(&mut buffer).await.unwrap() > 0);
    let mut working = connect(&running).await;
    working.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    sleep(Duration::from_millis(100)).await;
    running.stop.send(true).unwrap();
    assert_eq!(rest(&mut idle).await, "");
    assert!(rest(&mut working).await.ends_with("late"));
    timeout(A_WHILE, running.task).await.unwrap().unwrap();
    assert!(TcpStream::connect(running.address).await.is_err());
}

#[tokio::test]
async fn the_caller_is_the_peer_unless_a_trusted_proxy_names_another() {
    let spoof = "x-forwarded-for: 192.0.2.1\r\nx-forwarded-proto: https\r\n";
    let direct = start(Edge::default()).await;
    assert!(get_closing(&direct, "/who", spoof).await.ends_with("127.0.0.1 false"));
    let trust = Trust { proxies: parse_networks("127.0.0.1").unwrap(), ..Trust::default() };
    let proxied = start(Edge { trust, ..Edge::default() }).await;
    let answer = get_closing(&proxied, "/who", spoof).await;
    assert!(answer.ends_with("192.0.2.1 true") && answer.contains("strict-transport-security"), "{answer}");
}

fn write_certificate(folder: &Path, name: &str) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(folder.join("certificate.pem"), made.cert.pem()).unwrap();
    CertificateDer::from_pem_slice(made.cert.pem().as_bytes()).unwrap()
}

/// A handshake with a client that trusts one certificate, and a request over it.
async fn secured(running: &Running, trusted: &CertificateDer<'static>, name: &'static str) -> Result<String, String> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = connect(running).await;
    let mut stream = connector.connect(name.try_into().unwrap(), stream).await.map_err(|error| error.to_string())?;
    stream.write_all(b"GET /who HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut text = String::new();
    timeout(A_WHILE, stream.read_to_string(&mut text)).await.unwrap().unwrap();
    Ok(text)
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_change_while_the_server_runs_and_slow_handshakes_hold_up_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let first = write_certificate(folder.path(), "one.example");
    let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
    let tls = Some(Arc::new(Tls::open(&certificate, &key).unwrap()));
    let limits = Limits { handshake_time: Duration::from_millis(500), ..Limits::default() };
    let running = start(Edge { tls, limits, ..Edge::default() }).await;
    let mut slow = Vec::new();
    for _ in 0..100 {
        slow.push(connect(&running).await);
    }
    let begun = Instant::now();
    let answer = secured(&running, &first, "one.example").await.unwrap();
    assert!(begun.elapsed() < Duration::from_millis(400), "{:?}", begun.elapsed());
    assert!(answer.ends_with("127.0.0.1 true") && answer.contains("strict-transport-security"), "{answer}");
    for mut stream in slow {
        assert_eq!(rest(&mut stream).await, "");
    }
    // Plain HTTP is no handshake.
    assert!(!get_closing(&running, "/", "").await.contains("HTTP/1.1 200"));
    std::fs::write(&certificate, "broken").unwrap();
    sleep(Duration::from_millis(2_500)).await;
    secured(&running, &first, "one.example").await.unwrap();
    let second = write_certificate(folder.path(), "two.example");
    let mut last = Err(String::new());
    for _ in 0..50 {
        last = secured(&running, &second, "two.example").await;
        if last.is_ok() {
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    last.unwrap();
    assert!(secured(&running, &first, "one.example").await.is_err(), "the old one is gone");
}
