//! One order from the phone to the door: a member redeems a gift, the program's rules send it to review, an operator claims,
//! approves and ships it, and the member follows the parcel until it has arrived. All of it by taps and clicks in a browser, with
//! a picture of every stage.

use std::io::Cursor;

use fantoccini::{Client, Locator};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use serde_json::{Value, json};

use crate::support::browser::{browser, enter, shown, sideways, size, small_phone, whole_page};
use crate::support::person::Person;
use crate::support::sms::Gateway;
use crate::support::{Server, guerdon, init};

const PHONE: &str = "13800138000";

/// A tea house that looks at orders worth more than ¥50.
const PROGRAM: &str = r#"
[program]
id = "teahouse"
name = { en = "Tea House", zh = "茶舍" }
money = "CNY"
time_zone = "Asia/Shanghai"
orders = { review = { above_value = "50" }, complete_after_hours = 336 }

[[currencies]]
id = 1
code = "points"
name = { en = "points", zh = "积分" }
per_money_unit = 100

[[categories]]
id = "tea"
name = { en = "Tea", zh = "茶" }

[[rewards]]
id = "teapot"
name = { en = "Teapot of purple clay", zh = "紫砂壶" }
price = 6000
stock = 20
kind = { type = "physical", weight_grams = 900, needs_address = true }
[rewards.catalogue]
categories = ["tea"]
market_price = 89
description = { en = "Turned by hand in Yixing, for two cups.", zh = "宜兴手工制作，两杯容量。" }

[[rewards]]
id = "green-tea"
name = { en = "Green tea, 100 g", zh = "绿茶 100 克" }
price = 1800
stock = 200
kind = { type = "physical", weight_grams = 120, needs_address = true }
catalogue = { categories = ["tea"], market_price = 25 }

[[rewards]]
id = "tasting"
name = { en = "An evening of tasting", zh = "品茶之夜" }
price = 12000
stock = 8
kind = { type = "experience" }
"#;

/// A pot in one colour on another.
fn painted([red, green, blue]: [u8; 3]) -> Vec<u8> {
    let inside = |x: u32, y: u32, (left, top): (i64, i64), (wide, high): (i64, i64)| {
        let (across, down) = ((i64::from(x) - left) * 1_000 / wide, (i64::from(y) - top) * 1_000 / high);
        across * across + down * down <= 1_000_000
    };
    let paint = |x: u32, y: u32| {
        let body = inside(x, y, (590, 500), (300, 220))
            || inside(x, y, (590, 265), (110, 40))
            || inside(x, y, (590, 225), (32, 30));
        let handle = inside(x, y, (900, 480), (150, 140)) && !inside(x, y, (900, 480), (105, 95));
        let spout = inside(x, y, (270, 420), (95, 150)) && !inside(x, y, (205, 370), (95, 140));
        match body || handle || spout {
            true => Rgb([red, green, blue]),
            false => Rgb([238, 233, 222]),
        }
    };
    let image: DynamicImage = RgbImage::from_fn(1_200, 900, paint).into();
    let mut bytes = Vec::new();
    image.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).unwrap();
    bytes
}

/// Gives a reward a picture.
async fn picture(server: &Server, reward: &str, color: [u8; 3], alt: Value) {
    let place = format!("{}/v1/pictures", server.address);
    let uploaded: Value = server.client.post(place).body(painted(color)).send().await.unwrap().json().await.unwrap();
    let (_, document) = server.get(&format!("/v1/configuration/reward/{reward}")).await;
    let mut content = document[0]["document"].clone();
    content["catalogue"]["pictures"] = json!([{ "digest": uploaded["digest"], "alt": alt }]);
    let body = json!({ "title": "Picture", "changes": [{ "kind": "reward", "document": content }] });
    let (status, draft) = server.post("/v1/drafts", "", body).await;
    assert_eq!(status, 201, "{draft}");
    let submit = format!("/v1/drafts/{}/submit", draft["id"].as_str().unwrap());
    let (status, told) = server.post(&submit, "", json!({ "reason": "it has a picture now" })).await;
    assert_eq!(status, 200, "{told}");
}

/// A browser that taps and clicks, counts that, and keeps pictures of what it sees.
struct Hands {
    client: Client,
    address: String,
    taps: usize,
}

impl Hands {
    async fn open(&self, path: &str, words: &[&str]) -> String {
        self.client.goto(&format!("{}{path}", self.address)).await.unwrap();
        self.read(words).await
    }

    /// What is there once the words are.
    async fn read(&self, words: &[&str]) -> String {
        let page = shown(&self.client, words).await;
        assert!(words.iter().all(|words| page.contains(words)), "{words:?}: {page}");
        page
    }

    async fn tap(&mut self, css: &str) {
        self.taps += 1;
        let place = "document.querySelector(arguments[0]).scrollIntoView({ block: 'center', behavior: 'instant' })";
        self.client.wait().for_element(Locator::Css(css)).await.unwrap_or_else(|_| panic!("there is no {css}"));
        self.client.execute(place, vec![json!(css)]).await.unwrap();
        self.client.find(Locator::Css(css)).await.unwrap().click().await.unwrap();
    }

    /// Types into a field; who types goes from field to field with the keyboard.
    async fn type_in(&self, css: &str, words: &str) {
        self.client
            .find(Locator::Css(css))
            .await
            .unwrap_or_else(|_| panic!("there is no {css}"))
            .send_keys(words)
            .await
            .unwrap();
    }

    async fn keep(&self, width: i64, name: &str) {
        assert_eq!(sideways(&self.client).await, 0, "{name} sticks out");
        whole_page(&self.client, width, &format!("redeem-and-ship-{name}")).await;
        match width {
            360 => small_phone(&self.client).await,
            width => size(&self.client, width, 900).await,
        }
    }

    async fn order(&self) -> String {
        self.client.current_url().await.unwrap().path().rsplit('/').next().unwrap().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gift_goes_from_the_phone_through_review_to_the_door() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, PROGRAM);
    let gateway = Gateway::start();
    let server = Server::start_with(&data, &gateway.flags());
    picture(&server, "teapot", [122, 66, 52], json!({ "en": "A teapot of brown clay", "zh": "棕色紫砂壶" })).await;
    picture(&server, "green-tea", [86, 122, 70], json!({ "en": "A pot of green tea", "zh": "一壶绿茶" })).await;
    let (status, receipt) = server.post("/v1/members", "li", json!({ "name": "李安", "phone": PHONE })).await;
    assert_eq!(status, 201, "{receipt}");
    let li = receipt["member_id"].as_str().unwrap().to_owned();
    let opening = json!({ "points": 9_000, "reason": "opening balance" });
    assert_eq!(server.post(&format!("/v1/members/{li}/adjustments"), "opening", opening).await.0, 201);
    let mut member = Person::new(&server);
    assert_eq!(member.post("/portal/sign-in", &[("to", PHONE)]).await.0, 303);
    let code = gateway.code(0, PHONE).await;
    assert_eq!(member.post("/portal/sign-in/code", &[("code", &code)]).await.0, 303);
    let operator = Person::invited(&server, "olga@example.org", "Olga", "service").await;
    let (driver, client) = browser(&folder.path().join("profile")).await;
    enter(&client, &server, &member).await;
    enter(&client, &server, &operator).await;
    let mut hands = Hands { client, address: server.address.clone(), taps: 0 };

    let order = redeems(&mut hands).await;
    let (_, told) = server.get(&format!("/v1/orders/{order}")).await;
    assert_eq!((&told["state"], &told["points"]), (&json!("in_review"), &json!(6_000)), "{told}");
    let wallet = server.get(&format!("/v1/members/{li}/wallet")).await.1;
    assert_eq!((&wallet[0]["available"], &wallet[0]["held"]), (&json!(3_000), &json!(6_000)), "{wallet}");

    reviews_and_ships(&mut hands, &order).await;
    let (_, told) = server.get(&format!("/v1/orders/{order}")).await;
    let states: Vec<&str> =
        told["history"].as_array().unwrap().iter().map(|one| one["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["placed", "in_review", "in_review", "approved", "shipped"], "{told}");
    assert_eq!(told["shipment"], json!({ "carrier": "顺丰速运", "tracking_number": "SF1390012345678" }));
    let wallet = server.get(&format!("/v1/members/{li}/wallet")).await.1;
    assert_eq!((&wallet[0]["available"], &wallet[0]["held"]), (&json!(3_000), &json!(0)), "{wallet}");

    follows_the_parcel(&mut hands, &server, &order).await;
    let (_, told) = server.get(&format!("/v1/orders/{order}")).await;
    assert_eq!(told["state"], "completed", "{told}");
    let (_, audit) = server.get(&format!("/v1/audit?subject={order}")).await;
    assert!(audit.to_string().contains("order.reveal"), "who looked at the address is on record: {audit}");
    hands.client.close().await.unwrap();
    drop(driver);
    let mut server = server;
    assert_eq!(server.interrupt(), 0);
    let (code, output, error) = guerdon(&["verify", "--data-dir", data.to_str().unwrap()]);
    assert_eq!(code, 0, "{output}{error}");
}

/// Browse, choose, type where it goes, redeem: two taps besides the typing. Returns the order.
async fn redeems(hands: &mut Hands) -> String {
    small_phone(&hands.client).await;
    hands.open("/portal/rewards?lang=zh-CN", &["紫砂壶", "6,000", "绿茶"]).await;
    hands.keep(360, "1-browse-zh").await;
    hands.taps = 0;
    hands.tap("a[href='/portal/rewards/teapot']").await;
    hands.read(&["宜兴手工制作", "兑换后还有"]).await;
    hands.keep(360, "2-reward-zh").await;
    // Where it goes is typed once; the next time it stands in the address book, if the member wants that.
    for (field, words) in [
        ("#recipient", "李安"),
        ("#contact", PHONE),
        ("#region", "上海市"),
        ("#city", "上海市"),
        ("#district", "静安区"),
        ("#street", "南京西路 1266 号 8 楼"),
        ("#postcode", "200040"),
    ] {
        hands.type_in(field, words).await;
    }
    hands.keep(360, "3-address-zh").await;
    hands.tap("form.confirm button").await;
    let page = hands.read(&["ord_", "审核中", "我们会先审核此订单", "上海市 静安区"]).await;
    assert!(!page.contains("领取时请出示此码"), "what is sent is not collected: {page}");
    assert_eq!(hands.taps, 2, "two taps from the list to the receipt");
    assert!(page.contains("3,000"), "{page}");
    hands.keep(360, "4-receipt-zh").await;
    hands.order().await
}

/// The queue, the claim, the approval and the parcel, at a desk.
async fn reviews_and_ships(hands: &mut Hands, order: &str) {
    size(&hands.client, 1_440, 900).await;
    hands.open("/console/orders?lang=en", &["Teapot of purple clay", order]).await;
    hands.keep(1_440, "5-queue").await;
    hands.tap(&format!("input[name=order][value={order}]")).await;
    hands.tap("button[value=claim]").await;
    let page = hands.read(&["Olga", "One order is now"]).await;
    assert!(page.contains(order), "{page}");
    hands.keep(1_440, "6-claimed").await;
    hands.tap(&format!("a[href='/console/orders/{order}']")).await;
    let page = hands.read(&["in review", "Where it goes to", "Olga"]).await;
    assert!(!page.contains("南京西路"), "the address is told for a reason only: {page}");
    hands.keep(1_440, "7-order").await;
    hands.type_in("#move-reason", "A member for years").await;
    hands.tap("button[value=approve]").await;
    hands.read(&["approved", "A member for years"]).await;
    hands.keep(1_440, "8-approved").await;
    hands.type_in("#look-reason", "to write the label").await;
    hands.tap("form[action$='/reveal'] button").await;
    hands.read(&["南京西路 1266 号 8 楼", "李安"]).await;
    hands.keep(1_440, "9-address").await;
    hands.type_in("#carrier", "顺丰速运").await;
    hands.type_in("#tracking", "SF1390012345678").await;
    hands.tap("button[value=ship]").await;
    hands.read(&["shipped", "顺丰速运 SF1390012345678"]).await;
    hands.keep(1_440, "10-shipped").await;
    size(&hands.client, 360, 740).await;
    hands.open(&format!("/console/orders/{order}?lang=zh-CN"), &["顺丰速运"]).await;
    hands.keep(360, "10-shipped-phone-zh").await;
    hands.open("/console/orders?state=shipped&lang=zh-CN", &["紫砂壶"]).await;
    hands.keep(360, "11-queue-phone-zh").await;
}

/// The carrier tells where it is, and the member reads it on the phone until it has arrived.
async fn follows_the_parcel(hands: &mut Hands, server: &Server, order: &str) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    let event = |minutes: i64, status: &str, place: &str| {
        let at = guerdon_core::time::Timestamp::from_millis(now - minutes * 60_000);
        json!({ "at": at, "status": status, "place": place })
    };
    let track = async |key: &str, events: Value| {
        server.post(&format!("/v1/orders/{order}/tracking"), key, json!({ "events": events })).await
    };
    let told = track("t-1", json!([event(3, "accepted", "上海静安"), event(2, "in_transit", "上海转运中心")])).await;
    assert_eq!(told.0, 201, "{}", told.1);
    small_phone(&hands.client).await;
    hands.open("/portal/orders?lang=zh-CN", &["紫砂壶"]).await;
    hands.keep(360, "12-orders-zh").await;
    hands.tap(&format!("a[href='/portal/orders/{order}']")).await;
    hands.read(&["顺丰速运", "SF1390012345678", "上海转运中心", "运输中"]).await;
    hands.keep(360, "13-on-its-way-zh").await;
    let told = track("t-2", json!([event(1, "out_for_delivery", "上海静安"), event(0, "delivered", "上海静安")])).await;
    assert_eq!(told.0, 201, "{}", told.1);
    hands.open(&format!("/portal/orders/{order}?lang=zh-CN"), &["已完成", "顺丰速运"]).await;
    hands.keep(360, "14-arrived-zh").await;
    hands.open(&format!("/portal/orders/{order}?lang=en"), &["completed", "Delivered"]).await;
    hands.keep(360, "14-arrived-en").await;
    size(&hands.client, 1_440, 900).await;
    hands.open(&format!("/console/orders/{order}?lang=en"), &["completed", "上海静安"]).await;
    hands.keep(1_440, "15-done").await;
}
