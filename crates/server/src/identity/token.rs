//! Secrets that a machine keeps: API keys, session tokens, invitations. 256 bits from the operating system's generator
//! behind a prefix that says what they are, with a checksum, so that a scanner recognises a leaked one without asking us.
//! Only the digest of a token is ever stored.

use std::fmt;

use guerdon_core::hex;
use rand::TryRng;
use rand::rngs::SysRng;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Digits, capitals, small letters: a token is one word to a double click.
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 43 characters of 62 hold 256 bits.
const SECRET_DIGITS: usize = 43;
/// 6 characters of 62 hold the 32 bits of the checksum.
const CHECK_DIGITS: usize = 6;

/// Random bytes from the operating system.
///
/// # Panics
/// When the operating system has no randomness to give: nothing secret can be made then, and nothing must be.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if let Err(error) = SysRng.try_fill_bytes(&mut bytes) {
        panic!("the operating system gave no random bytes: {error}");
    }
    bytes
}

/// What a token is for; its prefix tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// A key of the API, `grd_key_…`.
    Key,
    /// A session of an operator or member, `grd_ses_…`.
    Session,
    /// A short-lived access token of a partner, `grd_acc_…`.
    Access,
    /// An invitation of an operator, `grd_inv_…`.
    Invitation,
    /// The one-time token of the first set-up, `grd_set_…`.
    Setup,
    /// The secret that a device signs requests with, `grd_sig_…`.
    Signing,
    /// A client secret of OAuth2 client credentials, `grd_cls_…`.
    ClientSecret,
    /// A one-time token in a link or between two steps of a sign-in, `grd_one_…`.
    OneTime,
}

impl TokenKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Key,
        Self::Session,
        Self::Access,
        Self::Invitation,
        Self::Setup,
        Self::Signing,
        Self::ClientSecret,
        Self::OneTime,
    ];

    /// What its tokens begin with.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Key => "grd_key_",
            Self::Session => "grd_ses_",
            Self::Access => "grd_acc_",
            Self::Invitation => "grd_inv_",
            Self::Setup => "grd_set_",
            Self::Signing => "grd_sig_",
            Self::ClientSecret => "grd_cls_",
            Self::OneTime => "grd_one_",
        }
    }
}

/// Why a text is not a token. It never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// It begins with no known prefix, or has another length or other characters.
    #[error("this is not a token: expected a prefix such as `grd_key_` and 49 letters and digits")]
    Form,
    /// The checksum does not fit: a character was lost or mistyped.
    #[error("the checksum of this token is wrong: it was not copied whole")]
    Checksum,
}

/// A secret token. Shown once with [`Token::reveal`]; `Debug` shows its kind only.
#[derive(Clone)]
pub struct Token {
    kind: TokenKind,
    text: Zeroizing<String>,
}

impl Token {
    /// A new one.
    pub fn generate(kind: TokenKind) -> Self {
        let mut text = Zeroizing::new(String::with_capacity(64));
        text.push_str(kind.prefix());
        let mut digits = 0;
        while digits < SECRET_DIGITS {
            let bytes = Zeroizing::new(random_bytes::<64>());
            // 248 is the largest multiple of 62 that fits into a byte: what lies above would favour the first characters.
            for byte in bytes.iter().filter(|byte| **byte < 248).take(SECRET_DIGITS - digits) {
                text.push(character(u32::from(*byte)));
                digits += 1;
            }
        }
        let check = checksum(&text);
        text.push_str(&check);
        Self { kind, text }
    }

    /// A token as a caller sends it. The checksum is looked at, so that most typing errors cost no query.
    pub fn parse(text: &str) -> Result<Self, InvalidToken> {
        let kind = TokenKind::ALL.into_iter().find(|kind| text.starts_with(kind.prefix()));
        let kind = kind.ok_or(InvalidToken::Form)?;
        let digits = text.strip_prefix(kind.prefix()).unwrap_or_default();
        if digits.len() != SECRET_DIGITS + CHECK_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(InvalidToken::Form);
        }
        let (secret, check) = text.split_at(text.len() - CHECK_DIGITS);
        if checksum(secret) != check {
            return Err(InvalidToken::Checksum);
        }
        Ok(Self { kind, text: Zeroizing::new(text.to_owned()) })
    }

    /// A token as a caller sends it, of the kind that is expected here.
    pub fn parse_as(kind: TokenKind, text: &str) -> Result<Self, InvalidToken> {
        Self::parse(text).and_then(|token| if token.kind == kind { Ok(token) } else { Err(InvalidToken::Form) })
    }

    /// What it is for.
    pub fn kind(&self) -> TokenKind {
        self.kind
    }

    /// The secret itself: to be shown once, or set as a cookie.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// SHA-256 in hexadecimal digits: the id of its record.
    pub fn digest(&self) -> String {
        hex::encode(&Sha256::digest(self.text.as_bytes()).into())
    }

    /// Its beginning, for people to tell their keys apart: prefix and four characters (24 of 256 bits).
    pub fn hint(&self) -> &str {
        self.text.get(..self.kind.prefix().len() + 4).unwrap_or_default()
    }

    /// Whether `digest` is its digest, in constant time.
    pub fn has_digest(&self, digest: &str) -> bool {
        same_secret(&self.digest(), digest)
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        same_secret(&self.text, &other.text)
    }
}

impl Eq for Token {}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…", self.kind.prefix())
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Compares two secret texts in a time that depends on their lengths only.
pub fn same_secret(left: &str, right: &str) -> bool {
    same_bytes(left.as_bytes(), right.as_bytes())
}

/// The same of bytes. Nothing else in the server compares secrets, but for MACs, which compare themselves like this.
pub fn same_bytes(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}

fn character(value: u32) -> char {
    char::from(ALPHABET.get((value % 62) as usize).copied().unwrap_or(b'0'))
}

/// The CRC-32 of the text in six characters, as the tokens of GitHub and npm have it. It keeps no secret and proves
/// nothing; it only spares scanners and us false alarms.
fn checksum(text: &str) -> String {
    let mut rest = crc32(text.as_bytes());
    let mut digits = [b'0'; CHECK_DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET.get((rest % 62) as usize).copied().unwrap_or(b'0');
        rest /= 62;
    }
    digits.iter().copied().map(char::from).collect()
}

/// The CRC-32 of IEEE 802.3, bit by bit: the texts are short.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_made() {
        for kind in TokenKind::ALL {
            let token = Token::generate(kind);
            assert_eq!(token.reveal().len(), 8 + 43 + 6);
            assert!(token.reveal().starts_with(kind.prefix()));
            let read = Token::parse(token.reveal()).unwrap();
            assert_eq!(read, token);
            assert_eq!(read.kind(), kind);
            assert_eq!(read.digest(), token.digest());
            assert!(read.has_digest(&token.digest()));
            assert!(!read.has_digest(&Token::generate(kind).digest()));
            assert!(Token::parse_as(kind, token.reveal()).is_ok());
        }
        let key = Token::generate(TokenKind::Key);
        assert_eq!(Token::parse_as(TokenKind::Session, key.reveal()), Err(InvalidToken::Form));
        assert_ne!(key, Token::generate(TokenKind::Key));
    }

    #[test]
    fn any_single_typing_error_is_noticed() {
        let token = Token::generate(TokenKind::Key);
        for position in 8..token.reveal().len() {
            let mut bytes = token.reveal().as_bytes().to_vec();
            bytes[position] = if bytes[position] == b'a' { b'b' } else { b'a' };
            let text = String::from_utf8(bytes).unwrap();
            assert_eq!(Token::parse(&text), Err(InvalidToken::Checksum), "{position}");
        }
        for text in ["", "grd_key_", "grd_xyz_", &token.reveal()[1..], &format!("{}0", token.reveal())] {
            assert_eq!(Token::parse(text), Err(InvalidToken::Form));
        }
        let foreign: String = token.reveal().chars().take(56).chain(['é']).collect();
        assert_eq!(Token::parse(&foreign), Err(InvalidToken::Form));
    }

    #[test]
    fn nothing_shows_the_secret() {
        let token = Token::generate(TokenKind::Session);
        let secret = &token.reveal()[12..];
        for shown in [format!("{token}"), format!("{token:?}"), token.hint().to_owned(), token.digest()] {
            assert!(!shown.contains(secret));
        }
        assert_eq!(format!("{token}"), "grd_ses_…");
        assert_eq!(token.hint().len(), 12);
    }

    #[test]
    fn every_character_comes_equally_often() {
        let mut counts = [0_u32; 128];
        for _ in 0..2_000 {
            for byte in Token::generate(TokenKind::Key).reveal().bytes().skip(8).take(43) {
                counts[usize::from(byte)] += 1;
            }
        }
        // 86,000 characters, 1,387 of each on average; 200 is more than five standard deviations.
        for byte in ALPHABET {
            assert!((1_187..1_587).contains(&counts[usize::from(*byte)]), "{byte}: {}", counts[usize::from(*byte)]);
        }
    }

    #[test]
    fn the_checksum_is_crc32() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(checksum(""), "000000");
    }
}
