//! What proves to us who somebody is: signed requests, and the answers of passkeys.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use guerdon_core::time::Timestamp;
use guerdon_server::identity::directory::digest;
use guerdon_server::identity::passkey::{
    AuthenticationState, PasskeyError, PasskeyOwner, Passkeys, RegistrationState, StoredPasskey,
};
use guerdon_server::identity::signature::{Signature, SignedParts, sign};
use rcgen::{KeyPair, SigningKey};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::Url;

use crate::wire::{PART, parts, request};
use crate::{behaviour, text};

pub const WORDS: &[&str] = &[
    "guerdon-timestamp: ",
    "guerdon-nonce: ",
    "guerdon-signature: v1=",
    "idempotency-key: ",
    "1800000000",
    "\n",
    "\n\n",
    "%%",
    "GET ",
    "\"",
    ":",
    "{",
    "webauthn.get",
    "webauthn.create",
    "https://loyalty.example.com",
    "cross",
    "fmt",
    "none",
    "packed",
    "x5c",
    "\u{1}",
];

const SECRET: &[u8] = b"grd_sig_0aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789ABCDEF0example";
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const NONCE: &str = "b2f5c9d1e0a74836";
const SIGNED: [SignedParts<'static>; 2] = [
    SignedParts {
        method: "POST",
        target: "/v1/orders?dry_run=false",
        idempotency_key: "till-7-000123",
        body: br#"{"member_id":"mem_0123456789abc","reward_id":"mug"}"#,
    },
    SignedParts { method: "GET", target: "/v1/members/mem_0123456789abc", idempotency_key: "", body: b"" },
];

pub fn signed_requests() -> Vec<Vec<u8>> {
    let written = |parts: &SignedParts<'_>| {
        let SignedParts { method, target, idempotency_key, body } = parts;
        let key = match *idempotency_key {
            "" => String::new(),
            key => format!("idempotency-key: {key}\n"),
        };
        let signature = sign(SECRET, 1_800_000_000, NONCE, parts);
        let head = format!(
            "{method} {target}\nguerdon-timestamp: 1800000000\nguerdon-nonce: {NONCE}\n\
             guerdon-signature: {signature}\n{key}\n"
        );
        [head.as_bytes(), body].concat()
    };
    SIGNED.iter().map(written).collect()
}

/// Nothing passes but what was signed, however it is altered.
pub fn signed_request(input: &[u8]) -> String {
    let Some(request) = request(input) else { return "no request".to_owned() };
    let signature = match Signature::read(request.headers()) {
        Err(error) => return error.to_string(),
        Ok(None) => return "not signed".to_owned(),
        Ok(Some(signature)) => signature,
    };
    let key = request.headers().get("idempotency-key").map_or(Ok(""), |key| key.to_str());
    let Ok(idempotency_key) = key else { return "no key".to_owned() };
    let target = request.uri().path_and_query().map_or("", |target| target.as_str());
    let shown = SignedParts { method: request.method().as_str(), target, idempotency_key, body: request.body() };
    behaviour(signature.verify(&[SECRET], &shown, NOW), |()| {
        let same = |known: &SignedParts<'_>| {
            (known.method, known.target, known.idempotency_key, known.body)
                == (shown.method, shown.target, shown.idempotency_key, shown.body)
        };
        assert!(SIGNED.iter().any(same) && signature.nonce == NONCE, "what nobody has signed passes: {shown:?}");
        "signed".to_owned()
    })
}

const ORIGIN: &str = "https://loyalty.example.com";
const CREDENTIAL: [u8; 32] = [7; 32];
/// In the place of the challenges that are drawn, so that an input means the same in every run.
const CHALLENGE: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

/// A server, and an authenticator that signs whatever it is given.
struct Ceremonies {
    passkeys: Passkeys,
    device: KeyPair,
    registration: RegistrationState,
    authentication: AuthenticationState,
    registered: Vec<StoredPasskey>,
}

static CEREMONIES: LazyLock<Ceremonies> = LazyLock::new(Ceremonies::new);

/// The state of a ceremony as if another challenge had been drawn.
fn fixed<T: Serialize + DeserializeOwned>(options: &Value, state: &T) -> T {
    let drawn = options["publicKey"]["challenge"].as_str().unwrap();
    let text = serde_json::to_string(state).unwrap();
    assert!(text.contains(drawn), "the challenge is not written in the state as it is in the options");
    serde_json::from_str(&text.replace(drawn, CHALLENGE)).unwrap()
}

impl Ceremonies {
    fn new() -> Self {
        let url = ORIGIN.parse().unwrap();
        let passkeys = Passkeys::new(&url, "Aurora", &[9; 32]).unwrap();
        let device = KeyPair::from_pem(KEY).unwrap();
        let owner = PasskeyOwner { id: "op_1", account: "ann@example.com", name: "Ann" };
        let (options, registration) = passkeys.begin_registration(owner, &[]).unwrap();
        let registration = fixed(&options, &registration);
        let answer = answer(&device, &created(&device));
        let registered = vec![passkeys.finish_registration(&answer, &registration, "Phone", NOW).unwrap()];
        let (options, authentication) = passkeys.begin_authentication("ann", &registered).unwrap();
        let authentication = fixed(&options, &authentication);
        Self { passkeys, device, registration, authentication, registered }
    }
}

/// A private key that guards nothing.
const KEY: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgbZwWgKAHKxhk1luh
c9pm3QiOM2CRl1GgzFkmmSmySJuhRANCAARAbGWPdctpFzFLSk0CTsQVbt3P0L0R
LXkBVrrmcJmxo71ZxYw2Mn/rhfqvRvKA3EjZX9cstDWAXoWuBcWdXMm+
-----END PRIVATE KEY-----";

/// What the host of the site is to an authenticator.
fn host() -> [u8; 32] {
    digest("loyalty.example.com")
}

fn client_data(kind: &str) -> String {
    json!({"type": kind, "challenge": CHALLENGE, "origin": ORIGIN, "crossOrigin": false}).to_string()
}

/// The answer to a registration: its JSON, the client's data, and the attestation object.
fn created(device: &KeyPair) -> Vec<u8> {
    let (x, y) = device.public_key_raw().get(1..).unwrap().split_at(32);
    let key = [b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20", x, b"\x22\x58\x20", y].concat();
    let data = [&host()[..], &[0x45], &[0; 4], &[0; 16], &[0, 32], &CREDENTIAL, &key].concat();
    let length = u8::try_from(data.len()).unwrap();
    let object = [b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58", &[length][..], &data].concat();
    let id = URL_SAFE_NO_PAD.encode(CREDENTIAL);
    let template = json!({"id": id, "rawId": id, "type": "public-key", "clientExtensionResults": {}, "response":
        {"clientDataJSON": "$CLIENT", "attestationObject": "$DATA", "transports": ["internal", "hybrid"]}});
    let part = PART.as_bytes();
    [template.to_string().as_bytes(), part, client_data("webauthn.create").as_bytes(), part, &object].concat()
}

/// The answer to a sign-in, in the same parts.
fn got(counter: u32) -> Vec<u8> {
    let data = [&host()[..], &[0x05], &counter.to_be_bytes()].concat();
    let id = URL_SAFE_NO_PAD.encode(CREDENTIAL);
    let template = json!({"id": id, "rawId": id, "type": "public-key", "clientExtensionResults": {}, "response":
        {"clientDataJSON": "$CLIENT", "authenticatorData": "$DATA", "signature": "$SIGNATURE", "userHandle": null}});
    let part = PART.as_bytes();
    [template.to_string().as_bytes(), part, client_data("webauthn.get").as_bytes(), part, &data].concat()
}

/// Puts the parts together, signed by the device whatever they say.
fn answer(device: &KeyPair, input: &[u8]) -> String {
    let [template, client, data] = parts(input);
    let digest = digest(&text(client));
    let signature = device.sign(&[data, &digest].concat()).unwrap();
    [("$CLIENT", client), ("$DATA", data), ("$SIGNATURE", &signature)]
        .into_iter()
        .fold(text(template), |text, (name, bytes)| text.replacen(name, &URL_SAFE_NO_PAD.encode(bytes), 1))
}

pub fn passkeys() -> Vec<Vec<u8>> {
    vec![created(&CEREMONIES.device), got(0), got(1)]
}

/// What the library found, of which people hear nothing.
fn why(error: PasskeyError) -> String {
    format!("{error:?}")
}

/// Whatever an authenticator says: it is believed for this challenge, this site, and with its person verified alone.
pub fn passkey(input: &[u8]) -> String {
    let Ceremonies { passkeys, device, registration, authentication, registered } = &*CEREMONIES;
    let answer = answer(device, input);
    let [_, client, data] = parts(input);
    let believed = |kind: &str| {
        let said: Value = serde_json::from_slice(client).unwrap();
        assert_eq!(said["type"], kind);
        let said = |name: &str| said[name].as_str().unwrap_or_default();
        // Either alphabet of base64 is read, and an origin is compared as URLs are.
        assert_eq!(said("challenge").trim_end_matches('=').replace('+', "-").replace('/', "_"), CHALLENGE);
        assert_eq!(Url::parse(said("origin")).unwrap().origin(), Url::parse(ORIGIN).unwrap().origin());
    };
    let registration = passkeys.finish_registration(&answer, registration, "Phone", NOW).map_err(why);
    let made = behaviour(registration, |passkey| {
        believed("webauthn.create");
        let again: StoredPasskey = serde_json::from_str(&serde_json::to_string(&passkey).unwrap()).unwrap();
        assert_eq!(again.id(), passkey.id());
        "registered".to_owned()
    });
    let mut registered = registered.clone();
    let authentication = passkeys.finish_authentication(&answer, authentication, &mut registered, NOW).map_err(why);
    let came = behaviour(authentication, |place| {
        believed("webauthn.get");
        assert!(data.get(32).is_some_and(|flags| flags & 0x04 != 0), "nobody was verified");
        format!("signed in by {place}")
    });
    format!("{made}; {came}")
}
