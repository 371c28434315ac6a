//! What the file of providers says, and what must be right about it before the server starts.

use std::path::PathBuf;

use guerdon_core::identity::Grant;
use guerdon_core::limits;
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;

use crate::identity::operator::OWNER;

const MOST_PROVIDERS: usize = 10;
const MOST_MAPPINGS: usize = 200;
const MOST_STORES: usize = 1_000;
const MOST_SCOPES: usize = 20;

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SsoSettings {
    /// The providers, in the order of the sign-in page.
    #[serde(default, rename = "provider")]
    pub providers: Vec<ProviderSettings>,
}

/// One identity provider.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderSettings {
    /// Its name in our addresses: small letters, digits and hyphens.
    pub id: String,
    /// Its name on the sign-in page.
    pub name: String,
    /// The issuer's URL, under which its discovery document lies.
    pub issuer: String,
    /// What the provider calls us.
    pub client_id: String,
    /// The environment variable that holds the client's secret.
    #[serde(default)]
    pub client_secret_env: Option<String>,
    /// The file that holds it.
    #[serde(default)]
    pub client_secret_file: Option<PathBuf>,
    /// What to ask for besides `openid`.
    #[serde(default = "usual_scopes")]
    pub scopes: Vec<String>,
    /// Whether someone unknown whose claims give a role becomes an operator by signing in.
    #[serde(default)]
    pub create_operators: bool,
    /// Whether someone with the verified e-mail address of an operator is that operator. Never of an owner.
    #[serde(default)]
    pub link_by_email: bool,
    /// Whether e-mail addresses count as verified where the provider says nothing; when it says no they never do.
    #[serde(default)]
    pub trust_email: bool,
    /// Whether the provider's second factor takes the place of ours.
    #[serde(default)]
    pub trust_second_factor: bool,
    /// If given: only when the ID token's `amr` names one of these.
    #[serde(default)]
    pub second_factor_amr: Vec<String>,
    /// Which claims give which roles.
    #[serde(default, rename = "mapping")]
    pub mappings: Vec<Mapping>,
    /// Given: the provider vouches for members, in the portal, and not for operators.
    #[serde(default)]
    pub members: Option<MemberSettings>,
}

/// What a provider for members may do.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberSettings {
    /// Whether someone unknown may become a member.
    #[serde(default)]
    pub join: bool,
    /// Whether someone with the verified e-mail address or phone number of a member is that member.
    #[serde(default = "yes")]
    pub link: bool,
}

fn yes() -> bool {
    true
}

fn usual_scopes() -> Vec<String> {
    vec!["email".to_owned(), "profile".to_owned()]
}

/// A value of a claim that gives a role.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// The claim, such as `groups`; dots lead into objects: `realm_access.roles`.
    pub claim: String,
    /// The text that it is, or that is in its list.
    pub value: String,
    /// The role that it gives.
    pub role: String,
    /// In these stores; empty: in all.
    #[serde(default)]
    pub stores: Vec<String>,
}

impl SsoSettings {
    /// Checks what can be checked without calling anyone.
    pub fn check(&self) -> Result<(), String> {
        if self.providers.len() > MOST_PROVIDERS {
            return Err(format!("{MOST_PROVIDERS} providers at the most, not {}", self.providers.len()));
        }
        for (index, provider) in self.providers.iter().enumerate() {
            provider.check().map_err(|problem| format!("provider `{}`: {problem}", provider.id))?;
            if self.providers.iter().take(index).any(|other| other.id == provider.id) {
                return Err(format!("there are two providers with the id `{}`", provider.id));
            }
        }
        Ok(())
    }
}

impl ProviderSettings {
    fn check(&self) -> Result<(), String> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.id.is_empty() || self.id.len() > 32 || !self.id.chars().all(plain) {
            return Err("`id` must be 1 to 32 small letters, digits and hyphens".to_owned());
        }
        limits::check_text("name", &self.name, 60).map_err(|error| error.to_string())?;
        limits::check_text("client_id", &self.client_id, 256).map_err(|error| error.to_string())?;
        let issuer = Url::parse(&self.issuer).map_err(|error| format!("`issuer` is not a URL: {error}"))?;
        let rest = issuer.query().is_some() || issuer.fragment().is_some() || !issuer.username().is_empty();
        if !matches!(issuer.scheme(), "https" | "http") || rest {
            return Err("`issuer` must be an https URL without a user, query or fragment".to_owned());
        }
        if self.client_secret_env.is_some() && self.client_secret_file.is_some() {
            return Err("give `client_secret_env` or `client_secret_file`, not both".to_owned());
        }
        let scope = |scope: &String| {
            !scope.is_empty() && scope.len() <= 100 && scope.chars().all(|c| c.is_ascii_graphic() && c != '"')
        };
        if self.scopes.len() > MOST_SCOPES || !self.scopes.iter().all(scope) {
            return Err(format!("`scopes` must be {MOST_SCOPES} words at the most, such as \"email\""));
        }
        if !self.second_factor_amr.is_empty() && !self.trust_second_factor {
            return Err("`second_factor_amr` says nothing without `trust_second_factor = true`".to_owned());
        }
        if self.members.is_some() {
            return self.check_for_members();
        }
        if self.mappings.is_empty() || self.mappings.len() > MOST_MAPPINGS {
            return Err(format!(
                "1 to {MOST_MAPPINGS} [[provider.mapping]] are needed, not {}: without one nobody comes in",
                self.mappings.len()
            ));
        }
        self.mappings.iter().try_for_each(Mapping::check)
    }

    /// What is for operators alone says nothing of a provider for members, and must not be thought to.
    fn check_for_members(&self) -> Result<(), String> {
        let trusted = self.trust_email || self.trust_second_factor;
        if self.create_operators || self.link_by_email || trusted || !self.mappings.is_empty() {
            let problem = "a provider with [provider.members] is for members only: take `create_operators`, \
                `link_by_email`, `trust_email`, `trust_second_factor` and the mappings away, or make it two providers";
            return Err(problem.to_owned());
        }
        Ok(())
    }

    /// The roles that claims give.
    pub fn grants(&self, claims: &Map<String, Value>) -> Vec<Grant> {
        let mut grants: Vec<Grant> = Vec::new();
        for mapping in self.mappings.iter().filter(|mapping| mapping.matches(claims)) {
            let (role, stores) = (mapping.role.clone(), mapping.stores.clone());
            let grant = Grant { role, program: "*".to_owned(), stores };
            if !grants.contains(&grant) {
                grants.push(grant);
            }
        }
        grants
    }

    /// Whether the provider has asked for a second factor that counts as ours.
    pub fn proves_second_factor(&self, claims: &Map<String, Value>) -> bool {
        let wanted = &self.second_factor_amr;
        let used = claims.get("amr");
        self.trust_second_factor && (wanted.is_empty() || wanted.iter().any(|method| holds(used, method)))
    }
}

impl Mapping {
    fn check(&self) -> Result<(), String> {
        for (name, text) in [("claim", &self.claim), ("value", &self.value), ("role", &self.role)] {
            limits::check_text(name, text, 256).map_err(|error| format!("mapping: {error}"))?;
        }
        if self.role == OWNER {
            return Err("mapping: no claim gives the role `owner`; only an owner makes another".to_owned());
        }
        if self.stores.len() > MOST_STORES {
            return Err(format!("mapping: `stores` may hold {MOST_STORES} at the most"));
        }
        Ok(())
    }

    fn matches(&self, claims: &Map<String, Value>) -> bool {
        holds(claim(claims, &self.claim), &self.value)
    }
}

/// Whether a claim is a text, or a list with it.
fn holds(claim: Option<&Value>, text: &str) -> bool {
    match claim {
        Some(Value::String(value)) => value == text,
        Some(Value::Array(values)) => values.iter().any(|value| value.as_str() == Some(text)),
        _ => false,
    }
}

/// A claim by its name, or by the way to it. Names may have dots in them, as those that are URLs have.
pub fn claim<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(name) {
        return Some(value);
    }
    let mut steps = name.split('.');
    let first = claims.get(steps.next()?)?;
    steps.try_fold(first, |value, step| value.get(step))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn provider() -> ProviderSettings {
        let mapping = |claim: &str, role: &str| Mapping {
            claim: claim.to_owned(),
            value: "loyalty".to_owned(),
            role: role.to_owned(),
            stores: Vec::new(),
        };
        ProviderSettings {
            id: "acme".to_owned(),
            name: "Acme".to_owned(),
            issuer: "https://id.example.org/acme".to_owned(),
            client_id: "guerdon".to_owned(),
            client_secret_env: None,
            client_secret_file: None,
            scopes: usual_scopes(),
            create_operators: true,
            link_by_email: false,
            trust_email: false,
            trust_second_factor: false,
            second_factor_amr: Vec::new(),
            mappings: vec![mapping("groups", "service"), mapping("realm_access.roles", "administrator")],
            members: None,
        }
    }

    fn roles(claims: Value) -> Vec<String> {
        let grants = provider().grants(claims.as_object().unwrap());
        grants.into_iter().map(|grant| grant.role).collect()
    }

    #[test]
    fn claims_give_roles_by_text_list_and_path_and_by_nothing_that_is_merely_alike() {
        assert_eq!(roles(json!({ "groups": "loyalty" })), ["service"]);
        assert_eq!(roles(json!({ "groups": ["a", "loyalty"] })), ["service"]);
        assert_eq!(roles(json!({ "realm_access": { "roles": ["loyalty"] } })), ["administrator"]);
        assert_eq!(roles(json!({ "realm_access.roles": ["loyalty"], "groups": "loyalty" })).len(), 2);
        for none in [
            json!({}),
            json!({ "groups": "loyalty-x" }),
            json!({ "groups": [["loyalty"]] }),
            json!({ "groups": { "loyalty": 1 } }),
        ] {
            assert!(roles(none.clone()).is_empty(), "{none}");
        }
    }

    #[test]
    fn a_second_factor_is_trusted_only_where_the_file_and_the_token_say_so() {
        let claims = json!({ "amr": ["pwd", "mfa"] });
        let mut provider = provider();
        assert!(!provider.proves_second_factor(claims.as_object().unwrap()));
        provider.trust_second_factor = true;
        assert!(provider.proves_second_factor(&Map::new()));
        provider.second_factor_amr = vec!["mfa".to_owned()];
        assert!(provider.proves_second_factor(claims.as_object().unwrap()));
        assert!(!provider.proves_second_factor(json!({ "amr": ["pwd"] }).as_object().unwrap()));
    }

    #[test]
    fn what_is_wrong_with_a_provider_is_said() {
        let wrong = |change: fn(&mut ProviderSettings)| {
            let mut provider = provider();
            change(&mut provider);
            SsoSettings { providers: vec![provider] }.check().unwrap_err()
        };
        assert!(SsoSettings { providers: vec![provider()] }.check().is_ok());
        assert!(wrong(|one| one.id = "Acme/x".to_owned()).contains("small letters"));
        assert!(wrong(|one| one.issuer = "id.example.org".to_owned()).contains("`issuer`"));
        assert!(wrong(|one| one.issuer = "https://id.example.org/?a=b".to_owned()).contains("query"));
        assert!(wrong(|one| one.mappings.clear()).contains("nobody comes in"));
        assert!(wrong(|one| one.mappings[0].role = "owner".to_owned()).contains("only an owner"));
        assert!(wrong(|one| one.second_factor_amr = vec!["mfa".to_owned()]).contains("trust_second_factor"));
        let members = Some(MemberSettings { join: true, link: true });
        let both = SsoSettings { providers: vec![ProviderSettings { members, ..provider() }] };
        assert!(both.check().unwrap_err().contains("for members only"));
        let alone = ProviderSettings { members, create_operators: false, mappings: Vec::new(), ..provider() };
        assert!(SsoSettings { providers: vec![alone] }.check().is_ok());
        let twice = SsoSettings { providers: vec![provider(), provider()] };
        assert!(twice.check().unwrap_err().contains("two providers"));
    }
}
