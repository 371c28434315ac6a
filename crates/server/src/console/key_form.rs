//! The form by which a key or a partner's program is made.

use guerdon_core::time::Timestamp;

use crate::identity::allowance::Allowance;
use crate::identity::clients::ClientTerms;
use crate::identity::keys::{NewKey, invalid};
use crate::identity::limit::Limit;
use crate::identity::usage::UsageQuota;
use crate::problem::Problem;

const DAY_MS: i64 = 86_400_000;
const MOST_DAYS: i64 = 36_500;

/// What was typed.
#[derive(Default)]
pub struct KeyForm {
    /// A partner with tokens, or else an API key.
    pub is_partner: bool,
    /// What it is for.
    pub name: String,
    /// The permissions that were chosen.
    pub permissions: Vec<String>,
    /// `north, south`; empty: all.
    pub stores: String,
    /// `192.0.2.0/24, 2001:db8::1`; empty: all.
    pub networks: String,
    /// `100/s burst 200`; empty: the usual one.
    pub rate: String,
    /// For how many days a key holds; empty: without end.
    pub days: String,
    /// Requests of a partner's day; empty: any number.
    pub per_day: String,
    /// Requests of a partner's month; empty: any number.
    pub per_month: String,
    /// Whether a key must sign.
    pub signed: bool,
}

/// `north, south` as a list.
fn words(text: &str) -> Vec<String> {
    let parts = text.split([',', '，', '\n']).map(str::trim);
    parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// A number where one was typed.
fn number<T: std::str::FromStr>(field: &str, text: &str) -> Result<Option<T>, Problem> {
    let text = text.trim();
    let wrong = |_| invalid(format!("`{field}` must be a whole number, or empty"));
    if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(wrong) }
}

impl KeyForm {
    /// From the fields of the form.
    pub fn read(fields: Vec<(String, String)>) -> Self {
        let mut form = Self::default();
        for (name, value) in fields {
            match name.as_str() {
                "kind" => form.is_partner = value == "partner",
                "name" => form.name = value,
                "permission" => form.permissions.push(value),
                "stores" => form.stores = value,
                "networks" => form.networks = value,
                "rate" => form.rate = value,
                "days" => form.days = value,
                "per_day" => form.per_day = value,
                "per_month" => form.per_month = value,
                "signed" => form.signed = true,
                _ => {}
            }
        }
        form
    }

    fn allowance(&self) -> Result<Allowance, Problem> {
        let rate = match self.rate.trim() {
            "" => None,
            text => Some(text.parse::<Limit>().map_err(|error| invalid(error.to_string()))?),
        };
        Allowance::parse(&self.permissions, words(&self.stores), &words(&self.networks), rate).map_err(invalid)
    }

    /// The key that it describes.
    pub fn key(&self, now: Timestamp) -> Result<NewKey, Problem> {
        let expires_at = match number::<i64>("days", &self.days)? {
            None => None,
            Some(days) if (1..=MOST_DAYS).contains(&days) => Some(now.plus_millis(days * DAY_MS)),
            Some(_) => return Err(invalid(format!("`days` must be 1 to {MOST_DAYS}, or empty"))),
        };
        Ok(NewKey { name: self.name.clone(), allowance: self.allowance()?, expires_at, signed: self.signed })
    }

    /// The partner's program that it describes.
    pub fn client(&self) -> Result<ClientTerms, Problem> {
        let per_day = number("per_day", &self.per_day)?;
        let quota = UsageQuota { per_day, per_month: number("per_month", &self.per_month)? };
        Ok(ClientTerms { name: self.name.clone(), allowance: self.allowance()?, quota })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn form(fields: &[(&str, &str)]) -> KeyForm {
        KeyForm::read(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn a_form_is_read_as_people_fill_it_in() {
        let typed = form(&[
            ("name", "Till"),
            ("permission", "activities:write"),
            ("permission", "cards:verify"),
            ("stores", " north， south,"),
            ("networks", ""),
            ("rate", ""),
            ("days", "30"),
            ("signed", "on"),
        ]);
        let key = typed.key(NOW).unwrap();
        assert_eq!(key.allowance.stores, ["north", "south"]);
        assert_eq!(key.allowance.permissions.iter().count(), 2);
        assert_eq!(key.expires_at, Some(NOW.plus_millis(30 * DAY_MS)));
        assert!(key.signed && key.allowance.rate.is_none());
        let partner = [("kind", "partner"), ("permission", "members:read"), ("per_day", "5"), ("per_month", "")];
        let partner = form(&partner).client().unwrap();
        assert_eq!(partner.quota, UsageQuota { per_day: Some(5), per_month: None });
        for (field, value) in [("days", "0"), ("days", "a"), ("rate", "often"), ("networks", "here")] {
            let problem = form(&[("permission", "members:read"), (field, value)]).key(NOW).err().unwrap();
            assert_eq!(problem.status, 422, "{field} {value}");
        }
    }
}
