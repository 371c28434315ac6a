//! Whole requests to the application, on every route that there is: whatever comes, it is answered, and never with an error
//! of the server's own.

use axum::http::Method;
use guerdon_server::{Needs, openapi, routes};
use serde_json::Value;

use crate::described::example;
use crate::world::{KEY, World};
use crate::{forms, wire};

/// After so many requests the world is made anew: they end sessions and take rights away.
const REQUESTS: u32 = 2_000;

pub const WORDS: &[&str] = &[
    "\n",
    "\n\n",
    "POST ",
    "PUT ",
    "PATCH ",
    "DELETE ",
    "GET ",
    "HEAD ",
    "OPTIONS ",
    "?",
    "&",
    "=",
    "%",
    "%00",
    "%ff",
    "/",
    "../",
    "$MEMBER_ID",
    "$ORDER_ID",
    "$OPERATOR_ID",
    "$KEY_ID",
    "$CLIENT_ID",
    "$APPROVAL_ID",
    "$NUMBER",
    "after=",
    "before=",
    "limit=",
    "next=",
    "next=//evil.example",
    "q=",
    "from=2026-01-31",
    "to=",
    "null",
    "true",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "\"",
    "+",
    "content-type: application/json",
    "content-type: application/x-www-form-urlencoded",
    "content-type: multipart/form-data; boundary=edge",
    "idempotency-key: ",
    "cookie: ",
    "accept-language: zh",
    "authorization: Basic Og==",
    "authorization: Bearer ",
    "if-match: \"",
    "hx-request: true",
    "range: bytes=0-",
    "dry_run=true",
    "2026-02-30T25:61:00Z",
    "+262143-12-31T23:59:59Z",
    "-0",
    "1e999",
    "é",
    "\u{202e}",
    "guerdon_sso=",
    "guerdon_language=zh",
];

/// Every parameter of a path, and what stands there.
const PARAMETERS: &[(&str, &str)] = &[
    ("{member_id}", "$MEMBER_ID"),
    ("{order_id}", "$ORDER_ID"),
    ("{operator_id}", "$OPERATOR_ID"),
    ("{transaction_id}", "$TRANSACTION_ID"),
    ("{key_id}", "$KEY_ID"),
    ("{client_id}", "$CLIENT_ID"),
    ("{approval_id}", "$APPROVAL_ID"),
    ("{reward_id}", "voucher-5"),
    ("{register}", "processing"),
    ("{purpose}", "news"),
    ("{provider}", "acme"),
    ("{*path}", "guerdon.css"),
];

/// The same for pages, which call it an id or a name.
const IDS: &[(&str, &str)] = &[
    ("/members/", "$MEMBER_ID"),
    ("/operators/", "$OPERATOR_ID"),
    ("/orders/", "$ORDER_ID"),
    ("/keys/", "$KEY_ID"),
    ("/clients/", "$CLIENT_ID"),
    ("/approvals/", "$APPROVAL_ID"),
    ("/erasures/", "$MEMBER_ID"),
    ("/consents/", "news"),
    ("/roles/", "shop-lead"),
];

/// Fields of all forms, with something that fits. Each form takes its own.
const FORM: &str = "act=grant&action=add&actor=&birth_date=1990-05-17&closed=&code=123456&consent=news+1&currency=points&\
    current=four+quiet+winter+harbours&days=30&description=x&direction=add&email=ann%40example.org&give=true&id=1&\
    inactive=&into=$OTHER_ID&key=k-$NUMBER&kind=email&language=en&name=news&name_en=News&name_zh=%E6%96%B0&networks=&\
    next=%2Fconsole&note=ok&other=$OTHER_ID&overlap_hours=1&password=four+quiet+winter+harbours&per_day=&per_month=&\
    permission=members%3Aread&points=5&purpose=news&q=ann&rate=&reason=because&remove=1&role=service&stores=&subject=x&\
    sure=on&text_en=We+write&text_zh=%E5%86%99&to=ann%40example.org&token=grd_one_x&version=1";

/// What scripts of pages send.
const PASSKEY: &str = r#"{"email":"demo@example.org","label":"Phone","id":"AAAA","answer":{"id":"AAAA","rawId":"AAAA",
    "type":"public-key","response":{"clientDataJSON":"e30","attestationObject":"oA"}}}"#;

fn target(path: &str) -> String {
    let known = PARAMETERS.iter().fold(path.to_owned(), |path, (name, value)| path.replace(name, value));
    // What it is of stands before it.
    let of = IDS.iter().find(|(kind, _)| known.contains(kind));
    let id = of.map_or("1", |(_, id)| *id);
    known.split('/').map(|part| if part.starts_with('{') { id } else { part }).collect::<Vec<_>>().join("/")
}

/// Requests with a key, made from the description of the API.
pub fn of_programs() -> Vec<Vec<u8>> {
    let description = serde_json::to_value(openapi()).unwrap();
    let mut seeds = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let query = operation["parameters"].as_array().into_iter().flatten().filter(|one| one["in"] == "query");
            let names = query.map(|one| one["name"].as_str().unwrap());
            let query: Vec<String> = names.filter_map(|name| parameter(path, name)).collect();
            // At the token endpoint a program proves itself by its form.
            let key = if path.starts_with("/v1") { format!("authorization: Bearer {KEY}\n") } else { String::new() };
            let head = format!(
                "{} {}?{}\n{key}idempotency-key: k-$NUMBER\n",
                method.to_uppercase(),
                target(path),
                query.join("&")
            );
            let (kind, body) = body(&description, &operation["requestBody"]);
            seeds.push([format!("{head}content-type: {kind}\n\n").as_bytes(), &body].concat());
        }
    }
    seeds
}

/// A parameter of a query, where it is better there than left out.
fn parameter(path: &str, name: &str) -> Option<String> {
    let value = match name {
        "after" | "before" | "actor" | "action" | "subject" | "external_id" => return None,
        "stage" => "waiting",
        "dry_run" => "true",
        "transaction_id" => "$TRANSACTION_ID",
        "from" | "until" if path.contains("audit") => "2026-01-31T09:30:00Z",
        "from" | "to" | "size" => "0",
        _ => "1",
    };
    Some(format!("{name}={value}"))
}

/// The body that an operation describes, and its kind.
fn body(description: &Value, request: &Value) -> (&'static str, Vec<u8>) {
    let content = request["content"].as_object();
    let Some((kind, content)) = content.and_then(|content| content.iter().next()) else {
        return ("application/json", Vec::new());
    };
    match kind.as_str() {
        "multipart/form-data" => ("multipart/form-data; boundary=edge", forms::uploads().remove(0)),
        "application/x-www-form-urlencoded" => (
            "application/x-www-form-urlencoded",
            b"grant_type=client_credentials&client_id=$CLIENT_ID&client_secret=grd_cls_x&scope=members%3Aread".to_vec(),
        ),
        _ => ("application/json", example(description, "", &content["schema"]).to_string().into_bytes()),
    }
}

/// Requests of people: every page, and every form with the fields of all.
pub fn of_browsers() -> Vec<Vec<u8>> {
    let routes = routes().unwrap();
    let mut all: Vec<(Method, String, Needs)> = routes
        .iter()
        .filter(|(_, path, _)| !path.starts_with("/v1") && !path.starts_with("/oauth"))
        .map(|(method, path, needs)| (method.clone(), path.to_owned(), needs))
        .collect();
    all.sort_by_key(|(method, path, _)| (path.clone(), method.to_string()));
    all.into_iter()
        .map(|(method, path, needs)| {
            let cookie = if needs == Needs::Member { "guerdon_member=$MEMBER" } else { "guerdon_session=$OPERATOR" };
            let query = if method == Method::GET { "?q=ann&after=&next=%2Fconsole&code=x&state=x" } else { "" };
            // Who signs in has no session yet.
            let cookie = if needs == Needs::Nothing { "guerdon_language=en" } else { cookie };
            let head = format!("{method} {}{query}\ncookie: {cookie}\nsec-fetch-site: same-origin\n", target(&path));
            let form = "content-type: application/x-www-form-urlencoded\n\n";
            let (form, body) = match &method {
                &Method::GET => ("\n", ""),
                _ if path.contains("passkey") => ("content-type: application/json\n\n", PASSKEY),
                _ => (form, FORM),
            };
            [head.as_str(), form, body].concat().into_bytes()
        })
        .collect()
}

/// How many of these requests do what they ask for.
pub fn understood(requests: &[Vec<u8>]) -> usize {
    let world = World::new();
    let done = |(number, request): (usize, &Vec<u8>)| {
        let request = wire::request(&world.fill(request, number as u32)).unwrap();
        let what = format!("{} {}", request.method(), request.uri());
        let (response, body) = world.answer(request, number as u32);
        let shown: String = text(&body).chars().take(200).collect();
        println!("{what}: {} {shown}", response.status());
        response.status().as_u16() < 400
    };
    requests.iter().enumerate().filter(|one| done(*one)).count()
}

/// Answers requests, in a world that is made anew now and then.
pub fn answered() -> impl FnMut(&[u8]) -> String + Send {
    let mut number = 0;
    let mut world = None;
    move |input| {
        if number % REQUESTS == 0 {
            world = None;
        }
        number += 1;
        let world = world.get_or_insert_with(World::new);
        let Some(request) = wire::request(&world.fill(input, number)) else { return "no request".to_owned() };
        let what = format!("{} {}", request.method(), request.uri().path());
        let (response, body) = world.answer(request, number);
        let status = response.status().as_u16();
        let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
        let shown = || String::from_utf8_lossy(&body).chars().take(600).collect::<String>();
        let busy = status == 503 && matches!(problem["code"].as_str(), Some("busy" | "unavailable"));
        assert!(status < 500 || busy, "{what}: {status} {}", shown());
        let place: String = what.split('/').take(3).collect::<Vec<_>>().join("/");
        let header = |name: &str| response.headers().get(name).map(|value| text(value.as_bytes())).unwrap_or_default();
        let (kind, location) = (header("content-type"), header("location"));
        let location = location.split(['?', '#']).next().unwrap_or_default();
        let status = char::from_u32(u32::from(status) + 0x4e00).unwrap_or('?');
        format!("{place} {status} {kind} {location} {} {}", problem["code"], problem["detail"])
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
