//! The server faces a network: TLS, proxies, slow and oversized callers, and what every answer carries.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use reqwest::Response;

use crate::support::{KEY, Server, gift_club, guerdon, http_client, init};

/// Sends bytes and reads until the server closes.
fn exchange(server: &Server, request: &str) -> String {
    let mut stream = TcpStream::connect(server.address.split_once("://").unwrap().1).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    // A reset is an end as well.
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

fn write_certificate(folder: &Path) -> reqwest::Certificate {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(folder.join("certificate.pem"), made.cert.pem()).unwrap();
    reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap()
}

/// A client that trusts one certificate and keeps no connection.
fn trusting(certificate: reqwest::Certificate) -> reqwest::Client {
    http_client().tls_certs_only([certificate]).pool_max_idle_per_host(0).build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_is_faced_with_tls_and_certificates_change_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let one = write_certificate(folder.path());
    let first = trusting(one.clone());
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (certificate, key) = (file("certificate.pem"), file("key.pem"));
    let tls = ["--tls-certificate", &certificate, "--tls-key", &key, "--public-url", "https://loyalty.example"];
    let server = Server::start_with(&data, &[&tls[..], &["--listen", "0.0.0.0:0"]].concat());
    let address = server.address.replace("0.0.0.0", "127.0.0.1");
    assert!(address.starts_with("https://"), "{address}");
    let answer = first.get(format!("{address}/readyz")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(header(&answer, "strict-transport-security").starts_with("max-age="));
    let second = trusting(write_certificate(folder.path()));
    let started = Instant::now();
    while second.get(format!("{address}/readyz")).send().await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(15), "the new certificate is not used");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // Who was here before resumes without a certificate; a newcomer who trusts the old one meets another.
    assert!(trusting(one).get(format!("{address}/readyz")).send().await.is_err(), "the old certificate is gone");
}

#[test]
fn what_would_travel_in_the_clear_is_refused_before_anything_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let serve = |more: &[&str]| guerdon(&[&["serve", "--data-dir", data.to_str().unwrap()], more].concat());
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8080"] {
        let (code, _, error) = serve(&["--listen", address]);
        assert!(code == 1 && error.contains("--tls-certificate") && error.contains("--trusted-proxy"), "{error}");
    }
    let (code, _, error) = serve(&["--public-url", "http://loyalty.example"]);
    assert!(code == 2 && error.contains("in the clear"), "{error}");
    let (code, _, error) = serve(&["--trusted-proxy", "10.0.0.0/99"]);
    assert!(code == 1 && error.contains("10.0.0.0/99"), "{error}");
    let (code, _, error) = serve(&["--tls-certificate", "nothing.pem", "--tls-key", "nothing.key"]);
    assert!(code == 1 && error.contains("nothing.pem"), "{error}");
    let (code, _, error) = serve(&["--tls-certificate", "nothing.pem"]);
    assert!(code == 2 && error.contains("--tls-key"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_names_the_caller_only_where_it_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let said = [("x-forwarded-for", "192.0.2.1"), ("x-forwarded-proto", "https")];
    let transport = async |server: &Server| {
        let mut request = server.client.get(format!("{}/readyz", server.address.replace("0.0.0.0", "127.0.0.1")));
        for (name, value) in said {
            request = request.header(name, value);
        }
        header(&request.send().await.unwrap(), "strict-transport-security").to_owned()
    };
    let server = Server::start(&data);
    assert_eq!(transport(&server).await, "", "anybody can write these headers");
    drop(server);
    let server = Server::start_with(&data, &["--trusted-proxy", "127.0.0.1", "--listen", "0.0.0.0:0"]);
    assert!(transport(&server).await.starts_with("max-age="));
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_oversized_callers_are_cut_and_every_answer_is_surrounded() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let contact = ["--security-contact", "mailto:security@loyalty.example", "--head-time", "1"];
    let server = Server::start_with(&data, &contact);
    let started = Instant::now();
    assert_eq!(exchange(&server, "GET / HTTP/1.1\r\nhost: x\r\nx-slow: "), "");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    let large = format!("GET / HTTP/1.1\r\nhost: x\r\nx-large: {}\r\n\r\n", "x".repeat(33_000));
    assert!(exchange(&server, &large).starts_with("HTTP/1.1 431"));
    for (path, kind) in [
        ("/console", "text/html"),
        ("/docs", "text/html"),
        ("/v1/members/nobody", "application/problem+json"),
        ("/nowhere", "application/problem+json"),
        ("/robots.txt", "text/plain"),
        ("/assets/console.css", "text/css"),
    ] {
        let answer = server.client.get(format!("{}{path}", server.address)).send().await.unwrap();
        assert!(header(&answer, "content-type").starts_with(kind), "{path}");
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header(&answer, "x-frame-options"), "DENY", "{path}");
        assert_eq!(header(&answer, "referrer-policy"), "same-origin", "{path}");
        assert_eq!(header(&answer, "cross-origin-resource-policy"), "same-origin", "{path}");
        let policy = header(&answer, "content-security-policy");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        let kept = header(&answer, "cache-control");
        assert_eq!(kept == "no-store", !path.contains('.'), "{path}: {kept}");
        for absent in ["server", "x-powered-by", "access-control-allow-origin", "strict-transport-security"] {
            assert_eq!(header(&answer, absent), "", "{path}: {absent}");
        }
    }
    for path in ["/v1/members", "/console", "/oauth/token", "/livez"] {
        let answer =
            exchange(&server, &format!("TRACE {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-secret: y\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 405") && !answer.contains("x-secret"), "{path}: {answer}");
    }
    let (status, text) = server.text("/.well-known/security.txt").await;
    assert_eq!(status, 200);
    assert!(text.starts_with("Contact: mailto:security@loyalty.example\nExpires: 2"), "{text}");
    drop(server);
    let server = Server::start(&data);
    assert_eq!(server.text("/.well-known/security.txt").await.0, 404);
}

/// An address that passes requests on to a server with the stories' key, one on each connection.
fn bringing_the_key(address: &str) -> String {
    let server = address.split_once("://").unwrap().1.to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for browser in listener.incoming() {
            let (mut browser, mut server) = (browser.unwrap(), TcpStream::connect(&server).unwrap());
            std::thread::spawn(move || {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    if browser.read(&mut byte).unwrap_or(0) == 0 {
                        return;
                    }
                    head.extend(byte);
                }
                let head = String::from_utf8(head).unwrap().replace("keep-alive", "close");
                let head = head.replacen("\r\n", &format!("\r\nauthorization: Bearer {KEY}\r\n"), 1);
                server.write_all(head.as_bytes()).unwrap();
                // The browser may have gone before it has read it all.
                let _ = std::io::copy(&mut server, &mut browser);
            });
        }
    });
    address
}

/// Opens a page in a browser; returns what it shows and what the browser complains about.
fn browse(profile: &Path, url: &str) -> (String, String) {
    let output = Command::new("chromium")
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
        .args(["--enable-logging=stderr", "--v=0", "--virtual-time-budget=10000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(url)
        .output()
        .expect("chromium: run ./scripts/test, which installs it");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let complaints = text(&output.stderr);
    let complaints = complaints.lines().filter(|line| line.contains("CONSOLE")).collect::<Vec<_>>().join("\n");
    (text(&output.stdout), complaints)
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_need_nothing_that_their_policy_forbids() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let server = Server::start(&data);
    let member = server.member("ann", 1_000).await;
    let with_key = bringing_the_key(&server.address);
    let profile = folder.path().join("profile");
    let forbidden = folder.path().join("forbidden.html");
    let policy = r#"<meta http-equiv="content-security-policy" content="default-src 'none'"><p style="color:red">"#;
    std::fs::write(&forbidden, policy).unwrap();
    let (_, complaints) = browse(&profile, &format!("file://{}", forbidden.display()));
    assert!(complaints.contains("Content Security Policy"), "the browser would say so: {complaints}");
    let pages = [
        // The page is taken before the last of so many operations is there.
        ("/docs".to_owned(), "Where tokens are to be had, and how."),
        ("/console".to_owned(), "<canvas"),
        ("/console/members".to_owned(), "ann"),
        (format!("/console/members/{member}"), "ann"),
    ];
    for (path, expected) in pages {
        let (page, complaints) = browse(&profile, &format!("{with_key}{path}"));
        assert!(page.contains(expected), "{path} does not show {expected}: {complaints}");
        assert_eq!(complaints, "", "{path}");
    }
}
