//! `guerdon bench --catalogue`: pages of 24 out of 10,000 rewards in English and Chinese, through the whole API but the
//! network: the gate, the account, search, filters, sorting, facets, stock, JSON.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail};
use axum::Router;
use axum::body::Body;
use guerdon_core::program::Bundle;
use guerdon_server::{AppOptions, SharedKeyring, app};
use guerdon_store::{DataDir, SqliteStore};
use hdrhistogram::Histogram;
use http_body_util::BodyExt;
use hyper::{Request, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use tower::ServiceExt;

use super::bench::{BenchArgs, Measured, Prepared, prepare};
use super::bench_http::{KEY, Loopback};

/// Rewards of the catalogue.
const REWARDS: usize = 10_000;
/// Requests of each kind.
const REQUESTS: usize = 1_500;
/// Members in turn.
pub const MEMBERS: usize = 500;

const ENGLISH: [&str; 40] = [
    "coffee", "tea", "travel", "thermos", "ceramic", "bamboo", "cotton", "leather", "silver", "golden", "garden",
    "kitchen", "office", "winter", "summer", "spring", "autumn", "family", "student", "evening", "morning", "classic",
    "modern", "wooden", "crystal", "harbour", "mountain", "river", "island", "forest", "music", "painting", "cooking",
    "dancing", "running", "cycling", "swimming", "reading", "writing", "singing",
];
const CHINESE: [&str; 40] = [
    "咖啡", "茶叶", "旅行", "保温", "陶瓷", "竹制", "纯棉", "皮革", "银色", "金色", "花园", "厨房", "办公", "冬季",
    "夏季", "春季", "秋季", "家庭", "学生", "夜晚", "清晨", "经典", "现代", "木质", "水晶", "海港", "山地", "河畔",
    "海岛", "森林", "音乐", "绘画", "烹饪", "舞蹈", "跑步", "骑行", "游泳", "阅读", "书写", "歌唱",
];
const THINGS: [(&str, &str); 30] = [
    ("cup", "杯子"),
    ("flask", "水壶"),
    ("box", "礼盒"),
    ("voucher", "代金券"),
    ("course", "课程"),
    ("ticket", "门票"),
    ("lamp", "台灯"),
    ("blanket", "毛毯"),
    ("umbrella", "雨伞"),
    ("notebook", "笔记本"),
    ("headphones", "耳机"),
    ("basket", "篮子"),
    ("candle", "蜡烛"),
    ("mirror", "镜子"),
    ("pillow", "枕头"),
    ("towel", "毛巾"),
    ("watch", "手表"),
    ("wallet", "钱包"),
    ("backpack", "背包"),
    ("bottle", "瓶子"),
    ("plate", "盘子"),
    ("spoon", "勺子"),
    ("chair", "椅子"),
    ("table", "桌子"),
    ("clock", "时钟"),
    ("camera", "相机"),
    ("speaker", "音箱"),
    ("keyboard", "键盘"),
    ("charger", "充电器"),
    ("bicycle", "自行车"),
];

fn of<T: Copy + Default>(list: &[T], number: usize) -> T {
    list.get(number % list.len().max(1)).copied().unwrap_or_default()
}

/// A program with a catalogue like that of a large brand: three levels of categories, tags, zones and audiences.
fn program() -> Result<Bundle> {
    let mut categories = Vec::new();
    for top in 0..10 {
        categories.push(json!({ "id": format!("c{top}"), "name": of(&ENGLISH, top) }));
        for middle in 0..5 {
            let (id, parent) = (format!("c{top}-{middle}"), format!("c{top}"));
            categories.push(json!({ "id": id, "name": of(&ENGLISH, 10 + top + middle), "parent": parent }));
            for low in 0..3 {
                let name = of(&THINGS, top * 7 + middle * 3 + low).0;
                categories.push(json!({ "id": format!("{id}-{low}"), "name": name, "parent": id }));
            }
        }
    }
    let rewards: Vec<serde_json::Value> = (0..REWARDS).map(reward).collect();
    let bundle = json!({
        "program": { "id": "bench", "name": "Bench", "money": "CNY", "time_zone": "Asia/Shanghai" },
        "currencies": [{ "id": 1, "code": "points", "name": "Points", "per_money_unit": 100 }],
        "tiers": [{ "id": "everyone", "name": "Everyone", "rank": 0, "benefits": { "zones": ["base", "upgraded"] } }],
        "categories": categories,
        "rewards": rewards,
    });
    Bundle::parse(&bundle.to_string()).map_err(anyhow::Error::msg)
}

fn reward(number: usize) -> serde_json::Value {
    let (first, second, thing) = (number % 40, (number / 40 + number / 7) % 40, (number / 13) % 30);
    let (english, chinese) = of(&THINGS, thing);
    let name = json!({ "en": format!("{} {} {english} {number}", of(&ENGLISH, first), of(&ENGLISH, second)),
        "zh": format!("{}{}{chinese}{number}", of(&CHINESE, first), of(&CHINESE, second)) });
    let description = json!({ "en": format!("A {english} for {} and {}.", of(&ENGLISH, first + 5), of(&ENGLISH, second + 9)),
        "zh": format!("适合{}与{}的{chinese}。", of(&CHINESE, first + 5), of(&CHINESE, second + 9)) });
    let category = format!("c{}-{}-{}", number % 10, number / 10 % 5, number / 50 % 3);
    let tags = [of(&ENGLISH, number / 3), of(&ENGLISH, 1 + number / 3)];
    let audience = number.is_multiple_of(20).then_some("member.available > 100 && tier.id == 'everyone'");
    let zone = if number.is_multiple_of(4) { "upgraded" } else { "base" };
    let catalogue = json!({ "description": description, "categories": [category], "tags": tags, "zone": zone,
        "visible_to": { "audience": audience } });
    json!({ "id": format!("reward-{number:05}"), "name": name, "price": 100 + (number * 37) % 9_000, "stock": 100,
        "kind": { "type": "physical" }, "catalogue": catalogue })
}

/// Two neighbours of a word in the wrong order.
fn misspelt(word: &str) -> String {
    let mut letters: Vec<char> = word.chars().collect();
    if letters.len() > 3 {
        letters.swap(1, 2);
    }
    letters.into_iter().collect()
}

/// Measures, one request after the other.
pub fn measure(folder: &Path, args: &BenchArgs) -> Result<Vec<Measured>> {
    let store = SqliteStore::open(DataDir::create(folder)?)?;
    let Prepared { engine, draw, keyring } = prepare(store, &program()?, args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let members = draw.members().to_vec();
    let measured = runtime.block_on(async {
        let loopback = Loopback::new(&engine, SharedKeyring::new(keyring), folder, draw, 1).await?;
        let app = app(loopback.state.clone(), AppOptions::default());
        let started = Instant::now();
        ask(&app, "/v1/catalogue").await?;
        let mut first = Histogram::<u64>::new(3)?;
        first.record(u64::try_from(started.elapsed().as_micros())?)?;
        let mut results = vec![Measured::new("the first page, with the index to build", 1, started.elapsed(), &first)];
        let member =
            |number: usize| members.get(number % members.len().max(1)).map(ToString::to_string).unwrap_or_default();
        let search = |text: String| format!("q={}", utf8_percent_encode(&text, NON_ALPHANUMERIC));
        // Each pair of words is asked for once: what was found before is kept.
        let pair = |number: usize| (number % 40, number / 40 % 40);
        let kinds: [(&str, &dyn Fn(usize) -> String); 7] = [
            ("newest", &|_| String::new()),
            ("fewest points, affordable", &|_| "sort=points&affordable=true&in_stock=true".to_owned()),
            ("popular, of a category and a tag", &|number| {
                format!("sort=popularity&category=c{}&tags={}", number % 10, of(&ENGLISH, number))
            }),
            ("search in English, one word", &|number| search(of(&ENGLISH, number).to_owned())),
            ("search in English, new words", &|number| {
                let (first, second) = pair(number);
                search(format!("{} {}", of(&ENGLISH, first), of(&ENGLISH, second)))
            }),
            ("search in Chinese, new words", &|number| {
                let (first, second) = pair(number);
                search(format!("{}{}", of(&CHINESE, first), of(&CHINESE, second)))
            }),
            ("search with typing errors, new words", &|number| {
                let (first, second) = pair(number);
                search(format!("{} {}", misspelt(of(&ENGLISH, first)), misspelt(of(&ENGLISH, second))))
            }),
        ];
        for (what, query) in kinds {
            results.push(
                run(&app, what, |number| {
                    format!("/v1/catalogue?limit=24&member_id={}&{}", member(number), query(number))
                })
                .await?,
            );
        }
        results.push(
            run(&app, "suggestions", |number| {
                let (first, second) = pair(number);
                let beginning: String = of(&ENGLISH, second).chars().take(3).collect();
                format!("/v1/catalogue/suggestions?{}", search(format!("{} {beginning}", of(&ENGLISH, first))))
            })
            .await?,
        );
        anyhow::Ok(results)
    })?;
    drop(runtime);
    drop(engine.stop()?);
    Ok(measured)
}

/// Prints what was measured.
pub fn print(results: &[Measured], json: bool) {
    if json {
        println!("{}", json!({ "results": results }));
        return;
    }
    println!("{:<46} {:>10} {:>10} {:>10}", format!("24 of {REWARDS} rewards"), "p50 ms", "p99 ms", "p999 ms");
    for Measured { what, p50_ms, p99_ms, p999_ms, .. } in results {
        println!("{what:<46} {p50_ms:>10.2} {p99_ms:>10.2} {p999_ms:>10.2}");
    }
}

async fn run(app: &Router, what: &str, address: impl Fn(usize) -> String) -> Result<Measured> {
    let mut micros = Histogram::<u64>::new(3)?;
    let started = Instant::now();
    for number in 0..REQUESTS {
        let asked = Instant::now();
        ask(app, &address(number)).await?;
        micros.record(u64::try_from(asked.elapsed().as_micros())?)?;
    }
    Ok(Measured::new(what, REQUESTS, started.elapsed(), &micros))
}

async fn ask(app: &Router, address: &str) -> Result<()> {
    let request = Request::get(address).header("authorization", format!("Bearer {KEY}")).body(Body::empty())?;
    let response = app.clone().oneshot(request).await?;
    let status = response.status();
    let answer = response.into_body().collect().await?.to_bytes();
    if status != StatusCode::OK {
        bail!("{address}: {status}: {}", String::from_utf8_lossy(&answer));
    }
    Ok(())
}
