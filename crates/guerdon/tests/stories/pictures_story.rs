//! Pictures of rewards: uploaded, named by a reward, seen by members, and swept when nothing names them.

use std::io::Cursor;

use fantoccini::{Client, Locator};
use guerdon_core::hex;
use guerdon_tests::postgres;
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use serde_json::{Value, json};

use crate::support::browser::{browser, enter, shown, sideways, small_phone, text, whole_page};
use crate::support::person::Person;
use crate::support::sms::Gateway;
use crate::support::{Server, guerdon, http_client, init};

const PROGRAM: &str = include_str!("../../../../programs/examples/catalogue.toml");
const PASSWORD: &str = "seven sunny orange bicycles";

/// Something like a photo: rings in two colours.
fn painted(width: u32, height: u32, [red, green, blue]: [u8; 3]) -> DynamicImage {
    let paint = |x: u32, y: u32| {
        let (from_left, from_top) = (i64::from(x) - i64::from(width / 2), i64::from(y) - i64::from(height / 2));
        let ring = (from_left * from_left + from_top * from_top) / 20_000 % 2 == 0;
        if ring { Rgb([red, green, blue]) } else { Rgb([red / 2 + 100, green / 2 + 100, blue / 2 + 100]) }
    };
    RgbImage::from_fn(width, height, paint).into()
}

fn png(image: &DynamicImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    image.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).unwrap();
    bytes
}

/// A photo as a phone writes it: lying on its side, with where it was taken.
fn phone_photo() -> Vec<u8> {
    let mut exif = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".to_vec();
    exif.extend(b"GPS 31.2397 N 121.4998 E");
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new(&mut bytes);
    image::ImageEncoder::set_exif_metadata(&mut encoder, exif).unwrap();
    painted(1_200, 900, [150, 60, 40]).write_with_encoder(encoder).unwrap();
    bytes
}

async fn upload(server: &Server, bytes: Vec<u8>) -> (u16, Value) {
    let response = server.client.post(format!("{}/v1/pictures", server.address)).body(bytes).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn uploaded(server: &Server, bytes: Vec<u8>) -> String {
    let (status, picture) = upload(server, bytes).await;
    assert_eq!(status, 201, "{picture}");
    picture["digest"].as_str().unwrap().to_owned()
}

/// A draft that gives a reward pictures, and what becomes of it when it is submitted.
async fn publish(server: &Server, reward: &str, pictures: &[Value]) -> (u16, Value) {
    let (status, document) = server.get(&format!("/v1/configuration/reward/{reward}")).await;
    assert_eq!(status, 200, "{document}");
    let mut content = document[0]["document"].clone();
    content["catalogue"]["pictures"] = json!(pictures);
    let body = json!({ "title": "Pictures", "changes": [{ "kind": "reward", "document": content }] });
    let (status, made) = server.post("/v1/drafts", "", body).await;
    assert_eq!(status, 201, "{made}");
    let submit = format!("/v1/drafts/{}/submit", made["id"].as_str().unwrap());
    server.post(&submit, "", json!({ "reason": "r" })).await
}

fn named(digest: &str, en: &str, zh: &str) -> Value {
    json!({ "digest": digest, "alt": { "en": en, "zh": zh } })
}

async fn a_picture_goes_through(server: &Server) {
    let photo = phone_photo();
    let (status, picture) = upload(server, photo.clone()).await;
    assert_eq!(status, 201, "{picture}");
    assert_eq!((&picture["width"], &picture["height"]), (&json!(900), &json!(1_200)), "it is turned: {picture}");
    assert!(picture["swept_at"].is_string() && picture["named_by"] == json!([]), "{picture}");
    let digest = picture["digest"].as_str().unwrap().to_owned();
    assert_eq!(digest.len(), 64);
    assert_eq!(uploaded(server, photo).await, digest, "the same file is the same picture");

    // It is everybody's, and for ever.
    let stranger = http_client().build().unwrap();
    for size in picture["addresses"].as_array().unwrap() {
        let response =
            stranger.get(format!("{}{}", server.address, size["path"].as_str().unwrap())).send().await.unwrap();
        let head = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!((response.status().as_u16(), head("content-type").as_str()), (200, "image/jpeg"));
        assert_eq!(head("cache-control"), "public, max-age=31536000, immutable");
        assert_eq!(head("x-content-type-options"), "nosniff");
        let bytes = response.bytes().await.unwrap();
        assert!(!bytes.windows(4).any(|four| four == b"GPS " || four == b"Exif"), "nothing tells where it was taken");
        let seen = image::load_from_memory(&bytes).unwrap();
        assert_eq!(u64::from(seen.width()), size["width"].as_u64().unwrap().min(900));
    }
    for wrong in [format!("{digest}-161"), format!("{}-160", "0".repeat(64)), "x".to_owned()] {
        let response = stranger.get(format!("{}/pictures/{wrong}", server.address)).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 404, "{wrong}");
    }

    // What is none, or too large, is said.
    for (bytes, status, code) in [
        (b"GIF89a".to_vec(), 422, "invalid_picture"),
        (Vec::new(), 422, "invalid_request"),
        (vec![0; 9 << 20], 413, "body_too_large"),
        (png(&DynamicImage::new_rgb8(6_000, 5_000)), 422, "invalid_picture"),
    ] {
        let (answered, problem) = upload(server, bytes).await;
        assert_eq!((answered, problem["code"].as_str()), (status, Some(code)), "{problem}");
    }

    // A reward names it; one that is not there is refused by name.
    let unknown = hex::encode(&[7; 32]);
    let (status, problem) = publish(server, "coffee-cup", &[named(&unknown, "A cup", "杯子")]).await;
    assert!(status == 422 && problem["detail"].as_str().unwrap().contains(&unknown), "{problem}");
    let (status, done) = publish(server, "coffee-cup", &[named(&digest, "A brown cup", "棕色杯子")]).await;
    assert_eq!((status, done["state"].as_str()), (200, Some("effective")), "{done}");
    let (_, page) = server.get("/v1/catalogue?q=coffee").await;
    let shown = &page["items"][0]["pictures"][0];
    assert_eq!((&shown["digest"], &shown["alt"]["zh"]), (&json!(digest), &json!("棕色杯子")), "{page}");
    assert_eq!(shown["sizes"]["480"], json!(format!("/pictures/{digest}-480")));
    let (_, picture) = server.get(&format!("/v1/pictures/{digest}")).await;
    assert_eq!((&picture["named_by"], &picture["swept_at"]), (&json!(["coffee-cup"]), &Value::Null), "{picture}");
    let (_, list) = server.get("/v1/pictures?limit=1").await;
    assert_eq!(list["items"][0]["digest"], json!(digest));
    let (_, audit) = server.get("/v1/audit?action=picture.upload").await;
    assert_eq!(audit["items"].as_array().unwrap().len(), 1, "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reward_has_a_picture_on_a_database_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, PROGRAM);
    let mut server = Server::start(&data);
    a_picture_goes_through(&server).await;
    let spare = uploaded(&server, png(&painted(200, 200, [9, 90, 9]))).await;
    let (_, list) = server.get("/v1/pictures").await;
    let kept = list["items"].as_array().unwrap().iter().find(|one| one["digest"] != json!(spare)).unwrap().clone();

    // A month later what nothing names is gone, and what is named stays; a backup holds it.
    assert_eq!(server.interrupt(), 0);
    let database = rusqlite::Connection::open(data.join("guerdon.db")).unwrap();
    let age = "UPDATE record SET body = json_set(body, '$.unnamed_since', '2020-01-01T00:00:00Z')
               WHERE kind = 'picture' AND json_extract(body, '$.unnamed_since') IS NOT NULL";
    assert_eq!(database.execute(age, []).unwrap(), 1);
    drop(database);
    let copy = folder.path().join("copy");
    let (code, _, error) =
        guerdon(&["backup", "--data-dir", data.to_str().unwrap(), copy.to_str().unwrap(), "--with-master-key"]);
    assert_eq!(code, 0, "{error}");
    server = Server::start(&data);
    let gone = async || server.get(&format!("/v1/pictures/{spare}")).await.0 == 404;
    for _ in 0..100 {
        if gone().await {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(gone().await);
    let (_, audit) = server.get("/v1/audit?action=picture.sweep").await;
    assert_eq!(audit["items"].as_array().unwrap().len(), 1, "{audit}");
    let address = format!("/pictures/{}-160", kept["digest"].as_str().unwrap());
    assert_eq!(server.text(&format!("/pictures/{spare}-160")).await.0, 404);
    let stored = server.client.get(format!("{}{address}", server.address)).send().await.unwrap();
    assert_eq!(stored.status().as_u16(), 200);
    let before = stored.bytes().await.unwrap();
    assert_eq!(server.interrupt(), 0);
    let whole = folder.path().join("whole");
    let (code, _, error) = guerdon(&["restore", "--data-dir", whole.to_str().unwrap(), copy.to_str().unwrap()]);
    assert_eq!(code, 0, "{error}");
    let server = Server::start(&whole);
    let restored = server.client.get(format!("{}{address}", server.address)).send().await.unwrap();
    assert_eq!(restored.bytes().await.unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_share_their_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let url = postgres::shared().database();
    let file = folder.path().join("program.toml");
    std::fs::write(&file, PROGRAM).unwrap();
    let at = ["--database-url", url.as_str(), "--data-dir", folder.path().to_str().unwrap()];
    let (code, _, error) = guerdon(&[&["init", "--program", file.to_str().unwrap()], &at[..]].concat());
    assert_eq!(code, 0, "{error}");
    let first = Server::start_with(folder.path(), &["--database-url", &url]);
    let second = Server::start_with(folder.path(), &["--database-url", &url]);
    a_picture_goes_through(&first).await;
    let (_, list) = second.get("/v1/pictures").await;
    let digest = list["items"][0]["digest"].as_str().unwrap();
    let there = second.client.get(format!("{}/pictures/{digest}-480", second.address)).send().await.unwrap();
    assert_eq!(there.status().as_u16(), 200);
}

/// Whether every picture of the page has arrived, and whether a box has the size that the page gave it before.
async fn pictures_stand(client: &Client) {
    // Lazy ones come when they are looked at.
    let script = "for (const image of document.images) image.loading = 'eager';
        return [...document.images].every(image => image.complete && image.naturalWidth > 0)";
    for _ in 0..50 {
        if client.execute(script, Vec::new()).await.unwrap() == json!(true) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(client.execute(script, Vec::new()).await.unwrap(), json!(true), "a picture did not arrive");
    let shift = "return [...document.images].every(image => image.hasAttribute('width') && image.hasAttribute('height') \
                 && image.hasAttribute('alt'))";
    assert_eq!(client.execute(shift, Vec::new()).await.unwrap(), json!(true), "the page would jump");
}

async fn click(client: &Client, css: &str) {
    let place = "document.querySelector(arguments[0]).scrollIntoView({ block: 'center', behavior: 'instant' })";
    client.execute(place, vec![json!(css)]).await.unwrap();
    client.find(Locator::Css(css)).await.unwrap_or_else(|_| panic!("there is no {css}")).click().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_uploads_and_a_member_sees() {
    const PHONE: &str = "13800138000";
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    // No password may hold the brand.
    init(&data, &PROGRAM.replace("Harbour Club", "The Quay"));
    let gateway = Gateway::start();
    let server = Server::start_with(&data, &gateway.flags());
    let (status, receipt) = server.post("/v1/members", "ann", json!({ "name": "Ann", "phone": PHONE })).await;
    assert_eq!(status, 201, "{receipt}");
    let mut olga = Person::new(&server);
    olga.set_up(&server.setup_link, "olga@example.org", "Olga", PASSWORD).await;
    let file = ("harbour cup.png", png(&painted(1_600, 1_200, [40, 110, 130])));
    let (status, page) = olga.upload("/console/pictures", "", &[], (file.0, &file.1)).await;
    assert_eq!(status, 303, "{page}");
    let digest = olga.location.rsplit('=').next().unwrap().to_owned();
    let (status, page) = olga.upload("/console/pictures", "", &[], ("cup.png", b"no picture")).await;
    assert!(status == 422 && page.as_str().unwrap().contains("This file cannot be used"), "{page}");
    let (_, page) = olga.get(&format!("/console/pictures?new={digest}")).await;
    assert!(page.contains("harbour cup.png") && page.contains("Copy the digest"), "{page}");
    let tall = uploaded(&server, phone_photo()).await;
    let tea = uploaded(&server, png(&painted(500, 900, [60, 120, 50]))).await;
    let both = [named(&digest, "A cup by the water", "水边的杯子"), named(&tall, "From above", "俯视图")];
    assert_eq!(publish(&server, "coffee-cup", &both).await.0, 200);
    assert_eq!(publish(&server, "green-tea", &[named(&tea, "A tin of tea", "一罐茶")]).await.0, 200);
    // Who may not change the program uploads nothing.
    let mut sam = Person::invited(&server, "sam@example.org", "Sam", "service").await;
    assert_eq!(sam.upload("/console/pictures", "", &[], (file.0, &file.1)).await.0, 403);

    let (driver, client) = browser(&folder.path().join("profile")).await;
    enter(&client, &server, &olga).await;
    for (width, shape) in [(1_440, "wide"), (360, "phone")] {
        for language in ["en", "zh-CN"] {
            crate::support::browser::size(&client, width, 900).await;
            client.goto(&format!("{}/console/pictures?lang={language}", server.address)).await.unwrap();
            assert!(text(&client).await.contains("1,600 × 1,200") || text(&client).await.contains("1600 × 1200"));
            pictures_stand(&client).await;
            assert_eq!(sideways(&client).await, 0, "{shape} {language}");
            whole_page(&client, width, &format!("pictures/console-{shape}-{language}")).await;
            client.goto(&format!("{}/console/catalogue", server.address)).await.unwrap();
            pictures_stand(&client).await;
            whole_page(&client, width, &format!("pictures/catalogue-{shape}-{language}")).await;
        }
    }
    client
        .goto(&format!("{}/console/drafts/new?kind=reward&document=coffee-cup&lang=en", server.address))
        .await
        .unwrap();
    let typed = "return document.querySelector('#pictures').value";
    let lines = client.execute(typed, Vec::new()).await.unwrap();
    assert!(lines.as_str().unwrap().starts_with(&format!("{digest} | A cup by the water | 水边的杯子")), "{lines}");

    let mut person = Person::new(&server);
    assert_eq!(person.post("/portal/sign-in", &[("to", PHONE)]).await.0, 303);
    let code = gateway.code(0, PHONE).await;
    assert_eq!(person.post("/portal/sign-in/code", &[("code", &code)]).await.0, 303);
    enter(&client, &server, &person).await;
    for language in ["en", "zh-CN"] {
        for (width, shape) in [(360, "phone"), (1_440, "wide")] {
            small_phone(&client).await;
            crate::support::browser::size(&client, width, 900).await;
            client.goto(&format!("{}/portal/rewards?sort=points&lang={language}", server.address)).await.unwrap();
            pictures_stand(&client).await;
            assert_eq!(sideways(&client).await, 0, "{shape} {language}");
            whole_page(&client, width, &format!("pictures/rewards-{shape}-{language}")).await;
            click(&client, "a[href='/portal/rewards/coffee-cup']").await;
            shown(&client, &[if language == "en" { "Coffee cup" } else { "咖啡杯" }]).await;
            pictures_stand(&client).await;
            assert_eq!(sideways(&client).await, 0, "{shape} {language}");
            whole_page(&client, width, &format!("pictures/reward-{shape}-{language}")).await;
        }
    }
    client.close().await.unwrap();
    drop(driver);
}
