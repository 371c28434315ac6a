//! Members: the profile, and the references by which the world outside knows them.

mod address;
mod birthday;
mod card;
mod card_number;
mod patch;

pub use address::{Address, KnownAddress, find as find_address};
pub use birthday::has_birthday;
pub use card::{CardError, CardKey, CardPublicKey, STEP_SECONDS, verify_card};
pub use card_number::{card_number, grouped_card_number, parse_card_number};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::limits;

/// What is known of a member besides the points. Shapes: free text within the limits; `birth_date` as `YYYY-MM-DD`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The brand's own number for the member; unique in the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Display name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// E-mail address; unique in the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Phone number; unique in the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// Date of birth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub birth_date: Option<String>,
    /// BCP 47 language tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Country, by name or ISO 3166 code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// The address book: where things are sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<KnownAddress>,
    /// Anything else the brand keeps.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

impl Profile {
    /// Checks every field against its limit; the message names the field.
    pub fn validate(&self) -> Result<(), String> {
        for (field, value, limit) in [
            ("external_id", &self.external_id, limits::KEY_CHARS),
            ("name", &self.name, limits::TEXT_CHARS),
            ("email", &self.email, 254),
            ("phone", &self.phone, 32),
            ("language", &self.language, 35),
            ("country", &self.country, 100),
        ] {
            if let Some(text) = value {
                limits::check_text(field, text, limit)?;
            }
        }
        if let Some(email) = &self.email
            && !email.split_once('@').is_some_and(|(user, host)| !user.is_empty() && host.contains('.'))
        {
            return Err("`email` is not an e-mail address such as ann@example.org".to_owned());
        }
        if let Some(phone) = &self.phone
            && (phone.chars().filter(char::is_ascii_digit).count() < 5
                || !phone.chars().all(|c| c.is_ascii_digit() || "+-() .".contains(c)))
        {
            return Err("`phone` is not a phone number such as +44 20 7946 0000".to_owned());
        }
        if let Some(date) = &self.birth_date {
            date.parse::<jiff::civil::Date>()
                .map_err(|_| "`birth_date` is not a date such as 1990-05-17".to_owned())?;
        }
        address::validate(&self.addresses)?;
        check_attributes(&self.attributes)
    }

    /// The values that must be unique in the program. [`crate::privacy::Keyring::references`] makes references of them.
    pub fn reference_values(&self) -> impl Iterator<Item = (RefKind, &str)> {
        [(RefKind::ExternalId, &self.external_id), (RefKind::Email, &self.email), (RefKind::Phone, &self.phone)]
            .into_iter()
            .filter_map(|(kind, value)| Some((kind, value.as_deref()?)))
    }
}

/// Checks the number and length of free attributes.
pub fn check_attributes(attributes: &BTreeMap<String, String>) -> Result<(), String> {
    if attributes.len() > limits::ATTRIBUTES {
        return Err(format!(
            "`attributes` has {} entries; at most {} are allowed",
            attributes.len(),
            limits::ATTRIBUTES
        ));
    }
    for (name, value) in attributes {
        limits::check_text("attributes", name, limits::KEY_CHARS)?;
        if !value.is_empty() {
            limits::check_text(name, value, limits::TEXT_CHARS)?;
        }
    }
    Ok(())
}

/// By what kind of reference a member is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(i64)]
pub enum RefKind {
    /// The brand's own number.
    ExternalId = 1,
    /// E-mail address, folded to lower case.
    Email = 2,
    /// Phone number, digits and plus sign only.
    Phone = 3,
    /// The idempotency key of the enrolment, so that a repeated enrolment finds the member it made.
    Enrolment = 4,
}

impl RefKind {
    /// Whether it goes with its member into another account. A repeated enrolment must find the member that it made.
    pub fn moves(self) -> bool {
        self != Self::Enrolment
    }

    /// The name used in the API and in refusals.
    pub fn name(self) -> &'static str {
        match self {
            Self::ExternalId => "external_id",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Enrolment => "idempotency_key",
        }
    }

    /// The kind of a stored code.
    pub fn from_code(code: i64) -> Option<Self> {
        [Self::ExternalId, Self::Email, Self::Phone, Self::Enrolment].into_iter().find(|kind| *kind as i64 == code)
    }

    /// A value without what people write one way or another.
    pub fn normalise(self, value: &str) -> String {
        match self {
            Self::Email => value.trim().to_lowercase(),
            Self::Phone => value.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect(),
            Self::ExternalId => value.trim().to_owned(),
            Self::Enrolment => value.to_owned(),
        }
    }
}

/// A unique reference to a member: its kind and a keyed digest of the normalised value, as
/// [`crate::privacy::Keyring::reference`] makes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberRef {
    /// The kind.
    pub kind: RefKind,
    /// HMAC, under the index key of the program, of the SHA-256 of the normalised value.
    pub digest: [u8; 32],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_ignore_how_a_phone_number_is_written() {
        assert_eq!(RefKind::Phone.normalise("+44 (20) 7946-0000"), "+442079460000");
        assert_eq!(RefKind::Email.normalise(" Ann@Example.ORG"), "ann@example.org");
        assert_eq!(RefKind::ExternalId.normalise(" A-7 "), "A-7");
    }

    #[test]
    fn a_profile_names_the_field_that_is_wrong() {
        let wrong = Profile { email: Some("ann".into()), ..Profile::default() };
        assert!(wrong.validate().unwrap_err().contains("email"));
        let wrong = Profile { birth_date: Some("1990-02-31".into()), ..Profile::default() };
        assert!(wrong.validate().unwrap_err().contains("birth_date"));
    }
}
