//! Codes of an authenticator app (RFC 6238): six digits every thirty seconds. SHA-1 because the apps know nothing else;
//! HMAC does not rest on what SHA-1 lost.

use std::fmt;

use guerdon_core::time::Timestamp;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use totp_rs::{Builder, Secret, Totp};
use zeroize::Zeroizing;

use crate::identity::token::random_bytes;

/// How long a code holds, in seconds.
pub const STEP_SECONDS: u64 = 30;
const DIGITS: usize = 6;

/// Why a stored secret cannot be used, or a label cannot be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TotpError {
    /// The text is not 160 bits in base32.
    #[error("a TOTP secret is 32 characters of base32")]
    Secret,
    /// The name of the brand or of the account cannot be in an address for authenticator apps.
    #[error("an authenticator app cannot show this label: {0}")]
    Label(String),
}

/// The secret that an authenticator app shares with us. Store it sealed: whoever reads it makes codes.
#[derive(Clone)]
pub struct TotpSecret(Zeroizing<[u8; 20]>);

impl TotpSecret {
    /// 160 new bits, as RFC 4226 recommends.
    pub fn generate() -> Self {
        Self(Zeroizing::new(random_bytes()))
    }

    /// From the text form.
    pub fn from_base32(text: &str) -> Result<Self, TotpError> {
        let secret = Secret::try_from_base32(text).map_err(|_| TotpError::Secret)?;
        let bytes: [u8; 20] = secret.as_bytes().try_into().map_err(|_| TotpError::Secret)?;
        Ok(Self(Zeroizing::new(bytes)))
    }

    /// The text form, to type into an app that has no camera, and to store sealed.
    pub fn to_base32(&self) -> Zeroizing<String> {
        Zeroizing::new(Secret::new_stack(*self.0).to_base32())
    }

    /// The address `otpauth://totp/…` that the QR code carries.
    pub fn uri(&self, issuer: &str, account: &str) -> Result<Zeroizing<String>, TotpError> {
        // A colon separates issuer and account; the apps show the text only.
        let (issuer, account) = (issuer.replace(':', " "), account.replace(':', " "));
        let totp = self.builder().with_issuer(Some(issuer)).with_account_name(account).build();
        let uri = totp.and_then(|totp| totp.to_url());
        uri.map(Zeroizing::new).map_err(|error| TotpError::Label(error.to_string()))
    }

    /// Checks a code at `now`, allowing for clocks that are a step off. Answers the step that the code belongs to: the
    /// caller stores it as the last used one, over the version that was read, and hands it in the next time; a code of
    /// that step or an earlier one is refused, so that none works twice.
    pub fn check(&self, code: &str, now: Timestamp, last_step: Option<i64>) -> Option<i64> {
        let mut typed = [0_u8; DIGITS];
        let mut length = 0;
        for byte in code.bytes().filter(|byte| *byte != b' ').take(DIGITS + 1) {
            if let Some(place) = typed.get_mut(length) {
                *place = byte;
            }
            length += 1;
        }
        if length != DIGITS || !typed.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let totp = self.builder().build().ok()?;
        let step = now.as_millis().div_euclid(1000 * STEP_SECONDS as i64);
        // All three are always compared, so that time does not tell how far off a clock is.
        let mut found = -1_i64;
        for step in [step - 1, step, step + 1] {
            let expected = self.code(&totp, step);
            let fresh = Choice::from(u8::from(step > last_step.unwrap_or(-1) && step >= 0));
            found.conditional_assign(&step, expected.as_bytes().ct_eq(&typed) & fresh);
        }
        (found >= 0).then_some(found)
    }

    /// The code of a moment, as an app shows it: for tests and for the set-up of devices.
    pub fn code_at(&self, now: Timestamp) -> Option<Zeroizing<String>> {
        let totp = self.builder().build().ok()?;
        Some(self.code(&totp, now.as_millis().div_euclid(1000 * STEP_SECONDS as i64)))
    }

    fn code(&self, totp: &Totp, step: i64) -> Zeroizing<String> {
        Zeroizing::new(totp.generate(step.max(0) as u64 * STEP_SECONDS).to_string())
    }

    fn builder(&self) -> Builder {
        Builder::new().with_secret(Secret::new_stack(*self.0)).with_step_duration(STEP_SECONDS)
    }
}

impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpSecret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rfc_secret() -> TotpSecret {
        TotpSecret(Zeroizing::new(*b"12345678901234567890"))
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn the_codes_are_those_of_rfc_6238() {
        // Appendix B, the last six of eight digits.
        let vectors = [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ];
        for (seconds, code) in vectors {
            assert_eq!(rfc_secret().code_at(at(seconds)).unwrap().as_str(), code);
            assert_eq!(rfc_secret().check(code, at(seconds), None), Some(seconds / 30));
        }
    }

    #[test]
    fn a_clock_may_be_one_step_off_and_no_more() {
        let code = "081804"; // of step 37,037,036
        let step = 1_111_111_109 / 30;
        for (shift, accepted) in [(-60, false), (-30, true), (0, true), (30, true), (60, false)] {
            let answer = rfc_secret().check(code, at(1_111_111_109 + shift), None);
            assert_eq!(answer, accepted.then_some(step), "{shift}");
        }
    }

    #[test]
    fn a_code_works_once_and_none_before_it() {
        let (secret, now) = (TotpSecret::generate(), at(1_800_000_015));
        let step = 1_800_000_000 / 30;
        let (before, code, after) = (
            secret.code_at(at(1_799_999_985)).unwrap(),
            secret.code_at(now).unwrap(),
            secret.code_at(at(1_800_000_045)).unwrap(),
        );
        assert_eq!(secret.check(&code, now, Some(step - 1)), Some(step));
        assert_eq!(secret.check(&code, now, Some(step)), None);
        assert_eq!(secret.check(&before, now, Some(step)), None);
        assert_eq!(secret.check(&after, now, Some(step)), Some(step + 1));
    }

    #[test]
    fn only_six_digits_are_a_code() {
        let (secret, now) = (rfc_secret(), at(59));
        assert_eq!(secret.check("287 082", now, None), Some(1));
        for code in ["", "28708", "2870820", "+28708", "28708a", "２８７０８２", "287083"] {
            assert_eq!(secret.check(code, now, None), None, "{code}");
        }
        assert_eq!(secret.check("287082", Timestamp::from_millis(-1), None), None);
    }

    #[test]
    fn the_address_says_who_and_what() {
        let secret = rfc_secret();
        let uri = secret.uri("Café: Grün", "ann@example.com").unwrap();
        assert!(uri.starts_with("otpauth://totp/"), "{}", *uri);
        assert!(uri.contains("secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"), "{}", *uri);
        assert!(uri.contains("issuer=Caf%C3%A9"), "{}", *uri);
        let read = totp_rs::Totp::from_url(uri.as_str()).unwrap();
        assert_eq!(read.account_name(), "ann@example.com");
        assert!(secret.uri("Brand", "").is_err());
    }

    #[test]
    fn the_text_form_reads_back() {
        let secret = TotpSecret::generate();
        let read = TotpSecret::from_base32(&secret.to_base32()).unwrap();
        assert_eq!(read.0, secret.0);
        assert_eq!(format!("{secret:?}"), "TotpSecret");
        for text in ["", "GEZDGNBVGY3TQOJQ", "not base32!", &"A".repeat(64)] {
            assert_eq!(TotpSecret::from_base32(text).unwrap_err(), TotpError::Secret);
        }
    }
}
