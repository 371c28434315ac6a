//! A whole server without a network, with something of everything in it.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use guerdon::messages::{Messages, mailbox};
use guerdon_core::members::card_number;
use guerdon_core::program::Bundle;
use guerdon_core::time::Timestamp;
use guerdon_server::edge::ClientAddress;
use guerdon_server::identity::limit::Limits;
use guerdon_server::identity::session::{self, Session};
use guerdon_server::identity::sso::SingleSignOn;
use guerdon_server::identity::{operators, setup};
use guerdon_server::outbound::{Outbound, OutboundOptions};
use guerdon_server::{AppOptions, AppState, Degraded, Directory, People, SharedKeyring, app};
use guerdon_store::read::Reader;
use guerdon_store::{DataDir, Engine, RecordChange, SqliteStore, publish};
use http_body_util::BodyExt;
use hyper::service::Service;
use hyper::{HeaderMap, Request, Response};
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use crate::programs::GIFT_CLUB;
use crate::secrets;

/// The key that may do everything.
pub const KEY: &str = "the key of the fuzzing, which is long enough";
/// An identity provider that may not be called, so that nothing leaves the machine.
const PROVIDER: &str = "[[provider]]\nid = 'acme'\nname = 'Acme'\nissuer = 'https://127.0.0.1:9'\nclient_id = 'guerdon'\n\
    [[provider.mapping]]\nclaim = 'groups'\nvalue = 'staff'\nrole = 'service'\n";

pub struct World {
    runtime: Runtime,
    app: TowerToHyperService<Router>,
    /// Names in inputs, and what stands for them in this world.
    places: Vec<(&'static str, String)>,
    _keep: (Engine<SqliteStore>, TempDir),
}

impl World {
    pub fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut store = SqliteStore::open(DataDir::create(folder.path()).unwrap()).unwrap();
        publish(&mut store, &Bundle::parse(GIFT_CLUB).unwrap(), Timestamp::from_millis(1_700_000_000_000)).unwrap();
        let engine = Engine::start(store).unwrap();
        let (keyring, _) = secrets::keyring();
        let public_url = Some("http://localhost:8080".parse().unwrap());
        let Messages { post, mailbox } = mailbox();
        let state = AppState {
            catalogue: Arc::default(),
            degraded: Arc::new(Degraded::new(&engine.handle())),
            engine: engine.handle(),
            reader: runtime.block_on(Reader::open(folder.path())).unwrap(),
            directory: Arc::new(Directory::with_limits(Some(KEY), Limits::UNLIMITED)),
            people: Arc::new(People::new(public_url.clone(), false, "Gift Club", &keyring).unwrap()),
            keyring: SharedKeyring::new(keyring),
            post,
            sso: Arc::new(SingleSignOn::new(toml::from_str(PROVIDER).unwrap(), |_| Ok(None)).unwrap()),
            outbound: Outbound::new(OutboundOptions::default()),
            demand: Arc::default(),
            payments: guerdon_server::payments::Payments { test_tender: true },
        };
        let options = AppOptions { mailbox, public_url, ..AppOptions::default() };
        let app = TowerToHyperService::new(app(state.clone(), options));
        let mut world = Self { runtime, app, places: Vec::new(), _keep: (engine, folder) };
        world.people(&state);
        world.things();
        world
    }

    /// An owner and a member, with sessions.
    fn people(&mut self, state: &AppState) {
        let member = self.make("members", "/v1/members", &json!({ "external_id": "1", "email": "ann@example.org" }));
        let member = member["member_id"].as_str().unwrap().to_owned();
        let (owner, sessions) = self.runtime.block_on(async {
            setup::sign_in_link(state, "demo@example.org", "Demo").await.unwrap();
            let (owner, _) = operators::find_by_email(state, "demo@example.org").await.unwrap().unwrap();
            let session = Session::new("link", "10.0.0.1", &HeaderMap::new(), state.clock());
            let sessions = [&owner.id, &member].map(|subject| session::begin(subject, &session).unwrap());
            let changes = sessions.iter().map(|begun| begun.change.clone()).collect::<Vec<RecordChange>>();
            state.engine.write_records(changes, Vec::new()).await.unwrap();
            (owner.id, sessions.map(|begun| begun.token.reveal().to_owned()))
        });
        let [operator_session, member_session] = sessions;
        self.places = vec![
            ("$MEMBER_ID", member),
            ("$OPERATOR_ID", owner),
            ("$OPERATOR", operator_session),
            ("$MEMBER", member_session),
        ];
    }

    fn place(&self, name: &str) -> &str {
        self.places.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }

    /// What administrators and tills make.
    fn things(&mut self) {
        let member = self.place("$MEMBER_ID").to_owned();
        let points = json!({ "points": 5_000, "reason": "opening balance" });
        self.make("points", &format!("/v1/members/{member}/adjustments"), &points);
        let order = self.make("order", "/v1/orders", &json!({ "member_id": member, "reward_id": "voucher-5" }));
        let other = self.make("other", "/v1/members", &json!({ "external_id": "2", "name": "Ann" }));
        let news = json!({ "en": "News", "zh": "资讯" });
        self.put("/v1/consent-purposes/news", &json!({ "name": news, "text": news }));
        self.put("/v1/roles/shop-lead", &json!({ "description": "x", "permissions": ["members:read"] }));
        let key = json!({ "name": "Till", "permissions": ["cards:verify"] });
        let key = self.make("key", "/v1/api-keys", &key);
        let client = json!({ "name": "Partner", "permissions": ["members:read"] });
        let client = self.make("client", "/v1/clients", &client);
        let large = json!({ "points": 5_000_000, "reason": "a large one" });
        // The key waits for nobody.
        let session = format!("guerdon_session={}", self.place("$OPERATOR"));
        let path = format!("/v1/members/{member}/adjustments");
        let waits = self.make_as(("cookie", &session), "large", &path, &large);
        let id = |of: &Value, path: &str| of.pointer(path).and_then(Value::as_str).unwrap_or("none").to_owned();
        let made = [
            ("$OTHER_ID", id(&other, "/member_id")),
            ("$CARD", card_number(member.parse().unwrap())),
            ("$ORDER_ID", id(&order, "/order/id")),
            ("$TRANSACTION_ID", id(&order, "/transaction_id")),
            ("$KEY_ID", id(&key, "/id")),
            ("$CLIENT_ID", id(&client, "/id")),
            ("$APPROVAL_ID", id(&waits, "/id")),
        ];
        self.places.splice(0..0, made);
    }

    fn make(&self, key: &str, path: &str, body: &Value) -> Value {
        self.make_as(("authorization", &format!("Bearer {KEY}")), key, path, body)
    }

    fn put(&self, path: &str, body: &Value) {
        let request = Request::put(path).header("authorization", format!("Bearer {KEY}"));
        let (response, _) = self.answer(request.body(body.to_string().into_bytes()).unwrap(), 1);
        assert!(response.status().is_success(), "{path}: {}", response.status());
    }

    fn make_as(&self, (name, value): (&str, &str), key: &str, path: &str, body: &Value) -> Value {
        let request = Request::post(path).header(name, value).header("sec-fetch-site", "same-origin");
        let request = request.header("idempotency-key", key).body(body.to_string().into_bytes()).unwrap();
        let (response, body) = self.answer(request, 1);
        assert!(response.status().is_success(), "{path}: {} {}", response.status(), String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap()
    }

    /// An input with the ids and secrets of this world, and a number of its own.
    pub fn fill(&self, input: &[u8], number: u32) -> Vec<u8> {
        let number = ("$NUMBER", number.to_string());
        self.places.iter().chain([&number]).fold(input.to_vec(), |input, (name, value)| replace(input, name, value))
    }

    /// What is answered to a request that comes from an address of its own.
    pub fn answer(&self, request: Request<Vec<u8>>, number: u32) -> (Response<()>, Bytes) {
        let mut request = request.map(Body::from);
        request.extensions_mut().insert(ClientAddress(IpAddr::V4((0x0a00_0000 | number & 0x00ff_ffff).into())));
        self.runtime.block_on(async {
            let (parts, body) = self.app.call(request).await.unwrap().into_parts();
            (Response::from_parts(parts, ()), body.collect().await.unwrap().to_bytes())
        })
    }
}

/// Holds no more than the result: an input may name the same thing some thousand times.
fn replace(input: Vec<u8>, name: &str, value: &str) -> Vec<u8> {
    let mut filled = Vec::with_capacity(input.len());
    let mut rest = input.as_slice();
    while let Some(at) = rest.windows(name.len()).position(|window| window == name.as_bytes()) {
        let (before, after) = rest.split_at(at);
        filled.extend_from_slice(before);
        filled.extend_from_slice(value.as_bytes());
        rest = after.get(name.len()..).unwrap_or_default();
    }
    filled.extend_from_slice(rest);
    filled
}
