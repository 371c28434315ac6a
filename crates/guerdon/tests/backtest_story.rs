//! Stories of `guerdon backtest`: over the ledger, over a file, and bad input.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a story fails by panicking")]

mod support;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use support::{Server, gift_club, guerdon, init};

const MAPPING: &str = "kind = 'purchases'\nenrol_unknown_members = true\nreturn_prefix = 'C'\n[columns]\n\
    activity = 'No'\nmember = 'Who'\ntime = 'When'\nquantity = 'Qty'\nunit_price = 'Price'\n";
/// Ann: £60 and £300 in January, £120 in March, of which £12 come back. Bob: £40 in February.
const ROWS: &str = "No,Who,When,Qty,Price\n1,ann,2024-01-05 10:00:00,2,30.00\n2,ann,2024-01-06 10:00:00,1,300.00\n\
    3,bob,2024-02-06 09:00:00,1,40.00\n4,ann,2024-03-07 09:00:00,10,12.00\nC5,ann,2024-03-08 09:00:00,-1,12.00\n";

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    /// A data directory in which the rows were imported, and a draft: no tenth for big baskets, but 50 for the first purchase.
    fn new() -> Self {
        let files = Self { folder: tempfile::tempdir().unwrap() };
        init(&files.path("data"), &gift_club(10));
        files.write("mapping.toml", MAPPING);
        files.write("rows.csv", ROWS);
        let big = gift_club(10);
        let (before, after) =
            (big.find("[[rules]]\nid = \"big-basket\"").unwrap(), big.find("[[rules]]\nid = \"christmas\"").unwrap());
        let first = "[[rules]]\nid = \"first\"\nname = \"First\"\ntrigger = \"purchase\"\n\
            condition = \"history.purchase.lifetime.count == 0\"\neffect = { type = \"fixed_points\", points = 50 }\n\n";
        files.write("draft.toml", &format!("{}{first}{}", &big[..before], &big[after..]));
        let (data, mapping, rows) = (files.path("data"), files.path("mapping.toml"), files.path("rows.csv"));
        let (code, out, error) =
            guerdon(&["import", "--data-dir", text(&data), "--mapping", text(&mapping), text(&rows)]);
        assert_eq!(code, 0, "{out}{error}");
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).unwrap();
    }

    fn backtest(&self, draft: &str, more: &[&str]) -> (i32, String, String) {
        let (data, draft) = (self.path("data"), self.path(draft));
        let mut arguments = vec!["backtest", "--data-dir", text(&data), "--program", text(&draft)];
        arguments.extend(more);
        guerdon(&arguments)
    }
}

#[test]
fn a_draft_over_the_ledger_and_over_the_file_it_came_from() {
    let files = Files::new();
    let (code, out, error) = files.backtest("draft.toml", &["--json"]);
    assert_eq!(code, 0, "{error}");
    let found: Value = serde_json::from_str(&out).unwrap();
    let points = &found["currencies"][0];
    // 60 + 300 + 40 + 120, and a tenth of 300 and of 120; the draft gives 50 to each of two members instead.
    assert_eq!((&points["flows"]["live"]["issued"], &points["flows"]["draft"]["issued"]), (&562.into(), &620.into()));
    assert_eq!((&points["cost"]["live"], &points["cost"]["draft"]), (&550.into(), &608.into()));
    let rules: Vec<_> = points["rules"].as_array().unwrap().iter().map(|rule| rule["name"].as_str().unwrap()).collect();
    assert_eq!(rules, ["base", "first", "return", "big-basket"]);
    assert_eq!(
        (&found["better"], &found["more"], &found["worse"], &found["members"]),
        (&2.into(), &58.into(), &0.into(), &2.into())
    );
    assert_eq!((&found["activities"], &found["lines"]), (&5.into(), &5.into()));
    assert!(found["most_affected"][0]["member"].as_str().unwrap().starts_with("mem_"));

    let (code, out, _) = files.backtest("draft.toml", &["--from", "2024-02-01", "--to", "2024-03-08"]);
    assert_eq!(code, 0);
    // Ann's first purchase was before the period; the return comes after it.
    let line = |name: &str| out.lines().find(|line| line.trim_start().starts_with(name)).unwrap_or_default();
    let numbers = |name: &str| line(name).split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(numbers("issued"), ["172", "210", "+38"], "{out}");
    assert_eq!(numbers("first"), ["0", "50", "+50"]);
    assert_eq!(numbers("2024-02"), ["40", "90", "+50"]);
    assert!(line("cost").contains("£1.72") && line("better off").contains("1, by 50 points"), "{out}");

    let (mapping, rows) = (files.path("mapping.toml"), files.path("rows.csv"));
    let (code, out, error) =
        files.backtest("draft.toml", &["--mapping", text(&mapping), "--file", text(&rows), "--json"]);
    assert_eq!(code, 0, "{error}");
    let file: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(file["currencies"][0]["rules"], points["rules"]);
    let who: Vec<_> =
        file["most_affected"].as_array().unwrap().iter().map(|one| one["number"].as_str().unwrap()).collect();
    assert_eq!(who, ["bob", "ann"]);
    // Nothing was changed.
    assert_eq!(guerdon(&["verify", "--data-dir", text(&files.path("data"))]).0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_that_is_kept_beside_the_program() {
    let files = Files::new();
    let data = files.path("data");
    let server = Server::start(&data);
    let first = json!({ "id": "first", "name": "First", "trigger": "purchase",
        "condition": "history.purchase.lifetime.count == 0", "effect": { "type": "fixed_points", "points": 50 } });
    let changes =
        json!([{ "kind": "rule", "document": first }, { "kind": "rule", "id": "big-basket", "retire": true }]);
    let (status, draft) = server.post("/v1/drafts", "", json!({ "title": "First", "changes": changes })).await;
    assert_eq!(status, 201, "{draft}");
    // Beside the server, which goes on.
    let draft = draft["id"].as_str().unwrap();
    let (code, out, error) = guerdon(&["backtest", "--data-dir", text(&data), "--draft", draft, "--json"]);
    assert_eq!(code, 0, "{error}");
    let found: Value = serde_json::from_str(&out).unwrap();
    let issued = &found["currencies"][0]["flows"];
    assert_eq!((&issued["live"]["issued"], &issued["draft"]["issued"]), (&562.into(), &620.into()));
    let (code, out, error) = guerdon(&["backtest", "--data-dir", text(&data), "--draft", "nowhere"]);
    assert!(code == 1 && out.is_empty() && error.contains("no draft `nowhere`"), "{error}");
    let (code, _, error) = guerdon(&["backtest", "--data-dir", text(&data)]);
    assert!(code == 2 && error.contains("--program"), "{error}");
}

#[test]
fn what_cannot_be_run_says_why() {
    let files = Files::new();
    let refused = |draft: &str, more: &[&str]| {
        let (code, out, error) = files.backtest(draft, more);
        assert_eq!((code, out.as_str()), (1, ""), "{error}");
        error
    };
    assert!(refused("nowhere.toml", &[]).contains("nowhere.toml"));
    files.write("broken.toml", &gift_club(10).replace("activity.net > 10000", "activity.nett > 10000"));
    assert!(refused("broken.toml", &[]).contains("there is no attribute `nett`"));
    files.write("other.toml", &gift_club(10).replace("Europe/London", "Asia/Shanghai"));
    assert!(refused("other.toml", &[]).contains("time zone must be the same"));
    assert!(refused("draft.toml", &["--from", "yesterday"]).contains("2026-01-31"));
    assert!(refused("draft.toml", &["--from", "2024-02-01", "--to", "2024-01-01"]).contains("must be later"));
    let (mapping, rows) = (files.path("mapping.toml"), files.path("broken.csv"));
    // A row without a price, and a purchase of less than nothing; the others are looked at.
    files.write("broken.csv", &format!("{ROWS}6,eve,2024-03-09 09:00:00,1,\n7,eve,2024-03-09 10:00:00,-3,1.00\n"));
    let (code, out, _) = files.backtest("draft.toml", &["--mapping", text(&mapping), "--file", text(&rows)]);
    assert_eq!(code, 3, "{out}");
    assert!(out.contains("row 7:") && out.contains("`unit_price` is empty"), "{out}");
    assert!(out.contains("below zero") && out.contains("5 activities") || out.contains("6 activities"), "{out}");
    let (code, _, error) = files.backtest("draft.toml", &["--file", text(&rows)]);
    assert_eq!(code, 2, "{error}");
}
