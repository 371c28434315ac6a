//! Activities of a program's own: declared with a schema, recorded with a body, tried, and seen by conditions.

use serde_json::{Value, json};

use crate::support::person::Person;
use crate::support::{Server, init};

const PROGRAM: &str = include_str!("../../../../programs/examples/activities.toml");

async fn served(folder: &tempfile::TempDir) -> Server {
    let data = folder.path().join("data");
    init(&data, PROGRAM);
    Server::start(&data)
}

fn workout(body: Value) -> Value {
    json!({ "kind": "workout", "body": body })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workout_is_recorded_with_its_body() {
    let folder = tempfile::tempdir().unwrap();
    let server = served(&folder).await;
    let ann = server.member("ann", 0).await;
    let request = |activity: Value| json!({ "member_id": ann, "activity": activity });
    let run = workout(json!({"sport": "run", "minutes": 50, "distance_km": 10.0, "tags": ["hills"]}));
    let (status, tried) = server.post("/v1/activities?dry_run=true", "", request(run.clone())).await;
    assert_eq!((status, &tried["points"]), (200, &json!(105)), "{tried}");
    let (status, receipt) = server.post("/v1/activities", "w-1", request(run.clone())).await;
    assert_eq!((status, &receipt["points"]), (201, &json!(105)), "{receipt}");
    // Again, and with the fields in another order.
    let other = workout(json!({"tags": ["hills"], "distance_km": 10.0, "minutes": 50, "sport": "run"}));
    let (status, again) = server.post("/v1/activities", "w-1", request(other)).await;
    assert_eq!((status, &again), (200, &receipt));
    let faster = workout(json!({"sport": "run", "minutes": 40, "distance_km": 10.0}));
    let (status, problem) = server.post("/v1/activities", "w-1", request(faster)).await;
    assert_eq!((status, &problem["code"]), (422, &json!("idempotency_mismatch")), "{problem}");

    let refused = async |activity: Value| {
        let (status, problem) = server.post("/v1/activities", "x", request(activity)).await;
        (status, problem["code"].clone(), problem["detail"].as_str().unwrap_or_default().to_owned())
    };
    let long = "x".repeat(16 * 1024);
    for (activity, words) in [
        (json!({"kind": "workout"}), "`/sport` is missing"),
        (workout(json!({"sport": "run", "minutes": "long"})), "`/minutes`: value is not of type \"integer\""),
        (
            workout(json!({"sport": "run", "minutes": 30, "pulse": 150})),
            "there is no `/pulse`; there are distance_km, minutes",
        ),
        (json!({"kind": "class", "body": {"minutes": 30, "note": long}}), "at most 16384 are allowed"),
        (json!({"kind": "test_drive", "body": {"km": 3}}), "does not say what the body of the activity `test_drive`"),
        (json!({"kind": "purchase", "amount": 500, "body": {}}), "the body of the activity `purchase`"),
    ] {
        let (status, code, detail) = refused(activity).await;
        assert_eq!((status, code), (422, json!("invalid_body")), "{detail}");
        assert!(detail.contains(words), "{detail}");
    }
    let (status, code, detail) = refused(workout(json!([1, 2]))).await;
    assert_eq!((status, code), (400, json!("invalid_json")), "{detail}");
    assert_eq!(server.post("/v1/activities", "t-1", request(json!({"kind": "test_drive"}))).await.0, 201);

    // In a batch each stands for itself.
    let item = |key: &str, activity: Value| json!({ "idempotency_key": key, "member_id": ann, "activity": activity });
    let batch = json!({ "activities": [
        item("b-1", workout(json!({"sport": "swim", "minutes": 20}))),
        item("b-2", workout(json!({"sport": "fly", "minutes": 20}))),
    ] });
    let (status, answer) = server.post("/v1/activities/batch", "", batch).await;
    assert_eq!((status, &answer["accepted"], &answer["refused"]), (200, &json!(1), &json!(1)), "{answer}");
    assert_eq!(answer["results"][1]["problem"]["code"], "invalid_body");

    // The description has the body as an object.
    let (_, description) = server.get("/openapi.json").await;
    let body = &description["components"]["schemas"]["ActivityView"]["properties"]["body"];
    assert_eq!(body["type"], json!(["object", "null"]), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_goes_the_way_of_every_document() {
    let folder = tempfile::tempdir().unwrap();
    let server = served(&folder).await;
    let change = |kind: &str, document: Value| json!({ "kind": kind, "document": document });
    let drive = |schema: Value| {
        change("activity", json!({"id": "test_drive", "name": {"en": "Test drive", "zh": "试驾"}, "schema": schema}))
    };
    let rule = |condition: &str| {
        change(
            "rule",
            json!({"id": "drive", "name": "Drive", "trigger": "test_drive", "condition": condition,
            "effect": {"type": "fixed_points", "points": 300}}),
        )
    };
    let km = json!({"type": "object", "required": ["km"], "properties": {"km": {"type": "integer", "minimum": 0}}});
    let drafted = async |changes: Vec<Value>| {
        let (status, draft) = server.post("/v1/drafts", "", json!({ "title": "Drives", "changes": changes })).await;
        assert_eq!(status, 201, "{draft}");
        format!("/v1/drafts/{}", draft["id"].as_str().unwrap())
    };
    // What cannot hold is told with its place, and cannot be submitted.
    for (changes, problem) in [
        (
            vec![drive(json!({"properties": {"km": {"type": "integr"}}}))],
            "activity `test_drive`: `schema` at `/properties/km/type`: \"integr\" is not one of",
        ),
        (
            vec![drive(json!({"properties": {"km": {"$ref": "https://example.com/km.json"}}}))],
            "`schema` at `/properties/km/$ref`: `https://example.com/km.json` is no part of it",
        ),
        (
            vec![drive(km.clone()), rule("activity.body.miles > 5")],
            "rule `drive`: `condition` line 1, column 14: the schema has no field `miles`; it has km",
        ),
        (vec![rule("activity.body.km > 5")], "the activity `test_drive` has no schema"),
    ] {
        let (status, made) = server.post("/v1/drafts", "", json!({ "title": "Wrong", "changes": changes })).await;
        let told = match status {
            201 => {
                let submit = format!("/v1/drafts/{}/submit", made["id"].as_str().unwrap());
                server.post(&submit, "", json!({ "reason": "r" })).await.1
            }
            _ => made,
        };
        assert!(told["detail"].as_str().unwrap_or_default().contains(problem), "{told}");
    }

    let draft = drafted(vec![drive(km), rule("activity.body.km >= 10")]).await;
    let (_, comparison) = server.get(&format!("{draft}/comparison")).await;
    assert_eq!(comparison["adverse"], json!(false), "a new kind takes nothing from anybody: {comparison}");
    let id = draft.rsplit('/').next().unwrap();
    let body = json!({ "draft": id, "activity": {"kind": "test_drive", "body": {"km": 12}} });
    let (status, tried) = server.post("/v1/configuration/dry-run", "", body).await;
    assert_eq!((status, &tried["receipt"]["points"]), (200, &json!(300)), "{tried}");
    let (status, done) = server.post(&format!("{draft}/submit"), "", json!({ "reason": "r" })).await;
    assert_eq!((status, done["state"].as_str()), (200, Some("effective")), "{done}");
    let ann = server.member("ann", 0).await;
    let drives = |km: i64| json!({"member_id": ann, "activity": {"kind": "test_drive", "body": {"km": km}}});
    assert_eq!(server.post("/v1/activities", "d-1", drives(10)).await.1["points"], 300);
    assert_eq!(server.post("/v1/activities", "d-2", drives(9)).await.1["points"], 0);
    let (_, problem) = server.post("/v1/activities", "d-3", drives(-1)).await;
    assert!(problem["detail"].as_str().unwrap().contains("`/km`: value is less than the minimum of 0"), "{problem}");
    let (_, versions) = server.get("/v1/configuration/activity/test_drive").await;
    assert_eq!(versions[0]["state"], "effective", "{versions}");

    // Another schema cannot be judged: it is announced 30 days ahead.
    let draft = drafted(vec![drive(json!({"properties": {"km": {"type": "number"}}}))]).await;
    let (_, comparison) = server.get(&format!("{draft}/comparison")).await;
    let difference = &comparison["differences"][0];
    assert_eq!((&difference["field"], &difference["verdict"]), (&json!("schema"), &json!("unclear")), "{comparison}");
    assert_eq!(comparison["adverse"], json!(true), "{comparison}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_shows_and_tries_them() {
    let folder = tempfile::tempdir().unwrap();
    let server = served(&folder).await;
    let mut olga = Person::new(&server);
    olga.set_up(&server.setup_link, "olga@example.org", "Olga", "seven sunny orange bicycles").await;
    let (_, page) = olga.get("/console/configuration?lang=en").await;
    for words in
        ["Activities of the program", "/console/configuration/activity/workout", "kind=activity", "distance_km"]
    {
        assert!(page.contains(words), "{words}: {page}");
    }
    let (_, page) = olga.get("/console/configuration/activity/workout").await;
    assert!(page.contains("Workout") && page.contains("additionalProperties"), "{page}");
    let (status, page) = olga.get("/console/drafts/new?kind=activity").await;
    assert!(status == 200 && page.contains("&quot;schema&quot;") || page.contains("&#34;schema&#34;"), "{page}");
    let text = "id = \"event\"\nname = \"Event\"\n[schema.properties]\nguests = { type = \"integer\" }\n";
    let form = [("kind", "activity"), ("document", ""), ("title", "Events"), ("way", "text"), ("text", text)];
    let (status, page) = olga.post("/console/drafts/new", &form).await;
    assert_eq!(status, 303, "{page}");
    let draft = olga.location.clone();
    assert!(olga.get(&draft).await.1.contains("Activity “Event”"));
    let (_, page) = olga.get(&format!("{draft}/edit?kind=activity&document=event")).await;
    assert!(page.contains("guests"), "{page}");

    let tried = async |olga: &mut Person, kind: &str, body: &str| {
        olga.post("/console/dry-run", &[("kind", kind), ("amount", ""), ("body", body)]).await
    };
    let (status, page) = tried(&mut olga, "workout", r#"{"sport": "run", "minutes": 50, "distance_km": 10}"#).await;
    assert_eq!(status, 200, "{page}");
    assert!(page.contains("Activity: Workout") && page.contains("12 km/h"), "{page}");
    let (_, page) = tried(&mut olga, "workout", r#"{"sport": "run"}"#).await;
    assert!(page.contains("/minutes` is missing"), "{page}");
    let (status, page) = tried(&mut olga, "workout", "minutes 50").await;
    assert!(status == 422 && page.contains("The body is no JSON object"), "{page}");
}
