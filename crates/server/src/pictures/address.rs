//! Where the sizes of a picture are, for pages that show it.

use guerdon_core::rewards::{Picture, Reward};

/// A picture in a page: a small one, a larger one for fine screens, and words.
pub struct Thumb {
    /// The digest.
    pub digest: String,
    /// What is to be seen.
    pub alt: String,
}

impl Thumb {
    /// A picture in a language.
    pub fn of(picture: &Picture, language: &str) -> Self {
        Self { digest: picture.digest.clone(), alt: picture.alt.get(language).to_owned() }
    }

    /// The first picture of a reward.
    pub fn first(reward: &Reward, language: &str) -> Option<Self> {
        reward.catalogue.pictures.first().map(|picture| Self::of(picture, language))
    }

    /// The address of a width, of [`super::WIDTHS`].
    pub fn at(&self, width: u32) -> String {
        address(&self.digest, width)
    }
}

/// The address of a picture in a width.
pub fn address(digest: &str, width: u32) -> String {
    format!("/pictures/{digest}-{width}")
}
