//! The conversation with an identity provider: discovery, the way there, and what comes back, verified.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use guerdon_core::time::Timestamp;
use hmac::Mac;
use openidconnect::core::{
    CoreAuthPrompt, CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreGenderClaim, CoreIdToken,
    CoreIdTokenClaims, CoreJwsSigningAlgorithm, CoreProviderMetadata,
};
use openidconnect::{
    AccessToken, AccessTokenHash, AdditionalClaims, AsyncHttpClient, AuthType, AuthorizationCode,
    ClaimsVerificationError, ClientId, ClientSecret, CsrfToken, EndpointMaybeSet, EndpointNotSet, EndpointSet,
    IssuerUrl, Nonce, OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope,
    SignatureVerificationError, TokenResponse, UserInfoClaims, UserInfoError,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use url::Url;
use zeroize::Zeroizing;

use super::Refusal;
use super::settings::{ProviderSettings, claim};
use crate::identity::mac::hmac_sha256;
use crate::identity::token::Token;

/// How long a discovery document and keys are used, and for how long still where new ones cannot be had.
const FRESH: Duration = Duration::from_secs(3_600);
const USABLE: Duration = Duration::from_secs(24 * 3_600);
/// Longest ID token, and longest subject.
const TOKEN_BYTES: usize = 64 << 10;
const SUBJECT_BYTES: usize = 255;
/// Signatures that are believed. None that a shared secret makes: whoever knows the client's secret could sign.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

type Client =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

/// The way to a provider: [`Outbound`](crate::outbound::Outbound), or what stands in for it where answers are tried out.
pub trait Calls: for<'c> AsyncHttpClient<'c> {}

impl<C: for<'c> AsyncHttpClient<'c>> Calls for C {}

/// A provider, and what is remembered of it.
pub struct Provider {
    /// What the file says.
    pub settings: ProviderSettings,
    secret: Option<Zeroizing<String>>,
    known: Mutex<Option<(Instant, CoreProviderMetadata)>>,
}

/// What must come back as it was sent. Made from the token in the browser's cookie, so that none of it is stored.
pub struct Secrets {
    /// The `state`.
    pub state: String,
    /// The `nonce` of the ID token.
    pub nonce: String,
    verifier: String,
}

impl Secrets {
    /// Those of an attempt.
    pub fn of(token: &Token) -> Self {
        let made = |purpose: &str| {
            let mac = hmac_sha256(token.reveal().as_bytes()).chain_update(purpose.as_bytes());
            URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
        };
        Self { state: made("guerdon sso state"), nonce: made("guerdon sso nonce"), verifier: made("guerdon sso pkce") }
    }
}

/// Someone whom the provider vouches for.
pub struct Proved {
    /// The issuer.
    pub issuer: String,
    /// The person's subject there.
    pub subject: String,
    /// What is said of them.
    pub claims: Map<String, Value>,
}

impl Proved {
    /// When the provider has asked the person who they are; long ago where it does not say.
    pub fn at(&self) -> Timestamp {
        let seconds = self.claims.get("auth_time").and_then(Value::as_i64).unwrap_or_default();
        Timestamp::from_millis(seconds.saturating_mul(1_000))
    }
}

/// Claims of all kinds.
#[derive(Debug, Serialize, Deserialize)]
struct OtherClaims(Map<String, Value>);

impl AdditionalClaims for OtherClaims {}

fn unavailable(error: impl std::fmt::Display) -> Refusal {
    Refusal::Unavailable(error.to_string())
}

fn invalid(error: impl std::fmt::Display) -> Refusal {
    Refusal::Invalid(error.to_string())
}

impl Provider {
    /// A provider whose settings are checked.
    pub fn new(settings: ProviderSettings, secret: Option<Zeroizing<String>>) -> Self {
        Self { settings, secret, known: Mutex::new(None) }
    }

    /// What the provider says of itself. One asks at a time; the others wait for the answer.
    async fn metadata(&self, outbound: &impl Calls, at_most: Duration) -> Result<CoreProviderMetadata, Refusal> {
        let mut known = self.known.lock().await;
        if let Some((_, metadata)) = known.as_ref().filter(|(at, _)| at.elapsed() < at_most) {
            return Ok(metadata.clone());
        }
        let issuer = IssuerUrl::new(self.settings.issuer.clone()).map_err(unavailable)?;
        match CoreProviderMetadata::discover_async(issuer, outbound).await {
            Ok(metadata) => {
                *known = Some((Instant::now(), metadata.clone()));
                Ok(metadata)
            }
            Err(error) => {
                let reason = reasons(&error);
                match known.as_ref().filter(|(at, _)| at.elapsed() < USABLE) {
                    Some((_, metadata)) => {
                        tracing::warn!(provider = self.settings.id, reason, "the keys of a provider are not renewed");
                        Ok(metadata.clone())
                    }
                    None => Err(Refusal::Unavailable(reason)),
                }
            }
        }
    }

    fn client(&self, metadata: CoreProviderMetadata, redirect: &str) -> Result<Client, Refusal> {
        let methods = metadata.token_endpoint_auth_methods_supported();
        let basic = methods.is_none_or(|methods| methods.contains(&CoreClientAuthMethod::ClientSecretBasic));
        let secret = self.secret.as_ref().map(|secret| ClientSecret::new(secret.to_string()));
        let redirect = RedirectUrl::new(redirect.to_owned())
            .map_err(|_| unavailable("the server does not know its public address: give --public-url"))?;
        let client = ClientId::new(self.settings.client_id.clone());
        let client = CoreClient::from_provider_metadata(metadata, client, secret).set_redirect_uri(redirect);
        Ok(client.set_auth_type(if basic { AuthType::BasicAuth } else { AuthType::RequestBody }))
    }

    /// Where to send the browser. `anew`: the provider is to ask the person again, and to say when it did.
    pub async fn begin(
        &self,
        outbound: &impl Calls,
        redirect: &str,
        secrets: &Secrets,
        anew: bool,
    ) -> Result<Url, Refusal> {
        let client = self.client(self.metadata(outbound, FRESH).await?, redirect)?;
        let verifier = PkceCodeVerifier::new(secrets.verifier.clone());
        let (state, nonce) = (CsrfToken::new(secrets.state.clone()), Nonce::new(secrets.nonce.clone()));
        let request = client
            .authorize_url(CoreAuthenticationFlow::AuthorizationCode, || state, || nonce)
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .add_scopes(self.settings.scopes.iter().filter(|one| *one != "openid").cloned().map(Scope::new));
        let request =
            if anew { request.add_prompt(CoreAuthPrompt::Login).set_max_age(Duration::ZERO) } else { request };
        Ok(request.url().0)
    }

    /// Exchanges the code that came back for an ID token, and verifies it.
    pub async fn prove(
        &self,
        outbound: &impl Calls,
        redirect: &str,
        code: String,
        secrets: &Secrets,
    ) -> Result<Proved, Refusal> {
        let client = self.client(self.metadata(outbound, FRESH).await?, redirect)?;
        let request = client.exchange_code(AuthorizationCode::new(code)).map_err(unavailable)?;
        let request = request.set_pkce_verifier(PkceCodeVerifier::new(secrets.verifier.clone()));
        let answer = request.request_async(outbound).await.map_err(|error| match error {
            RequestTokenError::Parse(..) => invalid("the answer of the token endpoint cannot be read"),
            error => Refusal::Invalid(reasons(&error)),
        })?;
        let id_token = answer.id_token().ok_or_else(|| invalid("the provider gave no ID token"))?;
        let nonce = Nonce::new(secrets.nonce.clone());
        let access = answer.access_token();
        let subject = match verified(&client, id_token, &nonce, access) {
            Err(Miss::Key) => {
                // The provider may have changed its keys within the hour. Only its own tokens lead here.
                let client = self.client(self.metadata(outbound, Duration::ZERO).await?, redirect)?;
                verified(&client, id_token, &nonce, access)
            }
            answer => answer,
        };
        let subject = subject.map_err(|miss| match miss {
            Miss::Key => invalid("the ID token is signed with a key that the provider does not publish"),
            Miss::Other(reason) => Refusal::Invalid(reason),
        })?;
        let mut claims = payload(id_token)?;
        if self.asks_further(&claims) && client.user_info_url().is_some() {
            merge(&mut claims, user_info(&client, outbound, access, &subject).await?);
        }
        Ok(Proved { issuer: self.settings.issuer.clone(), subject, claims })
    }

    /// Whether something that is needed is not in the ID token.
    fn asks_further(&self, claims: &Map<String, Value>) -> bool {
        let mapped = self.settings.mappings.iter().map(|mapping| mapping.claim.as_str());
        let of_members = ["email_verified", "phone_number", "phone_number_verified"];
        let of_members = of_members.into_iter().filter(|_| self.settings.members.is_some());
        mapped.chain(["email"]).chain(of_members).any(|name| claim(claims, name).is_none())
    }
}

/// Why an ID token is not believed.
enum Miss {
    /// Its key is not known.
    Key,
    Other(String),
}

/// Verifies signature, issuer, audience, end and nonce, and that the access token belongs to it; gives the subject.
fn verified(client: &Client, id_token: &CoreIdToken, nonce: &Nonce, access: &AccessToken) -> Result<String, Miss> {
    let other = |error: &dyn std::error::Error| Miss::Other(reasons(error));
    let verifier = client.id_token_verifier().set_allowed_algs(ALGORITHMS);
    let claims: &CoreIdTokenClaims = id_token.claims(&verifier, nonce).map_err(|error| match error {
        ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey) => Miss::Key,
        error => other(&error),
    })?;
    if let Some(expected) = claims.access_token_hash() {
        let algorithm = id_token.signing_alg().map_err(|error| other(&error))?;
        let key = id_token.signing_key(&verifier).map_err(|error| other(&error))?;
        let actual = AccessTokenHash::from_token(access, algorithm, key).map_err(|error| other(&error))?;
        if actual != *expected {
            return Err(Miss::Other("the access token does not belong to the ID token".to_owned()));
        }
    }
    let subject = claims.subject().as_str();
    if subject.is_empty() || subject.len() > SUBJECT_BYTES {
        return Err(Miss::Other(format!("the subject must have 1 to {SUBJECT_BYTES} bytes")));
    }
    Ok(subject.to_owned())
}

/// All claims of a token that is verified.
fn payload(id_token: &CoreIdToken) -> Result<Map<String, Value>, Refusal> {
    let text = id_token.to_string();
    if text.len() > TOKEN_BYTES {
        return Err(invalid("the ID token is larger than 64 KiB"));
    }
    let part = text.split('.').nth(1).unwrap_or_default();
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(invalid)?;
    serde_json::from_slice(&bytes).map_err(invalid)
}

async fn user_info(
    client: &Client,
    outbound: &impl Calls,
    access: &AccessToken,
    subject: &str,
) -> Result<Map<String, Value>, Refusal> {
    let expected = openidconnect::SubjectIdentifier::new(subject.to_owned());
    let request = client.user_info(access.clone(), Some(expected)).map_err(unavailable)?;
    let answer: UserInfoClaims<OtherClaims, CoreGenderClaim> =
        request.request_async(outbound).await.map_err(|error| match error {
            UserInfoError::Parse(_) => invalid("the user info cannot be read"),
            error => Refusal::Invalid(reasons(&error)),
        })?;
    match serde_json::to_value(&answer).map_err(invalid)? {
        Value::Object(claims) => Ok(claims),
        _ => Err(invalid(StatusCode::BAD_GATEWAY)),
    }
}

/// Adds what the ID token does not say. How the person signed in is for the ID token alone to say, and whether an address
/// is verified holds for the address that it was said of.
fn merge(claims: &mut Map<String, Value>, further: Map<String, Value>) {
    let another = |address: &str| claims.get(address).is_some_and(|known| further.get(address) != Some(known));
    let others: Vec<&str> = [("email", "email_verified"), ("phone_number", "phone_number_verified")]
        .into_iter()
        .filter_map(|(address, verified)| another(address).then_some(verified))
        .collect();
    for (name, value) in further {
        let foreign = ["amr", "acr", "auth_time"].contains(&name.as_str()) || others.contains(&name.as_str());
        if !foreign {
            claims.entry(name).or_insert(value);
        }
    }
}

/// An error with its causes. Not for answers that cannot be read: their errors repeat pieces of them.
fn reasons(error: &dyn std::error::Error) -> String {
    let mut reason = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        reason = format!("{reason}: {inner}");
        source = inner.source();
    }
    reason.chars().filter(|c| !c.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use openidconnect::core::{CoreEdDsaPrivateSigningKey, CoreHmacKey, CoreJsonWebKeySet};
    use openidconnect::{
        Audience, AuthUrl, EmptyAdditionalClaims, EmptyAdditionalProviderMetadata, JsonWebKeyId, JsonWebKeySetUrl,
        PrivateSigningKey, StandardClaims, SubjectIdentifier,
    };
    use serde_json::json;

    use super::*;
    use crate::identity::token::TokenKind;

    #[test]
    fn what_must_come_back_differs_by_attempt_and_by_purpose() {
        let token = Token::generate(TokenKind::OneTime);
        let (one, same) = (Secrets::of(&token), Secrets::of(&token));
        let another = Secrets::of(&Token::generate(TokenKind::OneTime));
        assert_eq!(one.state, same.state);
        assert!(one.state != another.state && one.state != one.nonce && one.nonce != one.verifier);
        assert_eq!(one.verifier.len(), 43, "the least that RFC 7636 allows");
    }

    /// A key of a provider, and one that is somebody else's.
    fn signing_keys() -> [CoreEdDsaPrivateSigningKey; 2] {
        [(); 2].map(|()| {
            let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
            CoreEdDsaPrivateSigningKey::from_ed25519_pem(&key.serialize_pem(), Some(JsonWebKeyId::new("1".to_owned())))
                .unwrap()
        })
    }

    /// What the provider of these tests says of a person: for whom, and for how many seconds from now.
    fn claims(issuer: &str, audience: &str, nonce: &str, seconds: i64) -> CoreIdTokenClaims {
        let now = std::time::SystemTime::now();
        let length = Duration::from_secs(seconds.unsigned_abs());
        let end = if seconds < 0 { now - length } else { now + length };
        let person = StandardClaims::new(SubjectIdentifier::new("ada".to_owned()));
        let audience = vec![Audience::new(audience.to_owned())];
        let issuer = IssuerUrl::new(issuer.to_owned()).unwrap();
        CoreIdTokenClaims::new(issuer, audience, end.into(), now.into(), person, EmptyAdditionalClaims {})
            .set_nonce(Some(Nonce::new(nonce.to_owned())))
    }

    #[test]
    fn a_forged_token_is_not_believed() {
        const ISSUER: &str = "https://id.example.org";
        let [own, foreign] = signing_keys();
        let settings = json!({ "id": "acme", "name": "Acme", "issuer": ISSUER, "client_id": "guerdon" });
        let secret = Zeroizing::new("the secret of the client".to_owned());
        let provider = Provider::new(serde_json::from_value(settings).unwrap(), Some(secret.clone()));
        let url = |path: &str| format!("{ISSUER}/{path}");
        let metadata = CoreProviderMetadata::new(
            IssuerUrl::new(ISSUER.to_owned()).unwrap(),
            AuthUrl::new(url("authorize")).unwrap(),
            JsonWebKeySetUrl::new(url("keys")).unwrap(),
            Vec::new(),
            Vec::new(),
            Vec::new(),
            EmptyAdditionalProviderMetadata {},
        );
        let metadata = metadata.set_jwks(CoreJsonWebKeySet::new(vec![own.as_verification_key()]));
        let client = provider.client(metadata, "https://loyalty.example.org/back").unwrap();
        let (nonce, access) = (Nonce::new("n".to_owned()), AccessToken::new("a".to_owned()));
        let believed = |token: &CoreIdToken| verified(&client, token, &nonce, &access).ok();
        let signed = |claims: CoreIdTokenClaims, key: &CoreEdDsaPrivateSigningKey| {
            CoreIdToken::new(claims, key, CoreJwsSigningAlgorithm::EdDsa, Some(&access), None).unwrap()
        };
        let right = || claims(ISSUER, "guerdon", "n", 600);
        assert_eq!(believed(&signed(right(), &own)).as_deref(), Some("ada"));
        for (what, token) in [
            ("another key under the same name", signed(right(), &foreign)),
            ("another issuer", signed(claims("https://evil.example", "guerdon", "n", 600), &own)),
            ("another client", signed(claims(ISSUER, "another", "n", 600), &own)),
            ("another attempt", signed(claims(ISSUER, "guerdon", "m", 600), &own)),
            ("an end that is past", signed(claims(ISSUER, "guerdon", "n", -600), &own)),
        ] {
            assert_eq!(believed(&token), None, "{what}");
        }
        // Signed with the client's secret, which the provider knows and whoever runs this server; and not signed at all.
        let by_secret = CoreHmacKey::new(secret.as_bytes().to_vec());
        let token =
            CoreIdToken::new(right(), &by_secret, CoreJwsSigningAlgorithm::HmacSha256, Some(&access), None).unwrap();
        assert_eq!(believed(&token), None);
        let text = signed(right(), &own).to_string();
        let parts: Vec<&str> = text.split('.').collect();
        let unsigned = format!("{}.{}.", URL_SAFE_NO_PAD.encode("{\"alg\":\"none\"}"), parts[1]);
        assert!(unsigned.parse::<CoreIdToken>().ok().is_none_or(|token| believed(&token).is_none()));
        let other = URL_SAFE_NO_PAD
            .encode(String::from_utf8(URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap().replace("ada", "eve"));
        let altered = format!("{}.{other}.{}", parts[0], parts[2]);
        assert_eq!(believed(&altered.parse().unwrap()), None, "a claim that was changed");
    }

    #[test]
    fn the_user_info_adds_and_never_overrules() {
        let merged = |claims: Value, further: Value| {
            let mut claims = claims.as_object().unwrap().clone();
            merge(&mut claims, further.as_object().unwrap().clone());
            Value::Object(claims)
        };
        let further = json!({ "email": "b@example.org", "email_verified": true, "groups": ["x"], "amr": ["mfa"], "auth_time": 9 });
        assert_eq!(
            merged(json!({ "email": "a@example.org" }), further.clone()),
            json!({ "email": "a@example.org", "groups": ["x"] }),
        );
        assert_eq!(
            merged(json!({ "groups": [] }), further),
            json!({ "email": "b@example.org", "email_verified": true, "groups": [] }),
        );
    }
}
