//! A headless browser, and a passkey for it.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;

use super::Server;
use super::person::Person;

/// A chromedriver that is killed when dropped.
pub struct Driver(Child);

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A headless browser with a profile of its own.
pub async fn browser(profile: &std::path::Path) -> (Driver, Client) {
    let port = guerdon_tests::free_port();
    let driver = Command::new("chromedriver")
        .arg(format!("--port={port}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("chromedriver: run ./scripts/test, which installs it");
    let driver = Driver(driver);
    let arguments = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        &format!("--user-data-dir={}", profile.display()),
    ];
    let capabilities = json!({ "goog:chromeOptions": { "args": arguments } });
    let capabilities = capabilities.as_object().unwrap().clone();
    for _ in 0..100 {
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities.clone());
        if let Ok(client) = builder.connect(&format!("http://127.0.0.1:{port}")).await {
            return (driver, client);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("the browser did not start");
}

/// Keeps a screenshot under `target/screenshots` for people to look at.
pub async fn screenshot(client: &Client, name: &str) {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("screenshots/{name}.png"));
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, client.screenshot().await.unwrap()).unwrap();
}

/// What a person reads once some words are there; a click does not wait for the page to which it leads. After ten seconds
/// whatever is there.
pub async fn shown(client: &Client, words: &[&str]) -> String {
    for _ in 0..100 {
        let page = text(client).await;
        if words.iter().all(|words| page.contains(words)) {
            return page;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    text(client).await
}

/// What a person reads. A page that is being replaced is waited for.
pub async fn text(client: &Client) -> String {
    for _ in 0..50 {
        if let Ok(body) = client.find(Locator::Css("body")).await
            && let Ok(text) = body.text().await
        {
            return text;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("there is no page to read");
}

/// Lets the browser go on with the cookies of a person who has signed in.
pub async fn enter(client: &Client, server: &Server, person: &Person) {
    client.goto(&format!("{}/console/sign-in", server.address)).await.unwrap();
    for (name, value) in &person.cookies {
        let cookie = json!(format!("{name}={value}; path=/"));
        client.execute("document.cookie = arguments[0]", vec![cookie]).await.unwrap();
    }
}

/// Adds a virtual authenticator that verifies its user: <https://www.w3.org/TR/webauthn-3/#sctn-automation>.
pub async fn add_authenticator(client: &Client) {
    client.issue_cmd(AddAuthenticator).await.unwrap();
}

/// Gives the page the width of a small phone, which no window can have.
pub async fn small_phone(client: &Client) {
    size(client, 360, 740).await;
}

/// Gives the page a size.
pub async fn size(client: &Client, width: i64, height: i64) {
    client.issue_cmd(Size { width, height }).await.unwrap();
}

/// How far a page sticks out at the side.
pub async fn sideways(client: &Client) -> i64 {
    let script = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
    client.execute(script, Vec::new()).await.unwrap().as_i64().unwrap()
}

/// Keeps a screenshot of a page in its whole length, at a width.
pub async fn whole_page(client: &Client, width: i64, name: &str) {
    let script = "return document.documentElement.scrollHeight";
    let height = client.execute(script, Vec::new()).await.unwrap().as_i64().unwrap();
    size(client, width, height.clamp(700, 6_000)).await;
    screenshot(client, name).await;
    size(client, width, 800).await;
}

#[derive(Debug)]
struct Size {
    width: i64,
    height: i64,
}

impl WebDriverCompatibleCommand for Size {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (hyper::Method, Option<String>) {
        let is_phone = self.width < 500;
        let metrics = json!({ "width": self.width, "height": self.height,
            "deviceScaleFactor": if is_phone { 2 } else { 1 }, "mobile": is_phone });
        let command = json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": metrics });
        (hyper::Method::POST, Some(command.to_string()))
    }
}

#[derive(Debug)]
struct AddAuthenticator;

impl WebDriverCompatibleCommand for AddAuthenticator {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/webauthn/authenticator", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (hyper::Method, Option<String>) {
        let options = json!({ "protocol": "ctap2", "transport": "internal", "hasResidentKey": true,
            "hasUserVerification": true, "isUserVerified": true });
        (hyper::Method::POST, Some(options.to_string()))
    }
}
