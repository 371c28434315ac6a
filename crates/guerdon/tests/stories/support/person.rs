//! A person with a browser, as far as forms and cookies go.

use std::collections::BTreeMap;

use guerdon_core::time::Timestamp;
use guerdon_server::identity::totp::TotpSecret;
use serde_json::Value;

use super::Server;

/// A browser without scripts.
pub struct Person {
    address: String,
    client: reqwest::Client,
    pub cookies: BTreeMap<String, String>,
    /// What the browser says of where a form came from; `None`: nothing.
    pub origin: Option<String>,
    /// Where the last answer led to; empty: nowhere.
    pub location: String,
}

/// The code that an authenticator app shows in `seconds` from now.
pub fn totp(secret: &str, seconds: i64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    let at = Timestamp::from_millis(now + seconds * 1_000);
    TotpSecret::from_base32(&secret.replace(' ', "")).unwrap().code_at(at).unwrap().to_string()
}

impl Person {
    pub fn new(server: &Server) -> Self {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let address = server.address.clone();
        Self { origin: Some(address.clone()), address, client, cookies: BTreeMap::new(), location: String::new() }
    }

    /// An operator who was invited with a role, and is signed in.
    pub async fn invited(server: &Server, email: &str, name: &str, role: &str) -> Self {
        Self::invited_with(server, email, name, serde_json::json!([{ "role": role }])).await
    }

    /// The same with any grants.
    pub async fn invited_with(server: &Server, email: &str, name: &str, grants: Value) -> Self {
        let body = serde_json::json!({ "email": email, "name": name, "grants": grants });
        let (status, invited) = server.post("/v1/operators", "", body).await;
        assert_eq!(status, 201, "{invited}");
        let link = invited["link"].as_str().unwrap().split_once("/console").unwrap().1.to_owned();
        let mut person = Self::new(server);
        person.accept(&format!("/console{link}"), name, "four quiet winter harbours").await;
        person
    }

    /// Goes on with a server that was started again, at another address.
    pub fn goes_on_with(&mut self, server: &Server) {
        self.origin = self.origin.take().map(|_| server.address.clone());
        self.address.clone_from(&server.address);
    }

    /// Posts a form as from a page that a browser shows.
    pub async fn post_from(&mut self, page: &str, path: &str, form: &[(&str, &str)]) -> (u16, String) {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.client.post(format!("{}{path}", self.address)).body(body);
        let request = request.header("referer", format!("{}{page}", self.address));
        self.send(request.header("content-type", "application/x-www-form-urlencoded")).await
    }

    async fn send(&mut self, request: reqwest::RequestBuilder) -> (u16, String) {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = request.header("cookie", cookies.join("; "));
        if let Some(origin) = &self.origin {
            request = request.header("origin", origin);
        }
        let response = request.send().await.unwrap();
        let location = response.headers().get("location");
        self.location = location.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
        for value in response.headers().get_all("set-cookie") {
            let text = value.to_str().unwrap();
            assert!(text.contains("HttpOnly") && text.contains("SameSite="), "{text}");
            let (name, value) = text.split(';').next().unwrap().split_once('=').unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        (response.status().as_u16(), response.text().await.unwrap())
    }

    pub async fn get(&mut self, path: &str) -> (u16, String) {
        let request = self.client.get(format!("{}{path}", self.address));
        self.send(request).await
    }

    pub async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> (u16, String) {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.client.post(format!("{}{path}", self.address)).body(body);
        self.send(request.header("content-type", "application/x-www-form-urlencoded")).await
    }

    async fn send_json(&mut self, request: reqwest::RequestBuilder, body: &Value) -> (u16, Value) {
        let request = request.header("content-type", "application/json").body(body.to_string());
        let (status, text) = self.send(request).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// Posts to the API by the session, with a fresh idempotency key.
    pub async fn json(&mut self, path: &str, body: &Value) -> (u16, Value) {
        let key = format!(
            "person-{}",
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos()
        );
        let request = self.client.post(format!("{}{path}", self.address)).header("idempotency-key", key);
        self.send_json(request, body).await
    }

    /// Uploads a file with a form, as a browser does.
    pub async fn upload(
        &mut self,
        path: &str,
        key: &str,
        fields: &[(&str, &str)],
        (file_name, file): (&str, &[u8]),
    ) -> (u16, Value) {
        let mut body = Vec::new();
        for (name, value) in fields {
            let field = format!("--edge\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            body.extend_from_slice(field.as_bytes());
        }
        let head = format!(
            "--edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{file_name}\"\r\n\
             content-type: application/octet-stream\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(file);
        body.extend_from_slice(b"\r\n--edge--\r\n");
        let request = self.client.post(format!("{}{path}", self.address)).header("idempotency-key", key);
        let request = request.header("content-type", "multipart/form-data; boundary=edge").body(body);
        let (status, text) = self.send(request).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub async fn put(&mut self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.client.put(format!("{}{path}", self.address));
        self.send_json(request, body).await
    }

    pub async fn patch(&mut self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.client.patch(format!("{}{path}", self.address));
        self.send_json(request, body).await
    }

    /// Fills in the first set-up to its end; returns the secret of the authenticator app.
    pub async fn set_up(&mut self, link: &str, email: &str, name: &str, password: &str) -> String {
        let (path, token) = link.split_once("?token=").unwrap();
        assert_eq!(self.get(link).await.0, 200);
        let form = [("token", token), ("email", email), ("name", name), ("password", password)];
        let (status, page) = self.post(path, &form).await;
        assert_eq!(status, 303, "{page}");
        self.set_up_authenticator().await
    }

    /// Accepts an invitation to its end; returns the secret of the authenticator app.
    pub async fn accept(&mut self, link: &str, name: &str, password: &str) -> String {
        let (path, token) = link.split_once("?token=").unwrap();
        let (status, page) = self.get(link).await;
        assert_eq!(status, 200, "{page}");
        let (status, page) = self.post(path, &[("token", token), ("name", name), ("password", password)]).await;
        assert_eq!(status, 303, "{page}");
        self.set_up_authenticator().await
    }

    async fn set_up_authenticator(&mut self) -> String {
        let (status, page) = self.get("/console/sign-in/authenticator").await;
        assert_eq!(status, 200, "{page}");
        let secret = page.split("data-secret>").nth(1).unwrap().split('<').next().unwrap().to_owned();
        let (status, page) = self.post("/console/sign-in/authenticator", &[("code", &totp(&secret, 0))]).await;
        assert!(status == 200 && page.matches("<li>").count() >= 10, "ten recovery codes: {page}");
        secret
    }

    /// Signs in with a password and a code.
    pub async fn sign_in(&mut self, email: &str, password: &str, code: &str) {
        let (status, page) = self.post("/console/sign-in", &[("email", email), ("password", password)]).await;
        assert_eq!(status, 303, "{page}");
        let (status, page) = self.post("/console/sign-in/code", &[("code", code)]).await;
        assert_eq!(status, 303, "{page}");
    }
}
