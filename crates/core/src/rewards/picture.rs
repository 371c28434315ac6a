//! Pictures of rewards, as documents name them: by what they hold, and with words for those who do not see them.

use serde::{Deserialize, Serialize};

use crate::limits;
use crate::program::Text;

/// Hexadecimal digits of a SHA-256.
const DIGITS: usize = 64;

/// A picture of a reward.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Picture {
    /// The SHA-256 of the file that was uploaded, as 64 lower-case hexadecimal digits.
    pub digest: String,
    /// What is to be seen, for those who do not see it.
    pub alt: Text,
}

/// Whether a text can be the digest of a picture.
pub fn is_picture_digest(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Checks the pictures of a reward; the message names the field.
pub(crate) fn validate_pictures(pictures: &[Picture]) -> Result<(), String> {
    if pictures.len() > limits::REWARD_PICTURES {
        let most = limits::REWARD_PICTURES;
        return Err(format!("`catalogue.pictures` has {} entries; at most {most} are allowed", pictures.len()));
    }
    for (index, picture) in pictures.iter().enumerate() {
        let digest = &picture.digest;
        if !is_picture_digest(digest) {
            let shown: String = digest.chars().take(DIGITS).collect();
            return Err(format!(
                "`catalogue.pictures.digest` must be the SHA-256 of a picture, 64 lower-case hexadecimal digits, not \
                 `{shown}`"
            ));
        }
        if pictures.iter().take(index).any(|other| other.digest == *digest) {
            return Err(format!("`catalogue.pictures`: `{digest}` is there twice"));
        }
        picture.alt.validate_within("catalogue.pictures.alt", limits::PICTURE_ALT_CHARS)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_named_by_its_digest_and_said_in_words() {
        let picture = |digest: &str, alt: &str| Picture { digest: digest.to_owned(), alt: Text::One(alt.to_owned()) };
        let (one, other) = ("0f".repeat(32), "a1".repeat(32));
        assert_eq!(validate_pictures(&[picture(&one, "A cup"), picture(&other, "Its handle")]), Ok(()));
        let refused = |pictures: &[Picture]| validate_pictures(pictures).unwrap_err();
        assert!(refused(&[picture(&one, "A cup"), picture(&one, "A cup")]).contains("is there twice"));
        assert!(refused(&[picture(&one, " ")]).contains("`catalogue.pictures.alt` is empty"));
        for wrong in ["0F".repeat(32), "0f".repeat(31), "../etc/passwd".to_owned()] {
            assert!(refused(&[picture(&wrong, "A cup")]).contains("SHA-256"), "{wrong}");
        }
        let many: Vec<Picture> = (0..9).map(|number| picture(&format!("{number:064}"), "A cup")).collect();
        assert!(refused(&many).contains("at most 8"));
    }
}
