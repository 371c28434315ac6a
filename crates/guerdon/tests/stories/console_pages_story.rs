//! Every page of the console in a headless browser, on a desk and on a small phone, in English and in Chinese: nothing sticks
//! out at the side, and no word is missing.

use fantoccini::{Client, Locator};
use serde_json::{Value, json};

use crate::support::browser::{browser, enter, shown, sideways, size, text, whole_page};
use crate::support::person::Person;
use crate::support::{Server, gift_club, init};

/// What has happened at a club that is in use, as far as the pages show it. Returns the addresses of pages with ids.
async fn lived_in(server: &Server, olga: &mut Person, gina: &mut Person) -> Vec<(String, &'static str)> {
    let profile = json!({ "external_id": "C-1007", "name": "Ann Smith", "email": "ann.smith@example.org",
        "phone": "13812345678", "birth_date": "1990-05-17", "language": "en", "country": "GB",
        "attributes": { "preferred_store": "north" } });
    let ann = made(server, "/v1/members", profile).await["member_id"].as_str().unwrap().to_owned();
    let adjust = json!({ "points": 9_000, "reason": "Opening balance" });
    made(server, &format!("/v1/members/{ann}/adjustments"), adjust).await;
    let bob = server.member("C-2044", 250).await;
    let basket = json!({ "kind": "purchase", "store": "north", "lines": [
        { "description": "CHRISTMAS LIGHTS", "quantity": "6", "unit_price": "22.05" }] });
    made(server, "/v1/activities", json!({ "member_id": ann, "activity": basket })).await;
    let order =
        |capture: bool| json!({ "member_id": ann, "reward_id": "voucher-5", "quantity": 2, "capture": capture });
    let captured = made(server, "/v1/orders", order(true)).await["order"]["id"].as_str().unwrap().to_owned();
    let reviewed = made(server, "/v1/orders", order(false)).await["order"]["id"].as_str().unwrap().to_owned();
    for (step, reason) in [("review", "Ordered from abroad"), ("claim", "I call the member")] {
        let body = json!({ "step": step, "reason": reason });
        made(server, &format!("/v1/orders/{reviewed}/review"), body).await;
    }
    let large = json!({ "points": 50_000, "reason": "A grave mistake of ours in the summer campaign" });
    assert_eq!(olga.json(&format!("/v1/members/{ann}/adjustments"), &large).await.0, 202);
    let (status, _) = olga.json("/v1/program", &json!({ "program": gift_club(12), "reason": "More vouchers" })).await;
    assert_eq!(status, 202);
    let waiting = server.get("/v1/approvals?stage=waiting").await.1;
    let publication = waiting.as_array().unwrap().iter().find(|one| one["act"]["kind"] == "publish").unwrap();
    let decision = format!("/v1/approvals/{}/decision", publication["id"].as_str().unwrap());
    let no = json!({ "approve": false, "note": "Not before the season" });
    assert_eq!(gina.json(&decision, &no).await.0, 200);
    made(server, &format!("/v1/members/{bob}/erasure"), json!({ "reason": "Asked for by letter on 3 March" })).await;

    let grants = json!([{ "role": "service", "stores": ["north", "south-by-the-harbour"] }, { "role": "auditor" }]);
    let invitation = json!({ "email": "frederica.montgomery@customer-service.example.org",
        "name": "Frederica Montgomery-Featherstonehaugh", "grants": grants });
    let fred = made(server, "/v1/operators", invitation).await["id"].as_str().unwrap().to_owned();
    let role = json!({ "description": "Leads the shop by the harbour: members, cards and small corrections",
        "permissions": ["members:read", "members:write", "members:adjust", "cards:verify", "orders:read"] });
    assert_eq!(server.put("/v1/roles/shop-lead", role).await.0, 204);
    let key = json!({ "name": "Till 3 in the shop by the harbour", "permissions": ["activities:write", "cards:verify",
        "orders:write"], "stores": ["north"], "networks": ["127.0.0.0/8", "2001:db8::/32"], "rate": "100/s burst 200",
        "signed": true });
    let key = made(server, "/v1/api-keys", key).await["id"].as_str().unwrap().to_owned();
    let partner = json!({ "name": "Harbour Airlines", "permissions": ["members:read", "activities:write"],
        "quota": { "per_day": 100_000 } });
    let partner = made(server, "/v1/clients", partner).await["id"].as_str().unwrap().to_owned();

    for words in
        ["We write to you about offers, once a month.", "We write to you about offers.\nNever more than twice."]
    {
        let purpose = json!({ "name": { "en": "News and offers", "zh": "资讯与优惠" },
            "text": { "en": words, "zh": "我们会向您发送优惠信息，每月一次。" } });
        assert_eq!(server.put("/v1/consent-purposes/news", purpose).await.0, 200);
    }
    let entry = json!({ "title": "Sending offers by e-mail", "purpose": "Telling members of offers that fit them",
        "legal_basis": "Consent", "data": "Name, e-mail address, purchases of twelve months",
        "recipients": "Mail Provider Ltd, Ireland", "retention": "Until consent is withdrawn",
        "measures": "Sealed under a key of each member's own", "owner": "Head of marketing" });
    let entry = made(server, "/v1/registers/processing", entry).await["id"].as_str().unwrap().to_owned();
    assert_eq!(server.put("/v1/retention-policy", json!({ "inactive_member_days": 1_095 })).await.0, 200);
    vec![
        (format!("members/{ann}"), "member"),
        (format!("members/{bob}"), "member-erased-soon"),
        (format!("members/{ann}/statements"), "statement"),
        (format!("members/{ann}/adjust"), "adjust"),
        (format!("members/{ann}/close"), "close"),
        (format!("members/{ann}/erase"), "erase"),
        (format!("members/{bob}/merge?other=C-1007"), "merge"),
        (format!("orders/{captured}"), "order"),
        (format!("orders/{reviewed}"), "order-in-review"),
        ("orders".to_owned(), "orders"),
        (format!("operators/{fred}"), "operator"),
        (format!("keys/{key}"), "key"),
        (format!("clients/{partner}"), "client"),
        (format!("registers/processing/{entry}"), "register-entry"),
    ]
}

async fn made(server: &Server, path: &str, body: Value) -> Value {
    let (status, answer) = server.post(path, &body.to_string().chars().take(100).collect::<String>(), body).await;
    assert!((200..300).contains(&status), "{path} {answer}");
    answer
}

const PAGES: [(&str, &str); 23] = [
    ("?at=first", "overview"),
    ("members", "members"),
    ("catalogue", "catalogue"),
    ("prices", "prices"),
    ("prices/voucher-5", "price"),
    ("drafts/new?kind=reward&document=voucher-5", "reward-edit"),
    ("approvals", "approvals"),
    ("imports", "imports"),
    ("audit", "audit"),
    ("proofs", "proofs"),
    ("operators", "operators"),
    ("roles", "roles"),
    ("roles/shop-lead", "role"),
    ("roles/auditor", "role-shipped"),
    ("keys", "keys"),
    ("consents", "consents"),
    ("consents/news", "consent"),
    ("registers", "registers"),
    ("registers/impact_assessment", "register-new"),
    ("retention", "retention"),
    ("erasures", "erasures"),
    ("account", "account"),
    ("nowhere", "not-found"),
];

/// What a page must never show: keys of words that are not there, or places that were not filled.
fn is_whole(page: &str) -> bool {
    !page.contains("{$") && !page.contains("{ $") && !page.contains("Unknown localization")
}

async fn open(client: &Client, server: &Server, path: &str) {
    client.goto(&format!("{}/console/{path}", server.address)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_fits_a_desk_and_a_small_phone_in_both_languages() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let server = Server::start(&data);
    let mut olga = Person::new(&server);
    olga.set_up(&server.setup_link, "olga@example.org", "Olga", "seven sunny orange bicycles").await;
    let mut gina = Person::new(&server);
    let grants = json!([{ "role": "administrator" }]);
    let invitation = json!({ "email": "gina@example.org", "name": "Gina", "grants": grants });
    let link = made(&server, "/v1/operators", invitation).await["link"].as_str().unwrap().to_owned();
    let link = format!("/console{}", link.split_once("/console").unwrap().1);
    gina.accept(&link, "Gina", "four quiet winter harbours").await;
    let own = lived_in(&server, &mut olga, &mut gina).await;
    let (driver, client) = browser(&folder.path().join("profile")).await;
    let sized = [(1440, "wide"), (360, "phone")];
    for (width, shape) in sized {
        size(&client, width, 800).await;
        open(&client, &server, "sign-in?lang=en").await;
        whole_page(&client, width, &format!("all/sign-in-{shape}-en")).await;
    }
    enter(&client, &server, &olga).await;
    for language in ["en", "zh-CN"] {
        open(&client, &server, &format!("account?lang={language}")).await;
        for (width, shape) in sized {
            size(&client, width, 800).await;
            let pages = PAGES.iter().map(|(path, name)| ((*path).to_owned(), *name)).chain(own.clone());
            for (path, name) in pages {
                open(&client, &server, &path).await;
                let page = text(&client).await;
                assert!(is_whole(&page), "{path} {language}: {page}");
                whole_page(&client, width, &format!("all/{name}-{shape}-{language}")).await;
                assert_eq!(sideways(&client).await, 0, "{path} sticks out at {width} in {language}");
            }
        }
        for (width, shape) in [(1440, "wide"), (600, "between"), (360, "phone")] {
            size(&client, width, 800).await;
            open(&client, &server, "registers").await;
            client.find(Locator::Css("details.menu > summary")).await.unwrap().click().await.unwrap();
            whole_page(&client, width, &format!("all/menu-{shape}-{language}")).await;
            assert_eq!(sideways(&client).await, 0, "the menu sticks out at {width} in {language}");
        }
    }
    // What waits, as someone sees it who may decide it.
    client.delete_all_cookies().await.unwrap();
    enter(&client, &server, &gina).await;
    for (width, shape) in sized {
        size(&client, width, 800).await;
        open(&client, &server, "approvals?lang=en").await;
        assert!(shown(&client, &["Approve"]).await.contains("Approve"));
        whole_page(&client, width, &format!("all/approvals-open-{shape}-en")).await;
        assert_eq!(sideways(&client).await, 0);
    }
    client.close().await.unwrap();
    drop(driver);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_finds_a_page_in_the_menu_and_merges_two_accounts() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let server = Server::start(&data);
    let mut olga = Person::new(&server);
    olga.set_up(&server.setup_link, "olga@example.org", "Olga", "seven sunny orange bicycles").await;
    let old = server.member("C-1", 600).await;
    server.member("C-2", 50).await;
    let (driver, client) = browser(&folder.path().join("profile")).await;
    client.set_window_size(500, 900).await.unwrap();
    enter(&client, &server, &olga).await;
    open(&client, &server, "members").await;
    let click = async |css: &str| {
        let element = client.wait().for_element(Locator::Css(css)).await.unwrap();
        // The page scrolls smoothly, which a click does not wait for.
        let into_view = "arguments[0].scrollIntoView({ behavior: 'instant', block: 'center' })";
        client.execute(into_view, vec![serde_json::to_value(&element).unwrap()]).await.unwrap();
        element.click().await.unwrap();
    };
    let type_in = async |css: &str, text: &str| {
        client.wait().for_element(Locator::Css(css)).await.unwrap().send_keys(text).await.unwrap();
    };
    click("details.menu > summary").await;
    click("a[href='/console/roles']").await;
    assert!(shown(&client, &["Built-in roles"]).await.contains("Built-in roles"));
    type_in("#name", "counter").await;
    type_in("#description", "At the counter").await;
    click("input[value='members:read']").await;
    click("form[action='/console/roles'] button").await;
    assert!(shown(&client, &["nobody has it"]).await.contains("nobody has it"));

    open(&client, &server, &format!("members/{old}")).await;
    click("a[href$='/merge']").await;
    type_in("#other", "C-2").await;
    click(".search-card button").await;
    type_in("#reason", "Same person, two cards").await;
    click("input[name='sure']").await;
    click("button.btn-danger").await;
    let page = shown(&client, &["650", "Same person, two cards"]).await;
    assert!(page.contains("650") && page.contains("Same person, two cards"), "{page}");
    client.close().await.unwrap();
    drop(driver);
}
