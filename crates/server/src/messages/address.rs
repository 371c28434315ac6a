//! Where a message goes: an e-mail address or a phone number that was looked at.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// By what a message travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// E-mail.
    Email,
    /// A text message to a phone.
    Phone,
}

impl Channel {
    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Phone => "phone",
        }
    }
}

/// Where a message goes. Holds nothing that could add a header or a recipient.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    channel: Channel,
    text: String,
}

impl Address {
    /// An e-mail address, such as `ann@example.org`.
    pub fn email(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let problem = || "`email` is not an e-mail address such as ann@example.org".to_owned();
        let address: lettre::Address = text.parse().map_err(|_| problem())?;
        if text.len() > 254 || text.chars().any(char::is_control) || !address.domain().contains('.') {
            return Err(problem());
        }
        Ok(Self { channel: Channel::Email, text: text.to_owned() })
    }

    /// A phone number, such as `+44 20 7946 0000`: 5 to 15 digits (ITU E.164), kept as digits and a plus sign.
    pub fn phone(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (plus, rest) = text.strip_prefix('+').map_or(("", text), |rest| ("+", rest));
        let digits: String = rest.chars().filter(char::is_ascii_digit).collect();
        if !rest.chars().all(|c| c.is_ascii_digit() || "-() .".contains(c)) || !(5..=15).contains(&digits.len()) {
            return Err("`phone` is not a phone number such as +44 20 7946 0000".to_owned());
        }
        Ok(Self { channel: Channel::Phone, text: format!("{plus}{digits}") })
    }

    /// An address of a channel.
    pub fn of(channel: Channel, text: &str) -> Result<Self, String> {
        match channel {
            Channel::Email => Self::email(text),
            Channel::Phone => Self::phone(text),
        }
    }

    /// Its channel.
    pub fn channel(&self) -> Channel {
        self.channel
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The form in which two ways to write one address are the same; the one by which members are found.
    pub fn normal(&self) -> String {
        match self.channel {
            Channel::Email => self.text.to_lowercase(),
            Channel::Phone => self.text.clone(),
        }
    }
}

/// Without the address.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address").field("channel", &self.channel).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_looked_at_and_written_in_one_way() {
        assert_eq!(Address::email(" Ann@Example.org ").unwrap().normal(), "ann@example.org");
        assert_eq!(Address::phone("+44 (20) 7946-0000").unwrap().as_str(), "+442079460000");
        assert_eq!(Address::phone("138 0013 8000").unwrap().as_str(), "13800138000");
    }

    #[test]
    fn what_could_smuggle_something_in_is_no_address() {
        for text in [
            "ann",
            "ann@host",
            "ann@example.org\r\nBcc: bob@example.org",
            "ann@example.org, bob@example.org",
            "Ann <ann@example.org>",
            "ann@example.org>",
            "an\0n@example.org",
            &format!("{}@example.org", "a".repeat(260)),
        ] {
            assert!(Address::email(text).is_err(), "{text}");
        }
        for text in ["1234", "+1234567890123456", "+44+20", "12345;67", "１２３４５６"] {
            assert!(Address::phone(text).is_err(), "{text}");
        }
    }

    #[test]
    fn nothing_personal_is_shown_by_accident() {
        assert!(!format!("{:?}", Address::email("ann@example.org").unwrap()).contains("example"));
    }
}
