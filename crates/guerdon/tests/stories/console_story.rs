//! An operator looks at the console in a headless browser, on a desk and on a phone, in English and in Chinese.

use std::time::Duration;

use fantoccini::Locator;
use serde_json::json;

use crate::support::browser::{browser, enter, screenshot, shown, text};
use crate::support::person::Person;
use crate::support::{Server, gift_club, init};

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_the_program_and_a_member() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let server = Server::start(&data);
    let ann = server.member("ann", 1_000).await;
    let basket = json!({ "kind": "purchase", "lines": [
        { "description": "CHRISTMAS LIGHTS", "quantity": "6", "unit_price": "22.05" }] });
    let (status, _) = server.post("/v1/activities", "inv-1", json!({ "member_id": ann, "activity": basket })).await;
    assert_eq!(status, 201);
    let (driver, client) = browser(&folder.path().join("profile")).await;

    let mut olga = Person::new(&server);
    olga.set_up(&server.setup_link, "olga@example.org", "Olga", "seven sunny orange bicycles").await;
    client.set_window_size(1440, 900).await.unwrap();
    enter(&client, &server, &olga).await;
    client.goto(&format!("{}/console", server.address)).await.unwrap();
    client
        .wait()
        .at_most(Duration::from_secs(10))
        .for_element(Locator::Css("canvas, svg.chart, [role=img]"))
        .await
        .unwrap();
    let page = text(&client).await;
    for expected in ["Gift Club", "1,211", "Base", "Christmas", "£5 voucher"] {
        assert!(page.contains(expected), "`{expected}` is not in {page}");
    }
    screenshot(&client, "overview-wide").await;

    client.goto(&format!("{}/console/members/{ann}", server.address)).await.unwrap();
    let page = shown(&client, &["132", "£132.30"]).await;
    assert!(page.contains("132") && page.contains("£132.30"), "{page}");
    screenshot(&client, "member-wide").await;
    // The log has taken the transactions in meanwhile, or will within a moment.
    let mut proved = page;
    for _ in 0..40 {
        if proved.contains("proved in the log") && !proved.contains("on its way") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        client.refresh().await.unwrap();
        proved = text(&client).await;
    }
    assert!(proved.contains("proved in the log") && !proved.contains("on its way"), "{proved}");
    screenshot(&client, "member-proved").await;
    client.goto(&format!("{}/console/proofs", server.address)).await.unwrap();
    let page = shown(&client, &["guerdon audit --url", "guerdon/gift-club+"]).await;
    assert!(page.contains("guerdon audit --url") && page.contains("guerdon/gift-club+"), "{page}");
    screenshot(&client, "proofs-wide").await;

    client.set_window_size(500, 800).await.unwrap();
    client.goto(&format!("{}/console?lang=zh-CN", server.address)).await.unwrap();
    let page = shown(&client, &["礼品俱乐部", "会员"]).await;
    assert!(page.contains("礼品俱乐部") && page.contains("会员"), "{page}");
    screenshot(&client, "overview-phone-zh").await;
    // Nothing sticks out at the side of a narrow window.
    let sideways = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
    assert_eq!(client.execute(sideways, Vec::new()).await.unwrap(), json!(0));

    client.goto(&format!("{}/console/proofs", server.address)).await.unwrap();
    assert!(shown(&client, &["公钥"]).await.contains("公钥"));
    screenshot(&client, "proofs-phone-zh").await;
    assert_eq!(client.execute(sideways, Vec::new()).await.unwrap(), json!(0));

    for (page, name) in
        [("audit", "audit-phone-zh"), ("approvals", "approvals-phone-zh"), ("account", "account-phone-zh")]
    {
        client.goto(&format!("{}/console/{page}", server.address)).await.unwrap();
        assert!(shown(&client, &["设置"]).await.contains("设置"), "{page}");
        screenshot(&client, name).await;
        assert_eq!(client.execute(sideways, Vec::new()).await.unwrap(), json!(0), "{page}");
    }
    client.set_window_size(1440, 900).await.unwrap();
    client.goto(&format!("{}/console/audit?lang=en", server.address)).await.unwrap();
    assert!(shown(&client, &["session.begin"]).await.contains("session.begin"));
    screenshot(&client, "audit-wide").await;

    client.goto(&format!("{}/console/members/mem_0000000000001", server.address)).await.unwrap();
    screenshot(&client, "unknown-member").await;
    client.close().await.unwrap();
    drop(driver);
}
