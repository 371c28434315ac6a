//! Masks: how much of a personal field is shown to who may not see it in full. Enough to tell two members apart on the phone,
//! too little to reach or name one.

use crate::members::{Address, KnownAddress, Profile};

/// What stands for hidden characters.
const HIDDEN: &str = "****";

/// A phone number with its middle hidden: `138****5678`. Short ones keep their last two digits only.
pub fn phone(number: &str) -> String {
    let digits: Vec<char> = number.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect();
    let tail = |count: usize| digits.iter().rev().take(count).rev().collect::<String>();
    if digits.len() < 9 {
        return format!("{HIDDEN}{}", tail(2));
    }
    let head: String = digits.iter().take(3).collect();
    format!("{head}{HIDDEN}{}", tail(4))
}

/// An e-mail address with its name hidden: `a****@example.org`.
pub fn email(address: &str) -> String {
    let (name, host) = address.split_once('@').unwrap_or((address, ""));
    let first: String = name.chars().take(1).collect();
    format!("{first}{HIDDEN}@{host}")
}

/// Whether a text is what a mask has left of another, so that nobody writes it back.
pub fn is_masked(text: &str) -> bool {
    text.contains(HIDDEN) || text.ends_with("-**-**")
}

/// A name by its first letter: `A****`, `王****`.
pub fn name(name: &str) -> String {
    let first: String = name.trim().chars().take(1).collect();
    format!("{first}{HIDDEN}")
}

/// A date of birth by its year: `1990-**-**`.
pub fn birth_date(date: &str) -> String {
    let year: String = date.chars().take(4).collect();
    format!("{year}-**-**")
}

/// An address by its city and country: the rest is hidden.
pub fn address(known: &Address) -> Address {
    let Address { city, region, country, .. } = known.clone();
    Address {
        recipient: name(&known.recipient),
        phone: known.phone.as_deref().map(phone),
        street: HIDDEN.to_owned(),
        district: known.district.as_ref().map(|_| HIDDEN.to_owned()),
        postcode: known.postcode.as_ref().map(|_| HIDDEN.to_owned()),
        city,
        region,
        country,
    }
}

fn known_address(known: &KnownAddress) -> KnownAddress {
    KnownAddress { address: address(&known.address), ..known.clone() }
}

/// A profile as shown to who may not see it in full. The brand's own number, language and country stay; what the brand
/// keeps beside them is hidden whole, because nobody knows what it is.
pub fn profile(profile: &Profile) -> Profile {
    let hide = |text: &Option<String>, mask: fn(&str) -> String| text.as_deref().map(mask);
    Profile {
        name: hide(&profile.name, name),
        email: hide(&profile.email, email),
        phone: hide(&profile.phone, phone),
        birth_date: hide(&profile.birth_date, birth_date),
        addresses: profile.addresses.iter().map(known_address).collect(),
        attributes: profile.attributes.keys().map(|name| (name.clone(), HIDDEN.to_owned())).collect(),
        ..profile.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enough_is_left_to_tell_two_members_apart_and_no_more() {
        assert_eq!(phone("13812345678"), "138****5678");
        assert_eq!(phone("+44 20 7946 0000"), "+44****0000");
        assert_eq!(phone("12345"), "****45");
        assert_eq!(email("ann@example.org"), "a****@example.org");
        assert_eq!(name("王小明"), "王****");
        assert_eq!(birth_date("1990-05-17"), "1990-**-**");
    }

    #[test]
    fn a_masked_profile_holds_nothing_that_was_hidden() {
        let full = Profile {
            external_id: Some("17850".to_owned()),
            name: Some("Ann Smith".to_owned()),
            email: Some("ann.smith@example.org".to_owned()),
            phone: Some("+442079460000".to_owned()),
            birth_date: Some("1990-05-17".to_owned()),
            attributes: [("shoe".to_owned(), "thirty-nine".to_owned())].into(),
            ..Profile::default()
        };
        let masked = profile(&full);
        let texts = [&masked.name, &masked.email, &masked.phone, &masked.birth_date];
        assert!(texts.into_iter().flatten().chain(masked.attributes.values()).all(|text| is_masked(text)));
        assert!(!is_masked("Ann * Smith"));
        let text = format!("{masked:?}");
        for hidden in ["nn Smith", "ann.smith", "2079460", "05-17", "thirty-nine"] {
            assert!(!text.contains(hidden), "{text}");
        }
        assert!(text.contains("17850"));
    }
}
