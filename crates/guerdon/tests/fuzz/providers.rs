//! What an identity provider answers: what it says of itself, its keys, the token, and what it says of a person. The ID
//! token is signed here, whatever it says, so that it is read behind its signature too.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use guerdon_server::identity::sso::provider::{Provider, Secrets};
use guerdon_server::identity::sso::{ProviderSettings, Refusal};
use guerdon_server::identity::token::{Token, TokenKind};
use hyper::{Request, Response};
use rcgen::{KeyPair, SigningKey};
use serde_json::{Value, json};

use crate::text;
use crate::wire::{PART, parts};

const ISSUER: &str = "https://id.example.org";
const REDIRECT: &str = "https://loyalty.example.org/console/sso/acme/callback";

pub const WORDS: &[&str] = &[
    "%%",
    "\n%%\n",
    "$ID",
    "$NONCE",
    "\"alg\":\"none\"",
    "\"alg\":\"HS256\"",
    "RS256",
    "ES256",
    "EdDSA",
    "\"kid\":\"2\"",
    "\"kty\":\"RSA\"",
    "\"kty\":\"EC\"",
    "\"kty\":\"oct\",\"k\":\"AA\"",
    "\"crit\":[\"b64\"]",
    "\"aud\":[\"guerdon\",\"other\"]",
    "\"azp\":\"other\"",
    "\"email_verified\":\"true\"",
    "\"sub\":\"eve\"",
    "https://id.example.org/",
    "http://127.0.0.1/",
    ",",
    "null",
    "[",
    "{",
    "\\u0000",
];

/// A private key of Ed25519, made of sevens.
static KEY: LazyLock<KeyPair> = LazyLock::new(|| {
    let head = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
    KeyPair::try_from([&head[..], &[7; 32]].concat()).unwrap()
});

static SETTINGS: LazyLock<ProviderSettings> = LazyLock::new(|| {
    let mapping = json!([{"claim": "groups", "value": "staff", "role": "service"},
        {"claim": "realm_access.roles", "value": "boss", "role": "admin", "stores": ["north"]}]);
    let settings = json!({"id": "acme", "name": "Acme", "issuer": ISSUER, "client_id": "guerdon", "mapping": mapping,
        "trust_second_factor": true, "second_factor_amr": ["mfa", "hwk"]});
    serde_json::from_value(settings).unwrap()
});

/// A conversation in parts: discovery, keys, token, the header and the claims of the ID token, user info.
fn conversation(header: &Value, claims: &Value, user_info: &Value) -> Vec<u8> {
    let at = |path: &str| format!("{ISSUER}/{path}");
    let discovery = json!({"issuer": ISSUER, "authorization_endpoint": at("authorize"), "token_endpoint": at("token"),
        "jwks_uri": at("keys"), "userinfo_endpoint": at("me"), "response_types_supported": ["code"],
        "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["EdDSA", "RS256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic"]});
    let own = json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": "1",
        "x": URL_SAFE_NO_PAD.encode(KEY.public_key_raw())});
    let rsa = json!({"kty": "RSA", "use": "sig", "kid": "2", "n": URL_SAFE_NO_PAD.encode([0xc7; 256]), "e": "AQAB"});
    let curve = json!({"kty": "EC", "crv": "P-256", "use": "sig", "kid": "3", "x": URL_SAFE_NO_PAD.encode([1; 32]),
        "y": URL_SAFE_NO_PAD.encode([2; 32])});
    let keys = json!({"keys": [own, rsa, curve]});
    let token = json!({"access_token": "a", "token_type": "Bearer", "expires_in": 300, "id_token": "$ID"});
    [&discovery, &keys, &token, header, claims, user_info].map(Value::to_string).join(PART).into_bytes()
}

pub fn conversations() -> Vec<Vec<u8>> {
    let header = |algorithm: &str, key: &str| json!({"alg": algorithm, "kid": key, "typ": "JWT"});
    let claims = json!({"iss": ISSUER, "aud": "guerdon", "sub": "ada", "exp": 4_102_444_800_u64, "nonce": "$NONCE",
        "iat": 1_800_000_000, "auth_time": 1_800_000_000, "amr": ["pwd", "mfa"], "groups": ["staff"],
        "realm_access": {"roles": ["boss"]}});
    let further = json!({"sub": "ada", "email": "ada@example.org", "email_verified": true, "name": "Ada",
        "groups": ["staff"], "address": {"country": "GB"}, "updated_at": 1_700_000_000});
    let mut whole = claims.clone();
    whole["email"] = json!("ada@example.org");
    let conversation = |algorithm, key, claims| conversation(&header(algorithm, key), claims, &further);
    vec![
        conversation("EdDSA", "1", &claims),
        conversation("EdDSA", "1", &whole),
        conversation("RS256", "2", &claims),
        conversation("ES256", "3", &claims),
    ]
}

/// A token of a header and claims, signed with the provider's key.
fn signed(header: &[u8], claims: &str) -> String {
    let whole = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    format!("{whole}.{}", URL_SAFE_NO_PAD.encode(KEY.sign(whole.as_bytes()).unwrap()))
}

/// What the provider answers to a call.
fn answered(path: &str, parts: [&[u8]; 4]) -> Response<Vec<u8>> {
    let [discovery, keys, token, user_info] = parts;
    let body = match path.rsplit('/').next().unwrap_or_default() {
        "keys" => keys,
        "token" => token,
        "me" => user_info,
        _ => discovery,
    };
    // The user info may be a token as well.
    let kind = if body.starts_with(b"ey") { "application/jwt" } else { "application/json" };
    Response::builder().header("content-type", kind).body(body.to_vec()).unwrap()
}

/// Whatever the provider says: nobody is proved but by claims for us, for this attempt, that have not run out.
pub fn answers(input: &[u8]) -> String {
    let [discovery, keys, token, header, claims, user_info] = parts(input);
    let secrets = Secrets::of(&Token::generate(TokenKind::OneTime));
    let claims = text(claims).replace("$NONCE", &secrets.nonce);
    let token = text(token).replace("$ID", &signed(header, &claims)).into_bytes();
    let parts = [discovery, keys, &token, user_info].map(<[u8]>::to_vec);
    let call = move |request: Request<Vec<u8>>| -> Ready<Result<Response<Vec<u8>>, Infallible>> {
        ready(Ok(answered(request.uri().path(), parts.each_ref().map(Vec::as_slice))))
    };
    let provider = Provider::new(SETTINGS.clone(), Some("secret".to_owned().into()));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let begun = runtime.block_on(provider.begin(&call, REDIRECT, &secrets, true));
    let begun = begun.map_or_else(reason, |url| format!("sent by {}", url.scheme()));
    let proved = runtime.block_on(provider.prove(&call, REDIRECT, "code".to_owned(), &secrets));
    let proved = proved.map_or_else(reason, |proved| {
        let said: Value = serde_json::from_str(&claims).unwrap();
        let audience = &said["aud"];
        assert_eq!((said["iss"].as_str(), said["sub"].as_str()), (Some(ISSUER), Some(proved.subject.as_str())));
        assert!(audience == "guerdon" || audience.as_array().is_some_and(|all| all.contains(&json!("guerdon"))));
        assert_eq!(said["nonce"].as_str(), Some(secrets.nonce.as_str()));
        assert!(said["exp"].as_f64().is_some_and(|end| end > 1_700_000_000.0), "it has run out");
        assert!((1..=255).contains(&proved.subject.len()));
        let (roles, strong) = (SETTINGS.grants(&proved.claims).len(), SETTINGS.proves_second_factor(&proved.claims));
        format!("proved, {} roles, {strong}, {}", ["no", "one", "two"][roles.min(2)], proved.at().as_millis() > 0)
    });
    format!("{begun}; {proved}")
}

fn reason(refusal: Refusal) -> String {
    match refusal {
        Refusal::Cancelled(reason)
        | Refusal::Unavailable(reason)
        | Refusal::Invalid(reason)
        | Refusal::Trouble(reason) => reason,
        Refusal::NoAccess(reason) => reason.to_owned(),
        other => other.sentence().to_owned(),
    }
}
