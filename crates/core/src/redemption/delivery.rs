//! Where an order goes to: personal, and sealed under the member's own key before it comes to the kernel.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::id::MemberId;
use crate::members::Address;
use crate::privacy::{Keyring, NONCE, PrivacyError, SealedProfile};

const DELIVERY: &str = "where an order goes to";
const PURPOSE: &str = "guerdon order delivery 1";

/// Where an order goes to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// To which address a thing is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// To which account with a partner credit goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
}

/// The same as the kernel and the journal see it: what it holds, and not what that says. Nobody opens it once the member is
/// erased, because the key is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedDelivery {
    /// The JSON of the [`Delivery`] under the member's key, base64.
    pub sealed: String,
    /// Whether there is an address in it.
    #[serde(default)]
    pub address: bool,
    /// Whether there is an account in it.
    #[serde(default)]
    pub account: bool,
}

impl Delivery {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Seals it under the key of the member in whose name the order is kept.
    pub fn seal(
        &self,
        keyring: &Keyring,
        member: MemberId,
        profile: &SealedProfile,
        nonce: [u8; NONCE],
    ) -> Result<SealedDelivery, PrivacyError> {
        let plain = serde_json::to_vec(self).map_err(|_| PrivacyError::Damaged(DELIVERY))?;
        let plain = zeroize::Zeroizing::new(plain);
        let sealed = keyring.seal_beside((DELIVERY, PURPOSE), member, profile, &plain, nonce)?;
        let (address, account) = (self.address.is_some(), self.account.is_some());
        Ok(SealedDelivery { sealed: STANDARD.encode(sealed), address, account })
    }
}

impl SealedDelivery {
    /// Opens it with the key of the member.
    pub fn open(&self, keyring: &Keyring, member: MemberId, profile: &SealedProfile) -> Result<Delivery, PrivacyError> {
        let damaged = || PrivacyError::Damaged(DELIVERY);
        let sealed = STANDARD.decode(&self.sealed).map_err(|_| damaged())?;
        let plain = keyring.open_beside((DELIVERY, PURPOSE), member, profile, &sealed)?;
        serde_json::from_slice(&plain).map_err(|_| damaged())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::members::Profile;
    use crate::privacy::{MasterKey, SEAL_RANDOM, SECRETS_RANDOM};

    #[test]
    fn only_the_key_of_the_member_opens_it() {
        let master = Arc::new(MasterKey::new([1; 32]));
        let (keyring, _) = Keyring::generate(master, [2; SECRETS_RANDOM]).unwrap();
        let profile = |member, random| {
            keyring.seal_profile(MemberId(member), &Profile::default(), [random; SEAL_RANDOM]).unwrap()
        };
        let (ann, bob) = (profile(1, 3), profile(2, 4));
        let address = Address { recipient: "Ann".to_owned(), ..Address::default() };
        let delivery = Delivery { address: Some(address), account: None };
        let sealed = delivery.seal(&keyring, MemberId(1), &ann, [5; NONCE]).unwrap();
        assert!(sealed.address && !sealed.account);
        assert!(!serde_json::to_string(&sealed).unwrap().contains("Ann"));
        assert_eq!(sealed.open(&keyring, MemberId(1), &ann), Ok(delivery));
        assert!(sealed.open(&keyring, MemberId(2), &bob).is_err());
        assert!(sealed.open(&keyring, MemberId(2), &ann).is_err());
        assert!(SealedDelivery { sealed: "x".to_owned(), ..sealed }.open(&keyring, MemberId(1), &ann).is_err());
    }
}
