//! What is sent to be taken in: the form of an import with its file, and changes of a profile.

use std::sync::LazyLock;

use axum::body::Body;
use axum::extract::{FromRequest, Multipart};
use guerdon_core::id::MemberId;
use guerdon_core::kernel::{Action, Command};
use guerdon_core::members::Profile;
use guerdon_core::privacy::{Keyring, SEAL_RANDOM, SealedProfile};
use guerdon_core::time::Timestamp;
use guerdon_server::imports::upload::Upload;
use hyper::Request;
use serde_json::{Map, Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::{behaviour, files, secrets};

pub const FORM_WORDS: &[&str] = &[
    "--edge",
    "--edge--",
    "\r\n",
    "\r\n\r\n",
    "content-disposition: form-data; name=\"file\"; filename=\"a.csv\"",
    "name=\"reason\"",
    "filename*=UTF-8''%00",
    "content-type: ",
    "content-transfer-encoding: base64",
    ".parquet",
    "format = 'parquet'",
    ".jsonl",
    ".zst",
    "../",
    "\\",
    "\"",
    ";",
];

/// Forms of a file with a name and its mapping.
pub fn uploads() -> Vec<Vec<u8>> {
    let form = |name: &str, file: &[u8]| {
        let field = |head: &str, value: &[u8]| {
            [b"--edge\r\ncontent-disposition: form-data; ", head.as_bytes(), b"\r\n\r\n", value, b"\r\n"].concat()
        };
        let file = field(&format!("name=\"file\"; filename=\"{name}\"\r\ncontent-type: text/csv"), file);
        let mapping = field("name=\"mapping\"", files::PURCHASES.as_bytes());
        [mapping, field("name=\"reason\"", b"last year"), file, b"--edge--\r\n".to_vec()].concat()
    };
    vec![
        form("sales.csv", files::CSV.as_bytes()),
        form("C:\\\\sales.jsonl", files::JSON_LINES.as_bytes()),
        form("sales.csv.zst", &files::compressed(files::CSV.as_bytes())),
    ]
}

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Builder::new_current_thread().build().unwrap());

pub fn upload(input: &[u8]) -> String {
    let request = Request::post("/v1/imports").header("content-type", "multipart/form-data; boundary=edge");
    let request = request.body(Body::from(input.to_vec())).unwrap();
    RUNTIME.block_on(async {
        let mut form = Multipart::from_request(request, &()).await.unwrap();
        Upload::read(&mut form).await.map_or_else(|problem| problem.detail, |_| "taken".to_owned())
    })
}

pub const PATCH_WORDS: &[&str] = &[
    "null",
    "{",
    "}",
    "\"attributes\":",
    "\"phone\":",
    "\"email\":",
    "\"external_id\":",
    "\"birth_date\":",
    "\"language\":",
    "\"country\":",
    ",",
    "[",
    "\\u0000",
    "\\ud83d",
    "+86 138 0013 8000",
    "****",
    "é",
    "@",
    "29",
];

pub fn patches() -> Vec<String> {
    let whole = json!({"external_id": "17850", "name": "Ann", "email": "ann@example.org", "phone": "+442079460000",
        "birth_date": "1990-05-17", "language": "en-GB", "country": "GB", "attributes": {"shoe": "42", "pet": null}});
    vec![whole.to_string(), json!({"phone": null, "attributes": null, "name": "Bea"}).to_string()]
}

const MEMBER: MemberId = MemberId(7_112_233_445_566);

static SEALED: LazyLock<(Keyring, Profile, SealedProfile)> = LazyLock::new(|| {
    let (keyring, _) = secrets::keyring();
    let profile = json!({"name": "Ann", "phone": "12345", "attributes": {"shoe": "39", "hat": "56"}});
    let profile: Profile = serde_json::from_value(profile).unwrap();
    let sealed = keyring.seal_profile(MEMBER, &profile, [3; SEAL_RANDOM]).unwrap();
    (keyring, profile, sealed)
});

/// A merge patch: applied twice it changes nothing more, and the command holds what it makes of the profile.
pub fn patch(input: &[u8]) -> String {
    let Ok(patch) = serde_json::from_slice::<Map<String, Value>>(input) else { return "no object".to_owned() };
    let (keyring, before, sealed) = &*SEALED;
    let patched = behaviour(before.patched(&patch), |after| {
        assert_eq!(after.patched(&patch).as_ref(), Ok(&after), "a patch that is applied twice changes more");
        let named = serde_json::to_value(&after).unwrap();
        let gone = patch.iter().filter(|(_, value)| value.is_null()).all(|(name, _)| named.get(name).is_none());
        assert!(gone, "what is null is still there");
        assert_eq!(before.differences(&after).is_empty(), *before == after);
        before.differences(&after).join(" ")
    });
    let command = Command::change_profile(keyring, [4; 12], MEMBER, "key", Timestamp::from_millis(1), sealed, &patch);
    let command = command.map_or_else(
        |refusal| refusal.message,
        |command| {
            let Action::ChangeProfile(change) = &command.action else { panic!("another command") };
            let changed = SealedProfile { ciphertext: change.ciphertext.clone(), ..sealed.clone() };
            let after = keyring.open_profile(MEMBER, &changed).unwrap();
            assert_eq!(before.patched(&patch).as_ref(), Ok(&after));
            format!("{} added, {} removed", change.added.len().min(3), change.removed.len().min(3))
        },
    );
    format!("{patched}; {command}")
}
