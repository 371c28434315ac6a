//! A server needs no more rights in its database than to read and write rows: who brings the schema up to date is somebody
//! else.

use guerdon_tests::postgres;
use serde_json::json;

use crate::support::{Server, gift_club, guerdon};

#[tokio::test(flavor = "multi_thread")]
async fn a_role_without_the_right_to_change_the_schema_is_enough_to_serve() {
    let folder = tempfile::tempdir().unwrap();
    let (data, program) = (folder.path().join("data"), folder.path().join("program.toml"));
    std::fs::write(&program, gift_club(10)).unwrap();
    let database = postgres::Server::start();
    let owner = database.database();
    let at = ["--data-dir", data.to_str().unwrap(), "--database-url", &owner];
    let (code, _, error) = guerdon(&[&["init", "--program", program.to_str().unwrap()], &at[..]].concat());
    assert_eq!(code, 0, "{error}");
    database.sql(
        &owner,
        "CREATE ROLE serving LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC; GRANT USAGE ON SCHEMA public TO serving;
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO serving",
    );
    let serving = owner.replace("postgres@", "serving@");
    let server = Server::start_with(&data, &["--database-url", &serving]);
    let ann = server.member("ann", 1_000).await;
    let order = json!({ "member_id": ann, "reward_id": "voucher-5", "capture": true });
    assert_eq!(server.post("/v1/orders", "one", order).await.0, 201);
    drop(server);
    let (code, out, error) = guerdon(&["verify", "--database-url", &serving]);
    assert!(code == 0 && out.contains("all invariants hold"), "{out}{error}");
}
