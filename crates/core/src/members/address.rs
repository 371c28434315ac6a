//! The address book of a member: where things are sent.

use serde::{Deserialize, Serialize};

use crate::limits;

/// A postal address. Shapes: free text within the limits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// Who receives what is sent.
    pub recipient: String,
    /// The recipient's phone number, for whoever delivers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// Street and house, building, flat.
    pub street: String,
    /// District of the city.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub district: Option<String>,
    /// City.
    pub city: String,
    /// Province, state or county.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Postal code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postcode: Option<String>,
    /// Country, by name or ISO 3166 code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
}

/// An address in the book of a member.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownAddress {
    /// Its name in the book, such as `home`.
    pub id: String,
    /// Where.
    #[serde(flatten)]
    pub address: Address,
    /// Whether it is the one that is meant when none is said.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub default: bool,
}

impl Address {
    /// Checks every field against its limit; the message names it, with `within` before it.
    pub fn validate(&self, within: &str) -> Result<(), String> {
        let Self { recipient, phone, street, district, city, region, postcode, country } = self;
        for (field, value, limit) in [("recipient", recipient, 100), ("street", street, 300), ("city", city, 100)] {
            limits::check_text(&format!("{within}.{field}"), value, limit)?;
        }
        for (field, value, limit) in [
            ("phone", phone, 32),
            ("district", district, 100),
            ("region", region, 100),
            ("postcode", postcode, 20),
            ("country", country, 100),
        ] {
            if let Some(text) = value {
                limits::check_text(&format!("{within}.{field}"), text, limit)?;
            }
        }
        Ok(())
    }

    /// Its lines as on a parcel, those that are left out not among them.
    pub fn lines(&self) -> Vec<String> {
        let together = |parts: &[Option<&str>]| parts.iter().flatten().copied().collect::<Vec<_>>().join(" ");
        let place = together(&[self.postcode.as_deref(), Some(&self.city), self.district.as_deref()]);
        let land = together(&[self.region.as_deref(), self.country.as_deref()]);
        let lines = [self.recipient.clone(), self.street.clone(), place, land];
        lines.into_iter().chain(self.phone.clone()).filter(|line| !line.is_empty()).collect()
    }

    /// The same as Chinese parcels have them: the place from the largest to the smallest. A city that is a region of its own
    /// stands there once.
    pub fn lines_from_largest(&self) -> Vec<String> {
        let together = |parts: &[Option<&str>]| parts.iter().flatten().copied().collect::<Vec<_>>().join(" ");
        let region = self.region.as_deref().filter(|region| *region != self.city);
        let place = together(&[self.country.as_deref(), region, Some(&self.city), self.district.as_deref()]);
        let who = together(&[Some(&self.recipient), self.phone.as_deref()]);
        let lines = [who, place, self.street.clone()];
        lines.into_iter().chain(self.postcode.clone()).filter(|line| !line.is_empty()).collect()
    }
}

/// Checks an address book: names that are there once, one default at the most.
pub(super) fn validate(book: &[KnownAddress]) -> Result<(), String> {
    if book.len() > limits::ADDRESSES {
        return Err(format!("`addresses` has {} entries; at most {} are allowed", book.len(), limits::ADDRESSES));
    }
    for (index, known) in book.iter().enumerate() {
        limits::check_text(&format!("addresses[{index}].id"), &known.id, 64)?;
        known.address.validate(&format!("addresses[{index}]"))?;
        if book.iter().take(index).any(|other| other.id == known.id) {
            return Err(format!("`addresses`: `{}` is there twice", known.id));
        }
    }
    if book.iter().filter(|known| known.default).count() > 1 {
        return Err("`addresses`: only one can be the `default`".to_owned());
    }
    Ok(())
}

/// The address of a name in a book; without a name the one that is meant then: the default, or the first.
pub fn find<'a>(book: &'a [KnownAddress], id: Option<&str>) -> Option<&'a KnownAddress> {
    match id {
        Some(id) => book.iter().find(|known| known.id == id),
        None => book.iter().find(|known| known.default).or_else(|| book.first()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(id: &str, default: bool) -> KnownAddress {
        let address = Address {
            recipient: "Ann".to_owned(),
            street: "1 Bund".to_owned(),
            city: "Shanghai".to_owned(),
            ..Address::default()
        };
        KnownAddress { id: id.to_owned(), address, default }
    }

    #[test]
    fn a_book_has_names_of_its_own_and_one_default() {
        let book = [known("home", false), known("work", true)];
        assert_eq!(validate(&book), Ok(()));
        assert_eq!(find(&book, None).map(|known| known.id.as_str()), Some("work"));
        assert_eq!(find(&book[..1], None).map(|known| known.id.as_str()), Some("home"));
        assert_eq!(find(&book, Some("other")), None);
        assert!(validate(&[known("a", true), known("b", true)]).unwrap_err().contains("only one"));
        assert!(validate(&[known("a", false), known("a", false)]).unwrap_err().contains("`a` is there twice"));
        let mut nameless = known("a", false);
        nameless.address.city.clear();
        assert!(validate(&[nameless]).unwrap_err().contains("`addresses[0].city` is empty"));
        assert!(validate(&vec![known("a", false); 11]).unwrap_err().contains("11 entries"));
        assert_eq!(book[0].address.lines(), ["Ann", "1 Bund", "Shanghai"]);
    }

    #[test]
    fn a_chinese_parcel_has_the_largest_first() {
        let some = |text: &str| Some(text.to_owned());
        let mut address = known("home", true).address;
        assert_eq!(address.lines_from_largest(), ["Ann", "Shanghai", "1 Bund"]);
        (address.region, address.district) = (some("Shanghai"), some("Huangpu"));
        (address.phone, address.postcode) = (some("13800138000"), some("200002"));
        assert_eq!(address.lines_from_largest(), ["Ann 13800138000", "Shanghai Huangpu", "1 Bund", "200002"]);
        (address.region, address.country) = (some("Huadong"), some("China"));
        assert_eq!(address.lines_from_largest().get(1).map(String::as_str), Some("China Huadong Shanghai Huangpu"));
    }
}
