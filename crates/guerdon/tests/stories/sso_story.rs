//! Operators come in by an identity provider, a real one: with the roles that its groups give, as long as they give them.

use std::path::Path;

use guerdon_tests::free_port;
use guerdon_tests::oidc::{CLIENT_SECRET, OidcProvider};
use serde_json::{Value, json};

use crate::support::person::Person;
use crate::support::provider::at_provider;
use crate::support::{GUERDON, Server, gift_club, http_client, init};

/// The company's provider, at `port`; `ours` is the server's.
fn company(port: u16, ours: u16, ada: &[&str], claims_in_id_token: bool) -> OidcProvider {
    let back = |id: &str| format!("http://localhost:{ours}/console/sso/{id}/callback");
    let person = |email: &str, groups: &[&str]| json!({ "email": email, "email_verified": true, "name": email, "groups": groups });
    let mut eve = person("ada@example.com", &["loyalty-admins"]);
    eve["email_verified"] = json!(false);
    OidcProvider::start(&json!({
        "port": port,
        "clients": [{ "client_id": "guerdon", "client_secret": CLIENT_SECRET, "redirect_uris": [back("acme"), back("other")] }],
        "claimsInIdToken": claims_in_id_token,
        "accounts": {
            "ada": person("ada@example.com", ada),
            "ben": person("ben@example.com", &["loyalty-service", "staff"]),
            "cyd": person("cyd@example.com", &["gardeners"]),
            "olga": person("olga@example.com", &["loyalty-service"]),
            "eve": eve,
        },
    }))
}

/// Two ways to the same provider: one that creates operators, and one that links them and asks for a second step of ours.
fn providers(folder: &Path, issuer: &str) -> String {
    let secret = folder.join("client-secret");
    std::fs::write(&secret, format!("{CLIENT_SECRET}\n")).unwrap();
    let provider = |id: &str, more: &str| {
        format!(
            "[[provider]]\nid = \"{id}\"\nname = \"{id} & Co\"\nissuer = \"{issuer}\"\nclient_id = \"guerdon\"\n\
             client_secret_file = {secret:?}\nscopes = [\"email\", \"profile\", \"groups\"]\n{more}\n\
             [[provider.mapping]]\nclaim = \"groups\"\nvalue = \"loyalty-admins\"\nrole = \"administrator\"\n\
             [[provider.mapping]]\nclaim = \"groups\"\nvalue = \"loyalty-service\"\nrole = \"service\"\nstores = [\"north\"]\n"
        )
    };
    let text = provider("acme", "create_operators = true\ntrust_second_factor = true")
        + &provider("other", "link_by_email = true");
    let file = folder.join("providers.toml");
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

fn served(folder: &Path, issuer: &str, port: u16) -> Server {
    let data = folder.join("data");
    init(&data, &gift_club(10));
    let (listen, sso) = (format!("127.0.0.1:{port}"), providers(folder, issuer));
    let outbound = ["--allow-private-outbound", "127.0.0.0/8", "--allow-http-outbound", "127.0.0.1"];
    Server::start_with(&data, &[&["--listen", &listen, "--sso", &sso][..], &outbound].concat())
}

/// The way there and back; gives where the server leads to in the end.
async fn come(person: &mut Person, way: &str, who: &str) -> String {
    assert_eq!(person.get(&format!("/console/sso/{way}")).await.0, 303);
    let back = at_provider(&person.location, who).await;
    assert_eq!(person.get(&back).await.0, 303);
    assert!(!person.cookies.contains_key("guerdon_sso"), "the attempt is over");
    person.location.clone()
}

async fn operator(server: &Server, email: &str) -> Option<Value> {
    let (_, operators) = server.get("/v1/operators").await;
    operators.as_array().unwrap().iter().find(|one| one["email"] == email).cloned()
}

const OVER: &str = "/console/sign-in?trouble=sso-over";
const NO_ACCESS: &str = "/console/sign-in?trouble=sso-no-access";

#[tokio::test(flavor = "multi_thread")]
async fn who_the_company_vouches_for_comes_in_with_the_roles_of_their_groups() {
    let folder = tempfile::tempdir().unwrap();
    let ours = free_port();
    let company_at_work = company(0, ours, &["loyalty-admins"], true);
    let issuer = company_at_work.issuer.clone();
    let server = served(folder.path(), &issuer, ours);

    let mut ada = Person::new(&server);
    let (_, page) = ada.get("/console/sign-in?next=/console/members").await;
    assert!(page.contains("acme &#38; Co") && page.contains("/console/sso/acme?next=%2Fconsole%2Fmembers"), "{page}");
    assert_eq!(come(&mut ada, "acme?next=/console/members", "ada").await, "/console/members");
    assert_eq!(ada.get("/console/members").await.0, 200);
    let known = operator(&server, "ada@example.com").await.unwrap();
    assert_eq!((&known["state"], &known["grants"][0]["role"]), (&json!("active"), &json!("administrator")));
    let (_, events) = server.get("/v1/audit?action=operator.create").await;
    assert_eq!(events["items"][0]["reason"], "single sign-on by acme", "{events}");
    let mut again = Person::new(&server);
    assert_eq!(come(&mut again, "acme?next=https://evil.example/", "ada").await, "/console", "next is a page of ours");

    // Who has no group, another's address, or changed their mind, does not come in and leaves no operator behind.
    let mut stranger = Person::new(&server);
    assert_eq!(come(&mut stranger, "acme?next=", "cyd").await, NO_ACCESS);
    assert!(stranger.get(NO_ACCESS).await.1.contains("You are known there, but have no access here"));
    assert_eq!(come(&mut stranger, "acme?next=", "eve").await, NO_ACCESS);
    assert_eq!(come(&mut stranger, "acme?next=", "nobody").await, "/console/sign-in?trouble=sso-cancelled");
    assert_eq!(stranger.get("/console").await.0, 303);
    assert!(operator(&server, "cyd@example.com").await.is_none());
    assert!(!stranger.get("/console/sign-in?trouble=<script>").await.1.contains("<script>"));
    assert_eq!(stranger.get("/console/sso/nobody?next=").await.0, 303);
    assert_eq!(stranger.location, OVER);

    // The company moves Ada to another group, and changes its keys meanwhile; the groups are in the user info now.
    drop(company_at_work);
    let port = issuer.rsplit(':').next().unwrap().parse().unwrap();
    let company_at_work = company(port, ours, &["loyalty-service"], false);
    assert_eq!(come(&mut again, "acme?next=", "ada").await, "/console");
    let grants = operator(&server, "ada@example.com").await.unwrap()["grants"].clone();
    assert_eq!(grants, json!([{ "role": "service", "program": "*", "stores": ["north"] }]));

    // Then she leaves it: she does not come in any more, and where she was signed in she is out.
    drop(company_at_work);
    let company_at_work = company(port, ours, &[], true);
    assert_eq!(again.get("/console/account").await.0, 200);
    // Who is signed in and is to prove it once more has no password, and is asked anew by the company.
    again.get("/console/sso/acme?next=/console/account").await;
    assert!(again.location.contains("prompt=login") && again.location.contains("max_age=0"), "{}", again.location);
    assert_eq!(come(&mut Person::new(&server), "acme?next=", "ada").await, NO_ACCESS);
    assert_eq!(again.get("/console/account").await.0, 303);
    assert_eq!(operator(&server, "ada@example.com").await.unwrap()["grants"], json!([]));
    drop(company_at_work);
    assert_eq!(come_as_far_as(&mut again).await, OVER, "an answer without an attempt");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_proves_anew_is_asked_by_the_provider_and_no_link_of_another_site_begins_it() {
    let folder = tempfile::tempdir().unwrap();
    let ours = free_port();
    let company = company(0, ours, &["loyalty-admins"], true);
    let server = served(folder.path(), &company.issuer, ours);
    let mut ada = Person::new(&server);
    const PROVE: &str = "To change how and where you sign in, prove that it is you";
    assert_eq!(come(&mut ada, "acme?next=", "ada").await, "/console");
    assert!(ada.get("/console/account").await.1.contains(PROVE), "the provider has not said when it asked her");
    ada.get("/console/sso/acme?next=/console/account").await;
    let way = ada.location.clone();
    assert!(way.contains("max_age=0"), "{way}");
    // Without that the provider may answer for what it remembers, and says nothing of the time: no proof.
    let back =
        at_provider(&way.replace("max_age=0", "max_age_=0").replace("prompt=login", "prompt_=login"), "ada").await;
    ada.get(&back).await;
    assert_eq!(ada.location, "/console/sign-in?trouble=sso-unavailable");
    assert!(ada.get("/console/account").await.1.contains(PROVE));
    assert_eq!(come(&mut ada, "acme?next=/console/account", "ada").await, "/console/account");
    assert!(!ada.get("/console/account").await.1.contains(PROVE));

    for (site, begins) in [("cross-site", false), ("same-site", false), ("same-origin", true), ("none", true)] {
        let client = http_client().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let request = client.get(format!("{}/console/sso/acme?next=/console/members", server.address));
        let answer = request.header("sec-fetch-site", site).send().await.unwrap();
        let to = answer.headers()["location"].to_str().unwrap();
        assert_eq!(to.starts_with(&company.issuer), begins, "{site}: {to}");
        assert_eq!(to == "/console/sign-in?next=%2Fconsole%2Fmembers", !begins, "{site}: {to}");
    }
}

async fn come_as_far_as(person: &mut Person) -> String {
    person.get("/console/sso/acme/callback?code=x&state=y").await;
    person.location.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_counts_once_in_one_browser_and_in_the_name_of_one_provider() {
    let folder = tempfile::tempdir().unwrap();
    let ours = free_port();
    let company = company(0, ours, &["loyalty-admins"], true);
    let server = served(folder.path(), &company.issuer, ours);
    let mut ada = Person::new(&server);

    ada.get("/console/sso/acme?next=").await;
    let back = at_provider(&ada.location, "ada").await;
    let attempt = ada.cookies["guerdon_sso"].clone();
    let mut thief = Person::new(&server);
    let mut answer = async |path: &str, cookie: Option<&str>| {
        thief.cookies.clear();
        if let Some(cookie) = cookie {
            thief.cookies.insert("guerdon_sso".to_owned(), cookie.to_owned());
        }
        thief.get(path).await;
        assert!(!thief.cookies.contains_key("guerdon_session") || thief.location == "/console");
        thief.location.clone()
    };
    assert_eq!(answer(&back, None).await, OVER, "another browser");
    assert_eq!(answer(&back.replace("/acme/", "/other/"), Some(&attempt)).await, OVER, "another provider");
    assert_eq!(answer(&back.replace("state=", "state=x"), Some(&attempt)).await, OVER, "another state");
    let issuer: String = url::form_urlencoded::byte_serialize(company.issuer.as_bytes()).collect();
    assert!(back.contains(&issuer), "this provider names itself: {back}");
    assert_eq!(answer(&back.replace(&issuer, "https%3A%2F%2Fevil"), Some(&attempt)).await, OVER, "another issuer");
    assert_eq!(answer(&back, Some(&attempt)).await, "/console");
    assert_eq!(answer(&back, Some(&attempt)).await, OVER, "the same answer again");

    // A code that was given for another attempt is bound to that one's secrets.
    ada.get("/console/sso/acme?next=").await;
    let first = at_provider(&ada.location, "ada").await;
    let code_of = |path: &str| path.split("code=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    ada.get("/console/sso/acme?next=").await;
    let second = at_provider(&ada.location, "ada").await;
    ada.get(&second.replace(&code_of(&second), &code_of(&first))).await;
    assert_eq!(ada.location, "/console/sign-in?trouble=sso-unavailable");
    assert!(!ada.cookies.contains_key("guerdon_session"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_is_linked_by_a_verified_address_where_the_file_says_so_and_an_owner_never() {
    let folder = tempfile::tempdir().unwrap();
    let ours = free_port();
    let company = company(0, ours, &["loyalty-admins"], true);
    let server = served(folder.path(), &company.issuer, ours);
    let mut olga = Person::new(&server);
    olga.set_up(&server.setup_link, "olga@example.com", "Olga", "seven sunny orange bicycles").await;
    let invited = json!({ "email": "ben@example.com", "name": "Ben", "grants": [{ "role": "auditor" }] });
    let (status, answer) = server.post("/v1/operators", "ben", invited).await;
    assert_eq!(status, 201, "{answer}");

    let mut ben = Person::new(&server);
    assert_eq!(come(&mut ben, "acme?next=", "ben").await, NO_ACCESS, "acme links nobody");
    assert_eq!(come(&mut ben, "other?next=", "ada").await, NO_ACCESS, "other creates nobody");
    assert_eq!(come(&mut ben, "other?next=", "olga").await, NO_ACCESS, "an owner");
    assert_eq!(come(&mut ben, "other?next=", "ben").await, "/console/sign-in/code");
    assert_eq!(ben.get("/console").await.0, 303, "the second step is still owed");
    assert_eq!(ben.get("/console/sign-in/code").await.0, 303);
    assert_eq!(ben.location, "/console/sign-in/authenticator");
    let linked = operator(&server, "ben@example.com").await.unwrap();
    let roles: Vec<&str> =
        linked["grants"].as_array().unwrap().iter().map(|one| one["role"].as_str().unwrap()).collect();
    assert_eq!((linked["state"].as_str().unwrap(), roles), ("active", vec!["auditor", "service"]));

    let id = linked["id"].as_str().unwrap();
    let (status, answer) =
        server.patch(&format!("/v1/operators/{id}"), json!({ "act": "suspend", "reason": "left" })).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(come(&mut ben, "other?next=", "ben").await, NO_ACCESS, "suspended");
}

#[test]
fn a_file_that_is_wrong_keeps_the_server_from_starting_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let file = providers(folder.path(), "https://id.example.org");
    let right = std::fs::read_to_string(&file).unwrap();
    let wrong = [
        (right.replace("administrator", "owner"), "only an owner"),
        (right.replace("link_by_email", "link_by_mail"), "link_by_mail"),
        (right.replace("client-secret", "no-such-secret"), "no-such-secret"),
        (right.replace("https://", ""), "`issuer`"),
    ];
    for (text, why) in wrong {
        std::fs::write(&file, text).unwrap();
        let mut command = std::process::Command::new(GUERDON);
        command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir", data.to_str().unwrap(), "--sso", &file]);
        let output = command.output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains(why), "{why}: {error}");
    }
}
