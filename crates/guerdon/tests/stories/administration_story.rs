//! What the console can do beside showing: roles, consent texts, registers, retention, erasure, and acts on accounts and
//! orders. Each through the same checks as the API.

use guerdon_tests::smtp::SmtpServer;
use serde_json::{Value, json};

use crate::support::person::{Person, totp};
use crate::support::{Server, gift_club, init};

const PASSWORD: &str = "seven sunny orange bicycles";

async fn served(folder: &tempfile::TempDir) -> Server {
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    Server::start(&data)
}

async fn owner(server: &Server) -> Person {
    let mut olga = Person::new(server);
    olga.set_up(&server.setup_link, "olga@example.org", "Olga", PASSWORD).await;
    olga
}

async fn colleague(server: &Server, email: &str, name: &str, role: &str) -> Person {
    let body = json!({ "email": email, "name": name, "grants": [{ "role": role }] });
    let (status, invited) = server.post("/v1/operators", "", body).await;
    assert_eq!(status, 201, "{invited}");
    let mut person = Person::new(server);
    person.accept(&path(&invited["link"]), name, "four quiet winter harbours").await;
    person
}

/// The path of a link that leads into the console.
fn path(link: &Value) -> String {
    format!("/console{}", link.as_str().unwrap().split_once("/console").unwrap().1)
}

/// A hidden field of a page.
fn hidden(page: &str, name: &str) -> String {
    let field = page.split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap_or_else(|| panic!("no {name}: {page}"));
    field.split('"').next().unwrap().to_owned()
}

async fn available(server: &Server, member: &str) -> i64 {
    server.get(&format!("/v1/members/{member}/wallet")).await.1[0]["available"].as_i64().unwrap()
}

async fn actions(server: &Server, subject: &str) -> Vec<String> {
    let (_, events) = server.get(&format!("/v1/audit?subject={subject}")).await;
    events["items"].as_array().unwrap().iter().map(|event| event["action"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_of_one_s_own_is_made_changed_and_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let server = served(&folder).await;
    let mut olga = owner(&server).await;
    let page = olga.get("/console/roles").await.1;
    assert!(page.contains("Sees everything, changes nothing") && page.contains("Correct balances by hand"), "{page}");
    let role = [("name", "counter"), ("description", "At the counter"), ("permission", "members:read")];
    assert_eq!(olga.post("/console/roles", &role).await.0, 303);
    let (status, page) = olga.post("/console/roles", &role).await;
    assert!(status == 422 && page.contains("There is a role of this name already"), "{page}");
    for (name, permission) in [("Counter!", "members:read"), ("empty", "members:own"), ("owner", "members:read")] {
        let wrong = [("name", name), ("description", "x"), ("permission", permission)];
        assert_eq!(olga.post("/console/roles", &wrong).await.0, 422, "{name} {permission}");
    }
    let change = [
        ("act", "save"),
        ("description", "At the counter"),
        ("permission", "members:read"),
        ("permission", "cards:verify"),
    ];
    assert_eq!(olga.post("/console/roles/counter", &change).await.0, 303);
    let page = olga.get("/console/roles/counter").await.1;
    assert!(page.contains("value=\"cards:verify\" checked") && page.contains("nobody has it"), "{page}");
    // Whoever has it may do that and no more, and it is not deleted under them.
    let mut carl = colleague(&server, "carl@example.org", "Carl", "counter").await;
    assert_eq!((carl.get("/console/members").await.0, carl.get("/console/roles").await.0), (200, 403));
    let (status, page) = olga.post("/console/roles/counter", &[("act", "delete")]).await;
    assert!(status == 422 && page.contains("Operators have this role"), "{page}");
    // One that ships is only read; one that is gone is not made by changing it.
    assert_eq!(olga.post("/console/roles/owner", &change).await.0, 422);
    assert_eq!(olga.post("/console/roles/ghost", &change).await.0, 404);
    assert!(!olga.get("/console/roles/owner").await.1.contains("type=\"checkbox\""));
    assert_eq!(actions(&server, "counter").await, ["role.put", "role.put"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gives_a_role_what_they_lack() {
    let folder = tempfile::tempdir().unwrap();
    let server = served(&folder).await;
    let mut olga = owner(&server).await;
    let keeper = [
        ("name", "keeper"),
        ("description", "Keeps operators"),
        ("permission", "operators:read"),
        ("permission", "operators:write"),
    ];
    assert_eq!(olga.post("/console/roles", &keeper).await.0, 303);
    let strong = [("name", "strong"), ("description", "More"), ("permission", "members:adjust")];
    assert_eq!(olga.post("/console/roles", &strong).await.0, 303);
    let mut kit = colleague(&server, "kit@example.org", "Kit", "keeper").await;
    let page = kit.get("/console/roles").await.1;
    assert!(page.contains("value=\"operators:write\"") && !page.contains("value=\"members:adjust\""), "{page}");
    let more = [("name", "more"), ("description", "x"), ("permission", "members:adjust")];
    let (status, page) = kit.post("/console/roles", &more).await;
    assert!(status == 422 && page.contains("Nobody can give what they may not do themselves"), "{page}");
    let page = kit.get("/console/roles/strong").await.1;
    assert!(page.contains("You cannot change this role") && !page.contains("type=\"checkbox\""), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_texts_are_published_in_versions() {
    let folder = tempfile::tempdir().unwrap();
    let server = served(&folder).await;
    let mut olga = owner(&server).await;
    let text = |english: &'static str| {
        [
            ("id", "news"),
            ("name_en", "News"),
            ("name_zh", "资讯"),
            ("text_en", english),
            ("text_zh", "我们每月写信一次。"),
        ]
    };
    assert_eq!(olga.post("/console/consents", &text("We write once a month.\r\nNo more often.")).await.0, 303);
    let (status, page) = olga.post("/console/consents", &text("Twice")).await;
    assert!(status == 422 && page.contains("There is a purpose of this name already"), "{page}");
    let here = "/console/consents/news";
    // The same text in the same words is the same version, however a browser ends its lines.
    assert_eq!(olga.post(here, &text("We write once a month.\r\nNo more often.")).await.0, 303);
    assert_eq!(server.get("/v1/consent-purposes").await.1[0]["version"], 1);
    assert_eq!(olga.post(here, &text("We write twice a month.")).await.0, 303);
    let page = olga.get(here).await.1;
    assert!(page.contains("Version 2") && page.contains("Version 1") && page.contains("once a month"), "{page}");
    assert!(page.contains("by Olga"), "{page}");
    assert_eq!(olga.post(here, &text(" ")).await.0, 422);
    assert_eq!(olga.get("/console/consents/other").await.0, 404);
    let mut aud = colleague(&server, "aud@example.org", "Aud", "auditor").await;
    let page = aud.get(here).await.1;
    assert!(page.contains("twice a month") && !page.contains("<textarea"), "sees, changes nothing: {page}");
    assert_eq!(aud.post(here, &text("Mine")).await.0, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn registers_and_retention_are_kept_in_the_console() {
    let folder = tempfile::tempdir().unwrap();
    let server = served(&folder).await;
    let mut olga = owner(&server).await;
    let entry = |title: &'static str| {
        [
            ("act", "save"),
            ("title", title),
            ("purpose", "Offers"),
            ("legal_basis", "Consent"),
            ("data", "Name\r\nE-mail"),
        ]
    };
    for register in ["processing", "impact_assessment", "sharing"] {
        assert_eq!(olga.post(&format!("/console/registers/{register}"), &entry("Newsletter")).await.0, 303);
        let here = olga.location.clone();
        assert_eq!(olga.post(&here, &entry("Letters")).await.0, 303);
        let page = olga.get(&here).await.1;
        assert!(page.contains("Letters") && page.contains("Newsletter"), "both versions: {page}");
        assert_eq!(olga.post(&here, &entry(" ")).await.0, 422);
        if register == "sharing" {
            assert_eq!(olga.post(&here, &[("act", "remove")]).await.0, 303);
            assert_eq!(olga.get(&here).await.0, 404);
        }
    }
    let page = olga.get("/console/registers").await.1;
    assert_eq!((page.matches("Letters").count(), page.matches("There is no entry yet").count()), (2, 1), "{page}");
    assert_eq!(olga.get("/console/registers/other").await.0, 404);

    let (status, page) = olga.post("/console/retention", &[("inactive", "30"), ("closed", "")]).await;
    assert!(status == 422 && page.contains("365 to 36,500") && page.contains("value=\"30\""), "{page}");
    assert_eq!(olga.post("/console/retention", &[("inactive", "often"), ("closed", "")]).await.0, 422);
    assert_eq!(olga.post("/console/retention", &[("inactive", "1095"), ("closed", "30")]).await.0, 303);
    let page = olga.get("/console/retention").await.1;
    assert!(page.contains("value=\"1095\"") && page.contains("1095 days"), "{page}");
    assert_eq!(
        server.get("/v1/retention-policy").await.1,
        json!({"inactive_member_days": 1095, "closed_member_days": 30})
    );
    let mut sam = colleague(&server, "sam@example.org", "Sam", "service").await;
    for path in ["registers", "retention", "consents", "roles"] {
        assert_eq!(sam.get(&format!("/console/{path}")).await.0, 403, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balance_is_adjusted_and_a_large_one_waits() {
    let folder = tempfile::tempdir().unwrap();
    let server = served(&folder).await;
    let mut olga = owner(&server).await;
    let ann = server.member("ann", 100).await;
    let here = format!("/console/members/{ann}/adjust");
    let page = olga.get(&here).await.1;
    let key = hidden(&page, "key");
    let form = |points: &'static str, direction: &'static str| {
        [
            ("key", key.clone()),
            ("direction", direction.to_owned()),
            ("points", points.to_owned()),
            ("reason", "goodwill".to_owned()),
        ]
    };
    let send = |form: [(&'static str, String); 4]| form;
    for wrong in ["0", "-5", "1.5", "many", ""] {
        let form = send(form(wrong, "add"));
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(olga.post(&here, &form).await.0, 422, "{wrong}");
    }
    let once = form("1,000", "add");
    let once: Vec<(&str, &str)> = once.iter().map(|(name, value)| (*name, value.as_str())).collect();
    for _ in 0..2 {
        assert_eq!(olga.post(&here, &once).await.0, 303);
    }
    assert_eq!(available(&server, &ann).await, 1_100, "a form that is sent twice acts once");
    let key = hidden(&olga.get(&here).await.1, "key");
    let take = [("key", key.as_str()), ("direction", "take"), ("points", "2000"), ("reason", "x")];
    let (status, page) = olga.post(&here, &take).await;
    assert!(status == 422 && page.contains("does not have so many points"), "{page}");
    let key = hidden(&olga.get(&here).await.1, "key");
    let large = [("key", key.as_str()), ("direction", "add"), ("points", "50,000"), ("reason", "a grave mistake")];
    assert_eq!(olga.post(&here, &large).await.0, 303);
    assert_eq!(available(&server, &ann).await, 1_100);
    let page = olga.get(&format!("/console/members/{ann}")).await.1;
    assert!(page.contains("Waits for another operator") && page.contains("/console/approvals"), "{page}");
    assert!(page.contains("Console ·"), "the history names the channel: {page}");
    // Who may only look is offered nothing, and the server refuses all the same.
    let mut aud = colleague(&server, "aud@example.org", "Aud", "auditor").await;
    assert!(!aud.get(&format!("/console/members/{ann}")).await.1.contains("/adjust"));
    assert_eq!((aud.get(&here).await.0, aud.post(&here, &large).await.0), (403, 403));
    assert!(actions(&server, &ann).await.contains(&"member.adjust".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_refunded_and_a_large_one_waits() {
    let folder = tempfile::tempdir().unwrap();
    let server = served(&folder).await;
    let mut olga = owner(&server).await;
    let ann = server.member("ann", 6_000).await;
    let order = async |key: &str, quantity: i64, capture: bool| {
        let body = json!({ "member_id": ann, "reward_id": "voucher-5", "quantity": quantity, "capture": capture });
        let (status, receipt) = server.post("/v1/orders", key, body).await;
        assert_eq!(status, 201, "{receipt}");
        receipt["order"]["id"].as_str().unwrap().to_owned()
    };
    let (small, held) = (order("o-1", 1, true).await, order("o-2", 1, false).await);
    let page = olga.get(&format!("/console/members/{ann}")).await.1;
    assert!(page.contains(&format!("/console/orders/{small}")), "{page}");
    assert!(!olga.get(&format!("/console/orders/{held}")).await.1.contains("/refund"), "it is not captured");
    let here = format!("/console/orders/{small}");
    let key = hidden(&olga.get(&here).await.1, "key");
    let refund = [("key", key.as_str()), ("reason", "printed wrongly")];
    assert_eq!(olga.post(&format!("{here}/refund"), &refund).await.0, 303);
    let page = olga.get(&here).await.1;
    assert!(page.contains("refunded") && !page.contains("/refund\""), "{page}");
    assert_eq!(available(&server, &ann).await, 5_500);
    let (status, page) = olga.post(&format!("/console/orders/{held}/refund"), &[("key", "k"), ("reason", "x")]).await;
    assert!(status == 422 && page.contains("The order has moved on"), "{page}");

    let mut policy = server.get("/v1/approval-policy").await.1;
    policy["refund_points"] = json!(100);
    assert_eq!(server.put("/v1/approval-policy", policy).await.0, 200);
    let large = order("o-3", 2, true).await;
    let here = format!("/console/orders/{large}");
    let key = hidden(&olga.get(&here).await.1, "key");
    assert_eq!(olga.post(&format!("{here}/refund"), &[("key", &key), ("reason", "two of them")]).await.0, 303);
    let page = olga.get(&here).await.1;
    assert!(page.contains("Waits for another operator") && !page.contains("/refund\""), "{page}");
    assert_eq!(available(&server, &ann).await, 4_500);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_accounts_are_merged_and_one_is_closed_after_a_fresh_proof() {
    let folder = tempfile::tempdir().unwrap();
    let server = served(&folder).await;
    let mut olga = owner(&server).await;
    let (old, new, third) =
        (server.member("C-1", 600).await, server.member("C-2", 50).await, server.member("C-3", 5).await);
    let here = format!("/console/members/{old}/merge");
    assert!(olga.get(&format!("{here}?other=nobody")).await.1.contains("No member has"));
    assert!(olga.get(&format!("{here}?other=C-1")).await.1.contains("This is the same account"));
    let page = olga.get(&format!("{here}?other=C-2")).await.1;
    assert!(page.contains(&old) && page.contains(&new) && page.contains("600 points"), "{page}");
    let (key, into) = (hidden(&page, "key"), hidden(&page, "into"));
    let form = [("key", key.as_str()), ("into", into.as_str()), ("reason", "Same person")];
    assert_eq!(olga.post(&here, &form).await.0, 422, "both must have been looked at");
    let form = [form.as_slice(), &[("sure", "yes")]].concat();
    assert_eq!(olga.post(&here, &form).await.0, 303);
    assert_eq!(olga.location, format!("/console/members/{new}"));
    assert_eq!(available(&server, &new).await, 650);
    assert!(olga.get(&format!("/console/members/{old}")).await.1.contains(&new), "the old id leads on");

    // A key proves nothing, so it is led to the sign-in, and nothing is closed.
    let close = format!("/console/members/{third}/close");
    let request = server.client.get(format!("{}{close}", server.address)).send().await.unwrap();
    assert!(request.text().await.unwrap().contains("prove first that it is you"));
    let page = olga.get(&close).await.1;
    assert!(page.contains("forfeited") && page.contains("5 points"), "{page}");
    let form = [("key", hidden(&page, "key")), ("reason", "moved away".to_owned())];
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(olga.post(&close, &form).await.0, 303);
    assert_eq!(available(&server, &third).await, 0);
    assert_eq!(olga.get(&close).await.0, 404, "it is closed");
    let page = olga.get(&format!("/console/members/{third}")).await.1;
    assert!(!page.contains("/close") && !page.contains("/merge") && page.contains("/erase"), "{page}");
    assert!(actions(&server, &new).await.contains(&"member.merge".to_owned()));
    assert!(actions(&server, &third).await.contains(&"member.close".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_is_asked_for_listed_and_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let server = served(&folder).await;
    let mut olga = owner(&server).await;
    let ann = server.member("ann", 10).await;
    let here = format!("/console/members/{ann}/erase");
    assert!(olga.get(&here).await.1.contains("in 14 days"));
    assert_eq!(olga.post(&here, &[("reason", " ")]).await.0, 422);
    assert_eq!(olga.post(&here, &[("reason", "asked by letter")]).await.0, 303);
    assert!(olga.get(&format!("/console/members/{ann}")).await.1.contains("will be erased at"));
    let page = olga.get("/console/erasures").await.1;
    assert!(page.contains("asked by letter") && page.contains("Olga") && page.contains(&ann), "{page}");
    for _ in 0..2 {
        assert_eq!(olga.post(&format!("/console/erasures/{ann}/withdraw"), &[]).await.0, 303, "twice is once");
    }
    assert!(olga.get("/console/erasures").await.1.contains("No erasure waits"));
    let (status, _) = server.get(&format!("/v1/members/{ann}/erasure")).await;
    assert_eq!(status, 404);
    assert!(actions(&server, &ann).await.contains(&"erasure.withdraw".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn invitations_and_notices_go_out_by_e_mail() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let mut mail = SmtpServer::start(&[]);
    let smtp = format!("smtp://127.0.0.1:{}?tls=none", mail.port);
    let flags = ["--smtp-url", &smtp, "--mail-from", "Gift Club <points@example.org>"];
    let server = Server::start_with(&data, &flags);
    let grants = json!([{ "role": "service" }]);
    let body = json!({ "email": "sam@example.org", "name": "Sam", "grants": grants });
    let (status, invited) = server.post("/v1/operators", "", body).await;
    assert_eq!((status, invited["sent_to"].as_str()), (201, Some("sam@example.org")), "{invited}");
    let letter = |mail: &mut SmtpServer, to: &str| -> String {
        let letter: Value = mail.letter();
        assert_eq!(letter["to"], json!([to]));
        letter["data"].as_str().unwrap().replace("=\r\n", "").replace("=3D", "=")
    };
    let text = letter(&mut mail, "sam@example.org");
    assert!(text.contains(invited["link"].as_str().unwrap()) && text.contains("as Service"), "{text}");

    // The member learns of an erasure that somebody else has asked for.
    let profile = json!({ "external_id": "ann", "email": "ann@example.org", "language": "en" });
    let (_, receipt) = server.post("/v1/members", "ann", profile).await;
    let erasure = format!("/v1/members/{}/erasure", receipt["member_id"].as_str().unwrap());
    assert_eq!(server.post(&erasure, "", json!({ "reason": "retention" })).await.0, 201);
    let text = letter(&mut mail, "ann@example.org");
    assert!(text.contains("will be erased for ever at") && text.contains("/portal/privacy"), "{text}");

    // A device that was not seen before is told of; the one that accepted the invitation was the first.
    let mut sam = Person::new(&server);
    let secret = sam.accept(&path(&invited["link"]), "Sam", PASSWORD).await;
    let mut elsewhere = Person::new(&server);
    elsewhere.sign_in("sam@example.org", PASSWORD, &totp(&secret, 30)).await;
    let text = letter(&mut mail, "sam@example.org");
    assert!(text.contains("A new device signed in") && text.contains("127.0.0.1"), "{text}");
}
