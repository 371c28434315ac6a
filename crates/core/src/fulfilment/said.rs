//! What suppliers say, and what it means by what they said before.

use super::Stage;

/// Characters of what a supplier says in words, or calls an order.
const WORDS: usize = 200;

/// The first characters of what a supplier says, without any that control.
pub fn short(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(WORDS).collect()
}

/// What a supplier says of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// It was handed out: the codes, where there are any, and the supplier's own number.
    Delivered {
        /// The codes; as many as units, or none.
        codes: Vec<String>,
        /// The supplier's own number.
        reference: Option<String>,
    },
    /// It will not be.
    Refused {
        /// Why, in the supplier's words.
        words: String,
    },
    /// It will be said later.
    Accepted {
        /// The supplier's own number.
        reference: Option<String>,
    },
}

/// Why an answer is not believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unbelievable {
    /// It cannot be read.
    Garbage(String),
    /// It is about another order.
    OtherOrder(String),
    /// It does not fit the order.
    Unfit(String),
}

impl Unbelievable {
    /// What it is called among the differences.
    pub fn what(&self) -> &'static str {
        match self {
            Self::Garbage(_) => "unreadable_answer",
            Self::OtherOrder(_) => "answer_for_another_order",
            Self::Unfit(_) => "unfit_answer",
        }
    }

    /// In words, without what may be a code.
    pub fn words(&self) -> &str {
        match self {
            Self::Garbage(words) | Self::OtherOrder(words) | Self::Unfit(words) => words,
        }
    }
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Called {
    /// An answer that can be believed.
    Said(Said),
    /// An answer that cannot.
    Lied(Unbelievable),
    /// None, or one that says that something is wrong over there.
    Failed(String),
}

/// What somebody who calls back speaks of, by where its order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// Of an order that waits for it.
    Awaited,
    /// It has delivered what was given back.
    TooLate,
    /// It refuses what was handed out.
    Refuses,
    /// Nothing new.
    Known,
}

impl Word {
    /// Of an order of which points and units are at `funds`.
    pub fn of(funds: crate::redemption::Funds, said: &Said) -> Self {
        use crate::redemption::Funds;
        match (funds, said) {
            (Funds::Held, _) => Self::Awaited,
            (Funds::Returned, Said::Delivered { .. }) => Self::TooLate,
            (Funds::Spent, Said::Refused { .. }) => Self::Refuses,
            (Funds::Returned | Funds::Spent, _) => Self::Known,
        }
    }
}

/// What a word means for a delivery, by what was said of it before: that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// It is to be written down.
    New,
    /// Nothing: a promise counts from its first word, and brings nothing back.
    Nothing,
    /// It was delivered before, and the order's last steps are missing.
    Delivered {
        /// Whether it now says otherwise.
        contradicts: bool,
    },
    /// It was refused before, and the points are still to be given back.
    Refused {
        /// Whether it now says otherwise.
        contradicts: bool,
    },
}

impl Meaning {
    /// Of a word about a delivery that stands at `stage`.
    pub fn of(stage: Stage, said: &Said) -> Self {
        match (stage, said) {
            (Stage::Delivered, said) => Self::Delivered { contradicts: matches!(said, Said::Refused { .. }) },
            // A cancelled one belongs to an order that was given back, of which nothing new is heard here.
            (Stage::Cancelled, _) => Self::Nothing,
            (Stage::Refused, said) => Self::Refused { contradicts: matches!(said, Said::Delivered { .. }) },
            (Stage::Promised | Stage::Failed, Said::Accepted { .. }) => Self::Nothing,
            (Stage::Waiting | Stage::Promised | Stage::Failed, _) => Self::New,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_before_holds() {
        let accepted = Said::Accepted { reference: None };
        let refused = Said::Refused { words: "none left".to_owned() };
        let delivered = Said::Delivered { codes: Vec::new(), reference: None };
        let of = |stage| [&accepted, &refused, &delivered].map(|said| Meaning::of(stage, said));
        assert_eq!(of(Stage::Waiting), [Meaning::New, Meaning::New, Meaning::New]);
        // Said again and again, it would never come to the end of its time.
        assert_eq!(of(Stage::Promised), [Meaning::Nothing, Meaning::New, Meaning::New]);
        assert_eq!(of(Stage::Failed), [Meaning::Nothing, Meaning::New, Meaning::New]);
        let stays = [false, true, false].map(|contradicts| Meaning::Delivered { contradicts });
        assert_eq!(of(Stage::Delivered), stays);
        assert_eq!(of(Stage::Refused), [false, false, true].map(|contradicts| Meaning::Refused { contradicts }));
    }
}
