//! A running server for the stories, and the way to talk to it.

pub mod browser;
pub mod person;
pub mod provider;
pub mod sms;

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

/// The binary under test.
pub const GUERDON: &str = env!("CARGO_BIN_EXE_guerdon");

/// The key that may do everything, which the stories' servers are given.
pub const KEY: &str = "the key of the stories, which is long enough";

/// A client that brings a key.
pub fn client(key: &str) -> reqwest::Client {
    let mut headers = reqwest::header::HeaderMap::new();
    headers.insert("authorization", format!("Bearer {key}").parse().unwrap());
    http_client().default_headers(headers).build().unwrap()
}

/// A `guerdon serve` that is killed when dropped.
pub struct Server {
    child: Child,
    pub address: String,
    pub client: reqwest::Client,
    /// The path that makes the first owner; empty once there was one.
    pub setup_link: String,
}

/// A client to be built; its TLS is the server's own.
pub fn http_client() -> reqwest::ClientBuilder {
    // Another story of the same process may have installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
}

/// Runs a command to its end: exit code, standard output, standard error.
pub fn guerdon(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(GUERDON).args(arguments).output().expect("guerdon runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// A data directory with a program.
pub fn init(directory: &Path, program: &str) {
    let file = directory.with_extension("toml");
    std::fs::write(&file, program).unwrap();
    let (code, _, error) =
        guerdon(&["init", "--data-dir", directory.to_str().unwrap(), "--program", file.to_str().unwrap()]);
    assert_eq!(code, 0, "{error}");
}

/// The Gift Club with another stock.
pub fn gift_club(stock: i64) -> String {
    let text = include_str!("../../../../../programs/gift-club.toml");
    text.replace("stock = 8000", &format!("stock = {stock}"))
}

/// The Gift Club with a campaign: 12 points for a visit, 30 for everyone together and 20 in each store.
pub fn gift_club_with_a_campaign(stock: i64) -> String {
    let campaign = r#"
        [[campaigns]]
        id = "welcome"
        name = "Welcome"
        department = "marketing"
        caps = [
            { window = "lifetime", points = 30, per = "everyone" },
            { window = "lifetime", points = 20, per = "store" },
        ]

        [[rules]]
        id = "hello"
        name = "Hello"
        trigger = "visit"
        campaign = "welcome"
        effect = { type = "fixed_points", points = 12 }
    "#;
    gift_club(stock) + campaign
}

impl Server {
    /// Starts a server over a data directory on a free port.
    pub fn start(directory: &Path) -> Self {
        Self::start_with(directory, &[])
    }

    pub fn start_with(directory: &Path, more: &[&str]) -> Self {
        Self::spawn(directory, more, "warn", Stdio::piped())
    }

    /// Starts a server that logs everything it has to say into a file.
    pub fn start_logging(directory: &Path, log: &Path) -> Self {
        let log = std::fs::File::options().append(true).create(true).open(log).unwrap();
        Self::spawn(directory, &[], "trace", log.into())
    }

    fn spawn(directory: &Path, more: &[&str], log_level: &str, log: Stdio) -> Self {
        let mut child = Command::new(GUERDON)
            .args(["serve", "--data-dir", directory.to_str().unwrap()])
            .args(more)
            .env("GUERDON_LISTEN", "127.0.0.1:0")
            .env("GUERDON_API_KEY", KEY)
            .env("GUERDON_LOG", log_level)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let (mut line, mut setup_link) = (String::new(), String::new());
        let mut out = BufReader::new(child.stdout.as_mut().unwrap());
        out.read_line(&mut line).unwrap();
        if let Some((_, path)) = line.split_once("/console/setup") {
            setup_link = format!("/console/setup{}", path.trim());
            line.clear();
            out.read_line(&mut line).unwrap();
        }
        let Some(rest) = line.strip_prefix("Serving on ") else {
            let mut error = String::new();
            child.stderr.take().map(|mut said| said.read_to_string(&mut error));
            panic!("the server did not start: {line}{error}");
        };
        let address = rest.split(':').take(3).collect::<Vec<_>>().join(":");
        Self { child, address, client: client(KEY), setup_link }
    }

    /// kill −9.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ctrl-C; returns the exit code.
    pub fn interrupt(&mut self) -> i32 {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        self.child.wait().unwrap().code().unwrap_or(-1)
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.client.get(format!("{}{path}", self.address)).send().await.unwrap()).await
    }

    pub async fn text(&self, path: &str) -> (u16, String) {
        let response = self.client.get(format!("{}{path}", self.address)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    pub async fn put(&self, path: &str, body: Value) -> (u16, Value) {
        let request = self.client.put(format!("{}{path}", self.address));
        answer(request.header("content-type", "application/json").body(body.to_string()).send().await.unwrap()).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> (u16, Value) {
        let request = self.client.patch(format!("{}{path}", self.address));
        answer(request.header("content-type", "application/json").body(body.to_string()).send().await.unwrap()).await
    }

    pub async fn post(&self, path: &str, key: &str, body: Value) -> (u16, Value) {
        let (status, text) = self.post_text(path, key, body.to_string()).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub async fn post_text(&self, path: &str, key: &str, body: String) -> (u16, String) {
        self.try_post(path, key, body).await.unwrap()
    }

    pub async fn try_post(&self, path: &str, key: &str, body: String) -> Result<(u16, String), reqwest::Error> {
        let mut request = self.client.post(format!("{}{path}", self.address));
        if !key.is_empty() {
            request = request.header("idempotency-key", key);
        }
        let response = request.header("content-type", "application/json").body(body).send().await?;
        Ok((response.status().as_u16(), response.text().await?))
    }

    /// Enrols a member with some points; returns the id.
    pub async fn member(&self, external_id: &str, points: i64) -> String {
        let (status, receipt) = self.post("/v1/members", external_id, json!({ "external_id": external_id })).await;
        assert_eq!(status, 201, "{receipt}");
        let member = receipt["member_id"].as_str().unwrap().to_owned();
        if points > 0 {
            let body = json!({ "points": points, "reason": "opening balance" });
            let (status, receipt) = self.post(&format!("/v1/members/{member}/adjustments"), "opening", body).await;
            assert_eq!(status, 201, "{receipt}");
        }
        member
    }
}

async fn answer(response: reqwest::Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

impl Drop for Server {
    fn drop(&mut self) {
        // The story may have killed it already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
