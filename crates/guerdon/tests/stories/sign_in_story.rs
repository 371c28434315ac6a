//! An owner sets the program up in a browser, signs in with a password and a code, and then with a passkey.

use std::time::Duration;

use fantoccini::{Client, Locator};
use serde_json::json;

use crate::support::browser::{add_authenticator, browser, screenshot, shown, text};
use crate::support::person::totp;
use crate::support::{Server, gift_club, init};

const PASSWORD: &str = "seven sunny orange bicycles";

async fn fill(client: &Client, fields: &[(&str, &str)]) {
    for (name, value) in fields {
        client.find(Locator::Css(&format!("[name={name}]"))).await.unwrap().send_keys(value).await.unwrap();
    }
}

async fn press(client: &Client, selector: &str) {
    let element = client.find(Locator::Css(selector)).await.unwrap();
    // Scrolled to at once: a driver that scrolls smoothly clicks beside it.
    let place = [serde_json::to_value(&element).unwrap()];
    client
        .execute("arguments[0].scrollIntoView({ behavior: 'instant', block: 'center' })", place.to_vec())
        .await
        .unwrap();
    element.click().await.unwrap();
}

async fn wait_for(client: &Client, words: &str) {
    for _ in 0..100 {
        if text(client).await.contains(words) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("`{words}` is not in {}", text(client).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_sets_up_and_comes_back_with_a_code_and_with_a_passkey() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let server = Server::start(&data);
    let address = server.address.replace("127.0.0.1", "localhost");
    let (driver, client) = browser(&folder.path().join("profile")).await;
    client.set_window_size(500, 900).await.unwrap();

    client.goto(&format!("{address}{}", server.setup_link)).await.unwrap();
    screenshot(&client, "setup-phone").await;
    fill(&client, &[("email", "olga@example.org"), ("name", "Olga"), ("password", "password1234")]).await;
    press(&client, "main button[type=submit]").await;
    wait_for(&client, "Many people use this password").await;
    fill(&client, &[("password", PASSWORD)]).await;
    press(&client, "main button[type=submit]").await;
    wait_for(&client, "Set up your second step").await;
    screenshot(&client, "authenticator-phone").await;
    let secret = client.find(Locator::Css("[data-secret]")).await.unwrap().text().await.unwrap();
    fill(&client, &[("code", &totp(&secret, 0))]).await;
    press(&client, "main button[type=submit]").await;
    wait_for(&client, "Your recovery codes").await;
    screenshot(&client, "recovery-codes-phone").await;
    press(&client, "main a.btn-primary").await;
    wait_for(&client, "Gift Club").await;

    add_authenticator(&client).await;
    client.goto(&format!("{address}/console/account")).await.unwrap();
    screenshot(&client, "account-phone").await;
    let sideways = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
    assert_eq!(client.execute(sideways, Vec::new()).await.unwrap(), json!(0));
    client.find(Locator::Css("[data-passkey-label]")).await.unwrap().send_keys("This laptop").await.unwrap();
    press(&client, "[data-passkey-register]").await;
    wait_for(&client, "This laptop").await;

    press(&client, "form[action='/console/sign-out'] button").await;
    wait_for(&client, "Use a passkey").await;
    client.set_window_size(1440, 900).await.unwrap();
    screenshot(&client, "sign-in-wide").await;
    fill(&client, &[("email", "olga@example.org")]).await;
    press(&client, "[data-passkey-sign-in]").await;
    wait_for(&client, "Gift Club").await;
    client.goto(&format!("{address}/console/account")).await.unwrap();
    assert!(shown(&client, &["passkey"]).await.contains("passkey"), "the session says how it began");
    screenshot(&client, "account-wide").await;
    client.goto(&format!("{address}/console/operators?lang=zh-CN")).await.unwrap();
    wait_for(&client, "操作员").await;
    screenshot(&client, "operators-wide-zh").await;

    press(&client, "a[href='/console/account']").await;
    press(&client, "form[action='/console/sign-out'] button").await;
    wait_for(&client, "登录").await;
    fill(&client, &[("email", "olga@example.org"), ("password", PASSWORD)]).await;
    press(&client, "main button[type=submit]").await;
    wait_for(&client, "第二步验证").await;
    screenshot(&client, "code-wide-zh").await;
    fill(&client, &[("code", &totp(&secret, 30))]).await;
    press(&client, "main button[type=submit]").await;
    wait_for(&client, "礼品俱乐部").await;
    client.close().await.unwrap();
    drop(driver);
}
