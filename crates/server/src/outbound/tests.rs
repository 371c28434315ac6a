//! Calls to a server of the tests' own, by names that a look-up of the tests' own resolves.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::response::Redirect;
use axum::routing::get;

use super::*;
use crate::edge::parse_networks;

/// Answers by a table, another answer each time it is asked.
struct Table {
    answers: Vec<Vec<IpAddr>>,
    asked: AtomicUsize,
}

impl Lookup for Table {
    fn lookup(&self, _: String) -> Found {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let answer = self.answers.get(number.min(self.answers.len() - 1)).cloned();
        Box::pin(async move { answer.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound)) })
    }
}

fn outbound(networks: &str, answers: &[&[&str]]) -> Outbound {
    let answers = answers.iter().map(|answer| answer.iter().map(|address| address.parse().unwrap()).collect());
    let lookup = Arc::new(Table { answers: answers.collect(), asked: AtomicUsize::new(0) });
    Outbound::new(OutboundOptions {
        private_networks: parse_networks(networks).unwrap(),
        plain_hosts: vec!["gateway.example".into()],
        lookup,
        call_time: Duration::from_secs(1),
    })
}

async fn server() -> SocketAddr {
    let app = Router::new()
        .route("/", get(async || "hello"))
        .route("/away", get(async || Redirect::temporary("http://169.254.169.254/")))
        .route("/large", get(async || vec![b'x'; ANSWER_BYTES + 1]))
        .route("/slow", get(async || tokio::time::sleep(Duration::from_secs(60)).await));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (_stop, stopped) = tokio::sync::watch::channel(false);
        crate::edge::accept(listener, app, Arc::default(), stopped).await;
    });
    address
}

async fn call(outbound: &Outbound, url: String) -> Result<Response<Vec<u8>>, OutboundError> {
    outbound.send(Request::get(url).body(Vec::new()).unwrap()).await
}

#[tokio::test]
async fn a_name_with_a_private_address_is_not_called() {
    let port = server().await.port();
    let url = format!("http://gateway.example:{port}/");
    for private in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1"] {
        let refused = call(&outbound("", &[&[private]]), url.clone()).await.unwrap_err();
        assert!(matches!(refused, OutboundError::Forbidden(Forbidden::Name(_))), "{private}: {refused}");
    }
    let allowed = outbound("127.0.0.1", &[&["127.0.0.1"]]);
    assert_eq!(call(&allowed, url).await.unwrap().body(), b"hello");
}

#[tokio::test]
async fn only_the_addresses_that_may_be_called_are_tried() {
    let port = server().await.port();
    // 127.0.0.1 is not allowed here, and 127.0.0.2 is: the server listens on the first alone.
    let mixed = outbound("127.0.0.2", &[&["127.0.0.1", "127.0.0.2"]]);
    let failed = call(&mixed, format!("http://gateway.example:{port}/")).await.unwrap_err();
    assert!(matches!(failed, OutboundError::Failed { .. }), "{failed}");
}

#[tokio::test]
async fn a_name_that_changes_its_address_is_judged_again() {
    let port = server().await.port();
    let rebound = outbound("127.0.0.2", &[&["127.0.0.2"], &["127.0.0.1"]]);
    let url = format!("http://gateway.example:{port}/");
    assert!(matches!(call(&rebound, url.clone()).await.unwrap_err(), OutboundError::Failed { .. }));
    assert!(matches!(call(&rebound, url).await.unwrap_err(), OutboundError::Forbidden(_)));
}

#[tokio::test]
async fn redirects_are_handed_back_and_answers_have_limits() {
    let port = server().await.port();
    let allowed = outbound("127.0.0.1", &[&["127.0.0.1"]]);
    let url = |path: &str| format!("http://gateway.example:{port}{path}");
    assert_eq!(call(&allowed, url("/away")).await.unwrap().status(), StatusCode::TEMPORARY_REDIRECT);
    assert!(matches!(call(&allowed, url("/large")).await.unwrap_err(), OutboundError::TooLarge("answer")));
    let slow = call(&allowed, url("/slow?token=secret")).await.unwrap_err();
    assert!(matches!(slow, OutboundError::TimedOut(_)) && !slow.to_string().contains("secret"), "{slow}");
    let large = Request::post(url("/")).body(vec![0; BODY_BYTES + 1]).unwrap();
    assert!(matches!(allowed.send(large).await.unwrap_err(), OutboundError::TooLarge("body")));
}

#[tokio::test]
async fn sign_in_by_others_uses_the_same_guard() {
    let outbound = outbound("", &[&["127.0.0.1"]]);
    let request = Request::get("https://login.example/.well-known/openid-configuration").body(Vec::new()).unwrap();
    let refused = AsyncHttpClient::call(&outbound, request).await.unwrap_err();
    assert!(matches!(refused, OutboundError::Forbidden(Forbidden::Name(_))), "{refused}");
}
