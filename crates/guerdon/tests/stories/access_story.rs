//! Every route there is, tried by everyone who may not use it: strangers, operators of another program or store, keys
//! without the permission, members at the doors of operators and of each other.

use guerdon_core::hex;
use guerdon_core::identity::Permission;
use guerdon_server::Needs;
use guerdon_server::identity::directory::digest;
use serde_json::{Value, json};

use crate::support::person::Person;
use crate::support::sms::Gateway;
use crate::support::{Server, gift_club, init};

/// A route as the server declares it.
struct Route {
    method: reqwest::Method,
    path: String,
    needs: Needs,
}

impl Route {
    fn permission(&self) -> Option<Permission> {
        match self.needs {
            Needs::Permission(permission) | Needs::InStore(permission) => Some(permission),
            _ => None,
        }
    }

    fn is_page(&self) -> bool {
        self.path.starts_with("/console") || self.path.starts_with("/portal")
    }

    /// The address with something in the place of each parameter.
    fn address(&self, member: &str) -> String {
        let parts = self.path.split('/').map(|part| match part {
            "{member_id}" => member.to_owned(),
            "{id}" if self.path.starts_with("/console/members") => member.to_owned(),
            part if part.starts_with('{') => "x".to_owned(),
            part => part.to_owned(),
        });
        parts.collect::<Vec<_>>().join("/")
    }

    /// Refused to somebody who is known: the gate says so before anything is looked at.
    fn is_refused(&self, status: u16, body: &str) -> bool {
        status == 403 && (self.is_page() || body.contains("\"forbidden\""))
    }
}

fn routes() -> Vec<Route> {
    let routes = guerdon_server::routes().unwrap();
    let mut found: Vec<Route> = routes
        .iter()
        .map(|(method, path, needs)| Route { method: method.as_str().parse().unwrap(), path: path.to_owned(), needs })
        .collect();
    found.sort_by(|a, b| (&a.path, a.method.as_str()).cmp(&(&b.path, b.method.as_str())));
    assert!(found.len() > 100, "{}", found.len());
    found
}

/// Somebody who sends requests: with a key, with cookies, or with nothing.
struct Caller<'a> {
    server: &'a Server,
    client: reqwest::Client,
    key: Option<String>,
    cookies: String,
}

impl<'a> Caller<'a> {
    fn new(server: &'a Server, key: Option<&str>, person: Option<&Person>) -> Self {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let pairs = person.map(|person| &person.cookies).into_iter().flatten();
        let cookies = pairs.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
        Self { server, client, key: key.map(str::to_owned), cookies }
    }

    /// Sends a request, again where strangers have sent too many in a second.
    async fn call(&self, route: &Route, address: &str) -> (u16, String) {
        for _ in 0..3 {
            let (status, answer) = self.send(route, address).await;
            if status != 429 || !answer.contains("rate_limited") {
                return (status, answer);
            }
            tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
        }
        self.send(route, address).await
    }

    async fn send(&self, route: &Route, address: &str) -> (u16, String) {
        let mut request = self.client.request(route.method.clone(), format!("{}{address}", self.server.address));
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        if !self.cookies.is_empty() {
            request = request.header("cookie", &self.cookies);
        }
        if !self.cookies.is_empty() || route.is_page() {
            request = request.header("origin", &self.server.address);
        }
        if route.method != reqwest::Method::GET {
            request = request.header("idempotency-key", "walk");
            request = if route.is_page() {
                request.header("content-type", "application/x-www-form-urlencoded").body("")
            } else {
                request.header("content-type", "application/json").body("{}")
            };
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let place = response.headers().get("location").map(|place| place.to_str().unwrap().to_owned());
        (status, place.unwrap_or(response.text().await.unwrap()))
    }
}

async fn key_with(server: &Server, permissions: &[&str]) -> String {
    let request = json!({ "name": "Walker", "permissions": permissions });
    let (status, key) = server.post("/v1/api-keys", "", request).await;
    assert_eq!(status, 201, "{key}");
    key["key"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_find_every_door_closed_that_is_not_open_to_the_world() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let server = Server::start(&data);
    let ann = server.member("ann", 10).await;
    let callers = [
        ("nobody", Caller::new(&server, None, None)),
        ("a forged key", Caller::new(&server, Some("grd_key_0123456789abcdefghjkmnpqrstvwxyz"), None)),
    ];
    for route in routes() {
        for (who, caller) in &callers {
            let (status, body) = caller.call(&route, &route.address(&ann)).await;
            let what = format!("{} {} by {who}: {status} {body}", route.method, route.path);
            if route.needs == Needs::Nothing {
                assert!(status < 500 || status == 503 && route.path == "/readyz", "{what}");
            } else if route.is_page() {
                assert!(status == 303 && body.contains("/sign-in"), "{what}");
            } else {
                assert_eq!(status, 401, "{what}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_does_nothing_but_what_it_was_given() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let server = Server::start(&data);
    let ann = server.member("ann", 10).await;
    let all: Vec<&str> = Permission::ALL.iter().map(|permission| permission.name()).collect();
    let mut without = std::collections::BTreeMap::new();
    for name in &all {
        let others: Vec<&str> = all.iter().copied().filter(|other| other != name).collect();
        without.insert(*name, key_with(&server, &others).await);
    }
    let mut tried = 0;
    for route in routes() {
        let address = route.address(&ann);
        let Some(permission) = route.permission() else {
            // What is a person's own is no program's.
            if matches!(route.needs, Needs::Operator | Needs::Member) {
                let caller = Caller::new(&server, Some(&without[all[0]]), None);
                let (status, body) = caller.call(&route, &address).await;
                assert!(matches!(status, 401 | 403 | 303), "{} {}: {status} {body}", route.method, route.path);
            }
            continue;
        };
        let caller = Caller::new(&server, Some(&without[permission.name()]), None);
        let (status, body) = caller.call(&route, &address).await;
        assert!(route.is_refused(status, &body), "{} {}: {status} {body}", route.method, route.path);
        tried += 1;
    }
    assert!(tried > 60, "{tried}");
}

/// A permission opens the routes that declare it: the key that has it alone passes the gate.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_can_do_what_it_was_given() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let server = Server::start(&data);
    let ann = server.member("ann", 10).await;
    for &permission in Permission::ALL {
        let key = key_with(&server, &[permission.name()]).await;
        let caller = Caller::new(&server, Some(&key), None);
        for route in routes().iter().filter(|route| route.permission() == Some(permission) && !route.is_page()) {
            let (status, body) = caller.call(route, &route.address(&ann)).await;
            assert!(!route.is_refused(status, &body) && status != 401, "{} {}: {body}", route.method, route.path);
            assert!(status < 500, "{} {}: {status} {body}", route.method, route.path);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_of_another_program_or_store_are_strangers_here() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let server = Server::start(&data);
    let ann = server.member("ann", 10).await;
    let elsewhere = Person::invited(&server, "eve@example.org", "Eve", "administrator").await;
    // Nobody can be given a role for a program that is not here; one who has it from a database they once shared.
    let database = rusqlite::Connection::open(data.join("guerdon.db")).unwrap();
    let sql = "UPDATE record SET body = replace(body, '\"program\":\"*\"', '\"program\":\"another-program\"')
               WHERE kind = 'operator' AND body LIKE '%eve@example.org%'";
    assert_eq!(database.execute(sql, []).unwrap(), 1);
    drop(database);
    let north = json!([{ "role": "administrator", "stores": ["north"] }]);
    let north = Person::invited_with(&server, "nora@example.org", "Nora", north).await;
    let (elsewhere, north) = (Caller::new(&server, None, Some(&elsewhere)), Caller::new(&server, None, Some(&north)));
    for route in routes() {
        let address = route.address(&ann);
        let home = route.path == "/console";
        match route.needs {
            Needs::Permission(_) => {
                for caller in [&elsewhere, &north] {
                    let (status, body) = caller.call(&route, &address).await;
                    let refused = route.is_refused(status, &body) || home && status == 307 || home && status == 303;
                    assert!(refused, "{} {}: {status} {body}", route.method, route.path);
                }
            }
            Needs::InStore(_) => {
                let (status, body) = elsewhere.call(&route, &address).await;
                assert!(route.is_refused(status, &body), "{} {}: {status} {body}", route.method, route.path);
                let (status, body) = north.call(&route, &address).await;
                assert!(status != 401, "{} {}: {status} {body}", route.method, route.path);
            }
            // No operator is a member.
            Needs::Member => {
                let (status, body) = north.call(&route, &address).await;
                assert!(matches!(status, 401 | 303), "{} {}: {status} {body}", route.method, route.path);
            }
            Needs::Operator | Needs::Nothing => {}
        }
    }
    // Where a request names a store, the permission must hold there.
    let purchase = |store: Option<&str>| {
        let mut activity = json!({ "kind": "purchase", "amount": 5_000 });
        store.into_iter().for_each(|store| activity["store"] = store.into());
        json!({ "member_id": ann, "activity": activity })
    };
    let post = async |body: &Value, key: &str| -> u16 {
        let request = north.client.post(format!("{}/v1/activities", server.address)).header("idempotency-key", key);
        let request = request.header("cookie", &north.cookies).header("origin", &server.address);
        let request = request.header("content-type", "application/json").body(body.to_string());
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(post(&purchase(Some("north")), "in").await, 201);
    assert_eq!(post(&purchase(Some("south")), "out").await, 403);
    assert_eq!(post(&purchase(None), "nowhere").await, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn members_reach_nothing_of_operators_or_of_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let gateway = Gateway::start();
    let server = Server::start_with(&data, &gateway.flags());
    let mut people = Vec::new();
    for (name, phone) in [("ann", "13800138000"), ("bob", "13900139000")] {
        let (status, receipt) = server.post("/v1/members", phone, json!({ "name": name, "phone": phone })).await;
        assert_eq!(status, 201, "{receipt}");
        let mut person = Person::new(&server);
        assert_eq!(person.post("/portal/sign-in", &[("to", phone)]).await.0, 303);
        let code = gateway.code(people.len(), phone).await;
        assert_eq!(person.post("/portal/sign-in/code", &[("code", &code)]).await.0, 303);
        people.push((person, receipt["member_id"].as_str().unwrap().to_owned()));
    }
    let [(ann, ann_id), (bob, bob_id)] = &mut people[..] else { panic!("two") };
    // What of Bob's has a name: his session, as his own page calls it.
    let device = hex::encode(&digest(&bob.cookies["guerdon_member"]));
    let caller = Caller::new(&server, None, Some(ann));
    for route in routes() {
        match route.needs {
            Needs::Permission(_) | Needs::InStore(_) | Needs::Operator => {
                for member in [&*ann_id, &*bob_id] {
                    let (status, body) = caller.call(&route, &route.address(member)).await;
                    assert!(matches!(status, 401 | 403 | 303), "{} {}: {status} {body}", route.method, route.path);
                }
            }
            Needs::Member if route.path.contains('{') && !route.path.contains("{*") => {
                let address = route.path.replace("{id}", &device);
                let (status, body) = caller.call(&route, &address).await;
                assert!(matches!(status, 303 | 404), "{} {address}: {body}", route.method);
            }
            _ => {}
        }
    }
    assert_eq!(bob.get("/portal").await.0, 200, "nobody has signed Bob out");
}
