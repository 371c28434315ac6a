//! Properties of membership cards: what was altered, cut, shown before or signed by another is never accepted.

use guerdon_core::id::MemberId;
use guerdon_core::members::{CardError, CardKey, card_number, parse_card_number, verify_card};
use guerdon_core::time::Timestamp;
use proptest::prelude::*;

/// Steps fit into 32 bits until the year 6053.
fn moments() -> impl Strategy<Value = Timestamp> {
    (0..128_000_000_000_000_i64).prop_map(Timestamp::from_millis)
}

proptest! {
    #[test]
    fn a_card_says_whose_it_is(secret: [u8; 32], id in 0..=i64::MAX, now in moments(), wait in 0..30_000_i64) {
        let key = CardKey::new(&secret);
        let text = key.show(MemberId(id), now);
        prop_assert_eq!(verify_card(&key.public(), &text, now.plus_millis(wait)), Ok(MemberId(id)));
        prop_assert_eq!(verify_card(&key.public(), &text.to_lowercase(), now), Ok(MemberId(id)));
    }

    #[test]
    fn a_card_shown_again_after_a_minute_is_stale(secret: [u8; 32], id in 0..=i64::MAX, now in moments(),
        wait in 60_000..10_000_000_000_i64) {
        let key = CardKey::new(&secret);
        let text = key.show(MemberId(id), now);
        prop_assert_eq!(verify_card(&key.public(), &text, now.plus_millis(wait)), Err(CardError::Stale));
        prop_assert_eq!(verify_card(&key.public(), &text, now.plus_millis(-wait)), Err(CardError::Early));
    }

    #[test]
    fn a_card_of_another_program_is_refused(one: [u8; 32], other: [u8; 32], id in 0..=i64::MAX, now in moments()) {
        prop_assume!(one != other);
        let text = CardKey::new(&one).show(MemberId(id), now);
        prop_assert_eq!(verify_card(&CardKey::new(&other).public(), &text, now), Err(CardError::Forged));
    }

    /// No change of a character makes another card of it.
    #[test]
    fn a_card_that_was_altered_is_refused(secret: [u8; 32], id in 0..=i64::MAX, now in moments(), place in 0..128_usize,
        letter in "[ -~]") {
        let key = CardKey::new(&secret);
        let text = key.show(MemberId(id), now);
        let mut altered = text.clone();
        altered.replace_range(place..=place, &letter);
        prop_assume!(altered.to_uppercase() != text);
        prop_assert!(matches!(verify_card(&key.public(), &altered, now), Err(CardError::Forged | CardError::Unreadable)));
    }

    /// The signature of one card under the body of another.
    #[test]
    fn a_card_made_of_two_is_refused(secret: [u8; 32], one in 0..=i64::MAX, other in 0..=i64::MAX, now in moments()) {
        prop_assume!(one != other);
        let key = CardKey::new(&secret);
        let (one, other) = (key.show(MemberId(one), now), key.show(MemberId(other), now));
        let mixed = one.rsplit_once('.').zip(other.rsplit_once('.')).map(|((body, _), (_, signature))| {
            format!("{body}.{signature}")
        });
        prop_assert_eq!(mixed.map(|text| verify_card(&key.public(), &text, now)), Some(Err(CardError::Forged)));
    }

    #[test]
    fn a_card_that_was_cut_is_refused(secret: [u8; 32], id in 0..=i64::MAX, now in moments(), length in 0..128_usize) {
        let key = CardKey::new(&secret);
        let mut text = key.show(MemberId(id), now);
        text.truncate(length);
        prop_assert!(verify_card(&key.public(), &text, now).is_err());
    }

    #[test]
    fn any_text_at_all_is_only_refused(text in "\\PC{0,300}", now in moments()) {
        let key = CardKey::new(&[1; 32]).public();
        let prefixed = format!("GD1.{text}");
        prop_assert!(verify_card(&key, &text, now).is_err());
        prop_assert!(verify_card(&key, &prefixed, now).is_err());
    }

    #[test]
    fn a_number_with_one_wrong_digit_is_noticed(id in 0..=i64::MAX, place in 0..20_usize, digit in "[0-9]") {
        let number = card_number(MemberId(id));
        prop_assert_eq!(parse_card_number(&number), Ok(MemberId(id)));
        let mut wrong = number.clone();
        wrong.replace_range(place..=place, &digit);
        prop_assume!(wrong != number);
        prop_assert_eq!(parse_card_number(&wrong), Err(CardError::WrongDigit));
    }
}
