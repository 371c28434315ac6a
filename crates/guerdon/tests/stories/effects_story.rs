//! What rules do besides giving points: points for joining, tasks for the staff, messages to members, and the feed of events.

use fantoccini::Locator;
use guerdon_tests::smtp::SmtpServer;
use serde_json::{Value, json};

use crate::support::browser::{browser, enter, shown, sideways, size, whole_page};
use crate::support::person::Person;
use crate::support::{Server, gift_club, init};

fn program() -> String {
    gift_club(10)
        + r#"
        [[templates]]
        id = "welcome"
        subject = { en = "Welcome to {program}", zh = "欢迎加入{program}" }
        text = { en = "{name}, it is good to have you.", zh = "{name}，很高兴认识您。" }

        [[rules]]
        id = "welcome"
        name = { en = "Welcome points", zh = "入会积分" }
        trigger = "enrol"
        condition = "context.channel == 'app'"
        effect = { type = "fixed_points", points = 100 }

        [[rules]]
        id = "hello"
        name = { en = "Thank-you letter", zh = "致谢信" }
        trigger = "purchase"
        condition = "history.purchase.lifetime.count == 0"
        effect = { type = "message", template = "welcome" }

        [[rules]]
        id = "call"
        name = { en = "Thank large buyers", zh = "致电大客户" }
        trigger = "purchase"
        condition = "activity.net >= 50000"
        effect = { type = "task", text = { en = "Call to say thank you", zh = "致电感谢" } }
        caps = [{ window = "month", count = 1 }]
        "#
}

async fn feed(server: &Server, query: &str, wanted: usize) -> Vec<Value> {
    for _ in 0..100 {
        let (status, events) = server.get(&format!("/v1/events{query}")).await;
        assert_eq!(status, 200, "{events}");
        let events = events.as_array().unwrap().clone();
        if events.len() >= wanted {
            return events;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("{wanted} events did not come");
}

async fn tasks(server: &Server) -> Vec<Value> {
    for _ in 0..100 {
        let (_, page) = server.get("/v1/tasks").await;
        let items = page["items"].as_array().unwrap().clone();
        if !items.is_empty() {
            return items;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("no task came");
}

async fn buys(server: &Server, member: &str, key: &str, amount: i64) -> Value {
    let body = json!({ "member_id": member, "activity": { "kind": "purchase", "amount": amount } });
    let (status, receipt) = server.post("/v1/activities", key, body).await;
    assert_eq!(status, 201, "{receipt}");
    receipt
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_welcome_write_and_ask_for_calls() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &program());
    let mut post = SmtpServer::start(&[]);
    let smtp = format!("smtp://127.0.0.1:{}?tls=none", post.port);
    let server = Server::start_with(&data, &["--smtp-url", &smtp, "--mail-from", "Gift Club <points@example.org>"]);
    let words = json!({ "name": { "en": "News", "zh": "资讯" }, "text": { "en": "We write.", "zh": "我们会写信。" } });
    assert_eq!(server.put("/v1/consent-purposes/marketing", words).await.0, 200);

    // Ann joins in the app: one command, and the receipt says what she has got and why.
    let ann = json!({ "name": "Ann", "email": "ann@example.org", "language": "en", "channel": "app" });
    let (status, receipt) = server.post("/v1/members", "ann", ann.clone()).await;
    assert_eq!((status, &receipt["points"], &receipt["kind"]), (201, &json!(100), &json!("enrol")), "{receipt}");
    assert_eq!(receipt["explanation"][0]["rule"], "welcome");
    let member = receipt["member_id"].as_str().unwrap().to_owned();
    let (status, again) = server.post("/v1/members", "ann", ann).await;
    assert_eq!((status, &again), (200, &receipt), "a retry finds what was done");
    let elsewhere = json!({ "name": "Ann", "email": "ann@example.org", "language": "en", "channel": "web" });
    assert_eq!(server.post("/v1/members", "ann", elsewhere).await.0, 422, "another request under the same key");
    let (status, problem) = server.post("/v1/members", "x", json!({ "name": "X", "channel": 7 })).await;
    assert_eq!(status, 400, "{problem}");
    assert_eq!(server.put(&format!("/v1/members/{member}/consents/marketing"), json!({ "given": true })).await.0, 204);
    let bob = server.member("bob", 0).await;

    // A large first purchase: a letter and a call. Bob has not agreed to letters.
    let receipt = buys(&server, &member, "a-1", 60_000).await;
    assert_eq!(receipt["events"].as_array().unwrap().len(), 2, "{receipt}");
    buys(&server, &member, "a-2", 70_000).await;
    buys(&server, &bob, "b-1", 1_000).await;
    let events = feed(&server, "", 3).await;
    assert_eq!(
        events.iter().map(|event| event["type"].as_str().unwrap()).collect::<Vec<_>>(),
        ["guerdon.message", "guerdon.task", "guerdon.message"]
    );
    let call = &events[1];
    assert_eq!((&call["specversion"], &call["source"]), (&json!("1.0"), &json!("/programs/gift-club")));
    assert_eq!((&call["subject"], &call["data"]["subject"]), (&json!(member), &json!("call")));
    assert_eq!(call["id"], format!("{}-1", receipt["transaction_id"].as_str().unwrap()));
    let rest = feed(&server, &format!("?after={}", call["sequence"].as_str().unwrap()), 1).await;
    assert_eq!(rest, events[2..]);
    assert_eq!(server.get("/v1/events?after=x").await.0, 400);
    assert_eq!(server.get("/v1/events?limit=201").await.0, 400);

    let letter = post.letter();
    let written = letter["data"].as_str().unwrap().to_owned();
    assert!(written.contains("Welcome to Gift Club") && written.contains("Ann, it is good to have you."), "{written}");

    // Operators take the call and do it.
    let mut olga = Person::new(&server);
    olga.set_up(&server.setup_link, "olga@example.org", "Olga", "seven sunny orange bicycles").await;
    let task = tasks(&server).await.remove(0);
    assert_eq!((&task["member_id"], &task["state"], &task["about"]), (&json!(member), &json!("open"), &json!("call")));
    let path = format!("/v1/tasks/{}", task["id"].as_str().unwrap());
    let (status, taken) = server.post(&path, "", json!({ "step": "take" })).await;
    assert_eq!((status, &taken["state"]), (200, &json!("taken")), "{taken}");
    assert_eq!(olga.json(&path, &json!({ "step": "take" })).await.0, 409, "somebody is at it");
    assert_eq!(server.post(&path, "", json!({ "step": "give_back" })).await.0, 200);
    assert_eq!(server.post("/v1/tasks/none", "", json!({ "step": "take" })).await.0, 404);

    let (driver, client) = browser(&folder.path().join("profile")).await;
    enter(&client, &server, &olga).await;
    size(&client, 360, 800).await;
    let tasks_page = format!("{}/console/tasks?lang=en", server.address);
    client.goto(&tasks_page).await.unwrap();
    // Whoever goes on to another page at once may be faster than what they have just sent.
    let until = async |reached: &dyn Fn(&[Value]) -> bool| {
        for _ in 0..100 {
            let (_, page) = server.get("/v1/tasks").await;
            if reached(page["items"].as_array().unwrap()) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    client.find(Locator::Css("button[aria-label^='Take']")).await.unwrap().click().await.unwrap();
    until(&|tasks| tasks.iter().any(|task| task["state"] == "taken")).await;
    client.goto(&tasks_page).await.unwrap();
    let page = shown(&client, &["Call to say thank you", "Taken by Olga"]).await;
    assert!(page.contains("Call to say thank you") && page.contains("Taken by Olga"), "{page}");
    for (width, shape) in [(360, "phone"), (1440, "wide")] {
        size(&client, width, 800).await;
        whole_page(&client, width, &format!("effects/tasks-{shape}-en")).await;
        assert_eq!(sideways(&client).await, 0);
    }
    client.goto(&format!("{}/console/tasks?lang=zh-CN", server.address)).await.unwrap();
    assert!(shown(&client, &["致电感谢"]).await.contains("致电感谢"));
    whole_page(&client, 1440, "effects/tasks-wide-zh").await;
    client.find(Locator::Css("input[name='note']")).await.unwrap().send_keys("She was glad").await.unwrap();
    client.find(Locator::Css("button[value='done']")).await.unwrap().click().await.unwrap();
    until(&|tasks| tasks.iter().all(|task| task["state"] != "taken")).await;
    client.goto(&format!("{}/console/tasks?done=true&lang=en", server.address)).await.unwrap();
    let page = shown(&client, &["She was glad", "Done by Olga"]).await;
    assert!(page.contains("She was glad") && page.contains("Done by Olga"), "{page}");
    client.goto(&format!("{}/console/members/{member}?lang=en", server.address)).await.unwrap();
    let page = shown(&client, &["Task for the staff: Thank large buyers"]).await;
    assert!(page.contains("Task for the staff: Thank large buyers"), "{page}");
    assert!(page.contains("Message to the member: Thank-you letter"), "{page}");
    whole_page(&client, 1440, "effects/member-en").await;
    client.close().await.unwrap();
    drop(driver);
    assert_eq!(server.post(&path, "", json!({ "step": "take" })).await.0, 409, "it is done");
}

#[tokio::test(flavor = "multi_thread")]
async fn friends_are_brought_and_birthdays_come_by_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let rules = r#"
        [[rules]]
        id = "referrer"
        name = { en = "Brought a friend", zh = "推荐奖励" }
        trigger = "enrol"
        beneficiary = "referrer"
        effect = { type = "fixed_points", points = 500 }
        [[rules]]
        id = "birthday"
        name = { en = "Happy birthday", zh = "生日快乐" }
        trigger = "birthday"
        effect = { type = "fixed_points", points = 88 }
    "#;
    init(&data, &(gift_club(10) + rules));
    let server = Server::start(&data);
    let ann = server.member("ann", 0).await;
    // Born on today's date by the program's calendar, and a day later.
    let calendar = guerdon_core::time::Calendar::new("Europe/London").unwrap();
    let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let today = calendar.day_of(guerdon_core::time::Timestamp::from_millis(elapsed.as_millis() as i64));
    let born = |days: i32| {
        let date = guerdon_core::time::Day(today.0 + days).date();
        // A leap year: every date is in it.
        format!("1992-{:02}-{:02}", date.month(), date.day())
    };
    let bob = json!({ "external_id": "bob", "referred_by": ann, "birth_date": born(0) });
    let (status, receipt) = server.post("/v1/members", "bob", bob).await;
    assert_eq!((status, &receipt["referrer"]), (201, &json!(ann)), "{receipt}");
    assert_eq!(receipt["referrer_share"]["explanation"][0]["points"], 500, "{receipt}");
    let bob = receipt["member_id"].as_str().unwrap().to_owned();
    let (_, entries) = server.get(&format!("/v1/members/{ann}/transactions")).await;
    assert_eq!(
        (&entries["items"][0]["kind"], entries["items"][0]["receipt"]["points"].as_i64()),
        (&json!("referral"), Some(500)),
        "{entries}"
    );
    let nobody = json!({ "external_id": "x", "referred_by": "mem_0000000000001" });
    assert_eq!(server.post("/v1/members", "x", nobody).await.0, 404);
    let strange = json!({ "external_id": "x", "referred_by": 7 });
    assert_eq!(server.post("/v1/members", "x", strange).await.0, 400);
    let eve = json!({ "external_id": "eve", "birth_date": born(1) });
    let eve = server.post("/v1/members", "eve", eve).await.1["member_id"].as_str().unwrap().to_owned();
    let mut points = 0;
    for _ in 0..300 {
        let (_, wallet) = server.get(&format!("/v1/members/{bob}/wallet")).await;
        points = wallet[0]["available"].as_i64().unwrap();
        if points > 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(points, 88, "the birthday came by itself");
    drop(server);
    // Another start on the same day gives nothing again.
    let server = Server::start(&data);
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    let (_, wallet) = server.get(&format!("/v1/members/{bob}/wallet")).await;
    assert_eq!(wallet[0]["available"], 88);
    let (_, wallet) = server.get(&format!("/v1/members/{eve}/wallet")).await;
    assert_eq!(wallet[0]["available"], 0);
    let key = json!({ "member_id": bob, "activity": { "kind": "birthday" } });
    assert_eq!(server.post("/v1/activities", "birthday:2030", key).await.0, 422, "the key is the server's");
}
