//! E-mail to a real mail server: protected or not, refused, put off, and hanging.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use guerdon_server::messages::{Address, Message, Post, SendError, Sender, Smtp, SmtpSettings};
use guerdon_tests::smtp::SmtpServer;

const FROM: &str = "Gift Club <points@example.org>";

fn message(to: &str) -> Message {
    let html = "<!doctype html><p>048213 您好".to_owned();
    let (subject, text) = ("048213 ist dein Schlüssel".to_owned(), "048213 您好\n.\nend".to_owned());
    Message { kind: "code", to: Address::email(to).unwrap(), subject, text, html: Some(html) }
}

fn settings(url: &str) -> SmtpSettings {
    SmtpSettings::parse(url, FROM).unwrap().within(Duration::from_secs(10))
}

/// A certificate for `localhost` and its key in files, and the certificate as the authority to trust.
fn certificate() -> (tempfile::TempDir, Vec<String>, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let arguments = ["--cert", &cert.to_string_lossy(), "--key", &key.to_string_lossy()].map(str::to_owned).to_vec();
    (folder, arguments, made.cert.pem().into_bytes())
}

fn server(own: &[&str], files: &[String]) -> SmtpServer {
    let arguments: Vec<&str> = own.iter().copied().chain(files.iter().map(String::as_str)).collect();
    SmtpServer::start(&arguments)
}

fn password(text: &str) -> Option<zeroize::Zeroizing<String>> {
    Some(text.to_owned().into())
}

#[tokio::test]
async fn a_letter_arrives_whole_on_this_machine() {
    let mut server = SmtpServer::start(&[]);
    let smtp = Smtp::new(settings(&format!("smtp://127.0.0.1:{}?tls=none", server.port))).unwrap();
    smtp.send(&message("ann@example.net")).await.unwrap();
    let letter = server.letter();
    assert_eq!(
        (&letter["from"], &letter["to"]),
        (&"points@example.org".into(), &serde_json::json!(["ann@example.net"]))
    );
    let data = letter["data"].as_str().unwrap();
    assert!(data.contains("From: \"Gift Club\" <points@example.org>\r\nTo: ann@example.net\r\n"), "{data}");
    assert!(data.contains("Auto-Submitted: auto-generated\r\n"), "{data}");
    assert!(data.contains("multipart/alternative") && data.contains("text/html; charset=utf-8"), "{data}");
    assert!(data.contains("Message-ID: <") && data.contains("@example.org>\r\n"), "{data}");
    // A second one over a connection of its own.
    smtp.send(&message("bob@example.net")).await.unwrap();
    assert_eq!(server.letter()["to"][0], "bob@example.net");
}

#[tokio::test]
async fn starttls_and_tls_protect_and_sign_in() {
    for (tls, scheme) in [("starttls", "smtp"), ("tls", "smtps")] {
        let (_folder, files, authority) = certificate();
        let mut server = server(&["--tls", tls, "--user", "ann@example.org", "--password", "s3cret"], &files);
        let url = format!("{scheme}://ann%40example.org@localhost:{}", server.port);
        let trusting = || settings(&url).with_authority(authority.clone());
        let smtp = Smtp::new(trusting().with_password(password("s3cret")).unwrap()).unwrap();
        smtp.send(&message("ann@example.net")).await.unwrap();
        let letter = server.letter();
        assert_eq!((&letter["tls"], &letter["signed_in"]), (&true.into(), &true.into()));

        let smtp = Smtp::new(trusting().with_password(password("wrong")).unwrap()).unwrap();
        let refused = smtp.send(&message("ann@example.net")).await.unwrap_err();
        assert!(matches!(&refused, SendError::Permanent(why) if why.contains("password")), "{refused}");

        // The certificate is of no authority that this machine knows.
        let smtp = Smtp::new(settings(&url).with_password(password("s3cret")).unwrap()).unwrap();
        let refused = smtp.send(&message("ann@example.net")).await.unwrap_err();
        assert!(matches!(&refused, SendError::Temporary(why) if why.contains("TLS")), "{refused}");
    }
}

#[tokio::test]
async fn a_server_without_starttls_hears_neither_password_nor_letter() {
    let server = SmtpServer::start(&["--user", "ann", "--password", "s3cret"]);
    let url = format!("smtp://ann@localhost:{}", server.port);
    let smtp = Smtp::new(settings(&url).with_password(password("s3cret")).unwrap()).unwrap();
    let refused = smtp.send(&message("ann@example.net")).await.unwrap_err();
    assert!(matches!(&refused, SendError::Permanent(why) if why.contains("STARTTLS")), "{refused}");
}

#[tokio::test]
async fn what_the_server_says_decides_and_the_address_is_not_repeated() {
    let server = SmtpServer::start(&[]);
    let smtp = Smtp::new(settings(&format!("smtp://localhost:{}?tls=none", server.port))).unwrap();
    let refused = smtp.send(&message("unknown@example.net")).await.unwrap_err();
    assert_eq!(refused, SendError::Permanent("the mail server refused it (status 550)".to_owned()));
    let put_off = smtp.send(&message("busy@example.net")).await.unwrap_err();
    assert_eq!(put_off, SendError::Temporary("the mail server put it off (status 451)".to_owned()));
    let nobody = Smtp::new(settings("smtp://127.0.0.1:1?tls=none")).unwrap();
    assert!(matches!(nobody.send(&message("ann@example.net")).await, Err(SendError::Temporary(_))));
}

#[tokio::test]
async fn a_server_that_hangs_is_left_and_spoils_nothing_that_follows() {
    let mut server = SmtpServer::start(&[]);
    let within = Duration::from_millis(1_500);
    let url = format!("smtp://localhost:{}?tls=none", server.port);
    let smtp = Smtp::new(settings(&url).within(within)).unwrap();
    let started = Instant::now();
    // It takes the whole letter and never says so.
    let late = smtp.send(&message("slow@example.net")).await.unwrap_err();
    assert!(matches!(&late, SendError::Temporary(why) if why.contains("in time")), "{late}");
    assert!(started.elapsed() < 2 * within);
    smtp.send(&message("ann@example.net")).await.unwrap();
    assert_eq!(server.letter()["to"][0], "ann@example.net");

    // It takes the connection and says nothing at all, with and without TLS before it.
    let silent = SmtpServer::start(&["--silent"]);
    for url in [format!("smtp://localhost:{}?tls=none", silent.port), format!("smtps://localhost:{}", silent.port)] {
        let smtp = Smtp::new(settings(&url).within(Duration::from_millis(300))).unwrap();
        let late = smtp.send(&message("ann@example.net")).await.unwrap_err();
        assert!(matches!(&late, SendError::Temporary(why) if why.contains("in time")), "{url}: {late}");
    }
}

/// What a program or a person is called ends up in headers.
#[tokio::test]
async fn nothing_of_a_message_adds_a_header_or_a_recipient() {
    let mut server = SmtpServer::start(&[]);
    let smtp = Smtp::new(settings(&format!("smtp://localhost:{}?tls=none", server.port))).unwrap();
    let subject = "Hello\r\nBcc: eve@example.net\r\n\r\nInjected: yes\n\rX: y\u{2028}Z: ü".to_owned();
    let text = "a\r\n.\r\nMAIL FROM:<eve@example.net>\r\nRCPT TO:<eve@example.net>\r\n".to_owned();
    let injected = Message { subject, text, html: None, ..message("ann@example.net") };
    smtp.send(&injected).await.unwrap();
    let letter = server.letter();
    assert_eq!(letter["to"], serde_json::json!(["ann@example.net"]));
    let data = letter["data"].as_str().unwrap();
    let (headers, _) = data.split_once("\r\n\r\n").unwrap();
    let names: Vec<&str> =
        headers.split("\r\n").filter_map(|line| line.split_once(':')).map(|(name, _)| name).collect();
    for name in &names {
        let known = [
            "From",
            "To",
            "Subject",
            "Date",
            "Message-ID",
            "Auto-Submitted",
            "MIME-Version",
            "Content-Type",
            "Content-Transfer-Encoding",
        ];
        assert!(known.contains(name) || name.starts_with(' '), "{name} in {headers}");
    }
}

#[tokio::test]
async fn the_queue_sends_by_it() {
    let mut server = SmtpServer::start(&[]);
    let smtp = Smtp::new(settings(&format!("smtp://localhost:{}?tls=none", server.port))).unwrap();
    let post = Post::new(Some(Arc::new(smtp)), None);
    for name in ["ann", "bob", "cat"] {
        post.send(message(&format!("{name}@example.net"))).unwrap();
    }
    post.drain(Duration::from_secs(20)).await;
    let mut to: Vec<String> = (0..3).map(|_| server.letter()["to"][0].as_str().unwrap().to_owned()).collect();
    to.sort();
    assert_eq!(to, ["ann@example.net", "bob@example.net", "cat@example.net"]);
}
