//! Reviews of rewards: what a program lets members say of what they have redeemed, and who looks at it first.

use serde::{Deserialize, Serialize};

use crate::limits;

/// Which reviews a person looks at before others read them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moderation {
    /// All of them.
    #[default]
    All,
    /// Those that hold one of the words.
    Words,
    /// None.
    None,
}

/// How a program has its rewards reviewed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReviewPolicy {
    /// Which of them a person looks at first.
    pub moderation: Moderation,
    /// With `moderation = "words"`: words, or parts of them, upper and lower case alike.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<String>,
}

impl ReviewPolicy {
    /// Whether a person looks at this text first.
    pub fn holds_back(&self, text: &str) -> bool {
        match self.moderation {
            Moderation::All => true,
            Moderation::None => false,
            Moderation::Words => {
                let text = text.to_lowercase();
                self.words.iter().any(|word| text.contains(&word.to_lowercase()))
            }
        }
    }

    /// Checks every field; the message names it.
    pub fn validate(&self) -> Result<(), String> {
        let said = !self.words.is_empty();
        match self.moderation {
            Moderation::Words if !said => {
                return Err("`words` must say which words send a review to moderation".to_owned());
            }
            Moderation::All | Moderation::None if said => {
                return Err("`words` are for `moderation = \"words\"`".to_owned());
            }
            _ => {}
        }
        if self.words.len() > limits::REVIEW_WORDS {
            return Err(format!(
                "`words` has {} entries; at most {} are allowed",
                self.words.len(),
                limits::REVIEW_WORDS
            ));
        }
        self.words.iter().try_for_each(|word| limits::check_text("words", word, 64))
    }
}

/// Checks what a member says of a reward.
pub fn check_review(stars: i64, text: &str) -> Result<(), String> {
    if !(1..=limits::REVIEW_STARS).contains(&stars) {
        return Err(format!("`stars` must be 1 to {}, not {stars}", limits::REVIEW_STARS));
    }
    limits::check_text("text", text, limits::REVIEW_CHARS)
}

/// What all reviews of a reward that others may read come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rating {
    /// How many there are.
    pub count: i64,
    /// Their stars in all.
    pub stars: i64,
}

impl Rating {
    /// The same with one review more, of so many stars.
    pub fn with(self, stars: i64) -> Self {
        Self { count: self.count.saturating_add(1), stars: self.stars.saturating_add(stars) }
    }

    /// The same with one review less.
    pub fn without(self, stars: i64) -> Self {
        Self { count: self.count.saturating_sub(1).max(0), stars: self.stars.saturating_sub(stars).max(0) }
    }

    /// The average in hundredths of a star, rounded half up; `None`: there are no reviews.
    pub fn average_hundredths(self) -> Option<i64> {
        let twice = self.stars.saturating_mul(200).saturating_add(self.count);
        twice.checked_div(self.count.saturating_mul(2))
    }

    /// The average with one decimal: `4.7`; `None`: there are no reviews.
    pub fn average(self) -> Option<String> {
        let twice = self.stars.saturating_mul(20).saturating_add(self.count);
        let tenths = twice.checked_div(self.count.saturating_mul(2))?;
        Some(format!("{}.{}", tenths / 10, tenths % 10))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str) -> ReviewPolicy {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_program_says_which_reviews_are_looked_at_first() {
        assert!(policy("").holds_back("Lovely"), "all of them when nothing is said");
        assert!(!policy("moderation = \"none\"").holds_back("http://spam"));
        let words = policy("moderation = \"words\"\nwords = [\"HTTP\", \"退款\"]");
        assert_eq!(words.validate(), Ok(()));
        assert!(words.holds_back("see http://spam") && words.holds_back("我要退款") && !words.holds_back("Lovely"));
        assert!(policy("moderation = \"words\"").validate().unwrap_err().contains("must say which"));
        assert!(policy("words = [\"a\"]").validate().unwrap_err().contains("are for"));
        assert!(policy("moderation = \"words\"\nwords = [\"\"]").validate().unwrap_err().contains("empty"));
    }

    #[test]
    fn stars_are_averaged_as_they_come_and_go() {
        let rating = Rating::default().with(5).with(4).with(5);
        assert_eq!((rating.average().as_deref(), rating.average_hundredths()), (Some("4.7"), Some(467)));
        assert_eq!(rating.without(4).average().as_deref(), Some("5.0"));
        assert_eq!(rating.without(4).without(5).without(5), Rating::default());
        assert_eq!((Rating::default().average(), Rating::default().average_hundredths()), (None, None));
    }

    #[test]
    fn what_is_said_has_its_limits() {
        assert_eq!(check_review(5, "Lovely"), Ok(()));
        assert!(check_review(0, "Lovely").unwrap_err().contains("`stars` must be 1 to 5"));
        assert!(check_review(1, " ").unwrap_err().contains("`text` is empty"));
        assert!(check_review(1, &"a".repeat(1_001)).unwrap_err().contains("at most 1000"));
    }
}
