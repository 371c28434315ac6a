//! The number under the bar code of a membership card: the member id in 19 decimal digits and a check digit after Luhn
//! (ISO/IEC 7812-1, annex B). It is no secret and never changes; whoever knows it can be credited points with it, so it
//! proves nothing about who shows it.
//!
//! Member ids count milliseconds and pass 10^18 in 2027, so nothing shorter than 19 digits gives the id back without a
//! look-up. As Code 128 in its dense form, 20 digits are as wide as 10 letters.

use super::CardError;
use crate::id::MemberId;

/// Digits of a card number.
const DIGITS: usize = 20;

/// The card number of a member, 20 digits.
pub fn card_number(member: MemberId) -> String {
    let digits = format!("{:019}", member.0);
    let check = luhn(digits.bytes());
    format!("{digits}{check}")
}

/// A card number in groups of four, for people.
pub fn grouped_card_number(member: MemberId) -> String {
    let mut text = String::with_capacity(DIGITS + 4);
    for (position, digit) in card_number(member).chars().enumerate() {
        if position > 0 && position % 4 == 0 {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// The member of a card number, with or without spaces or hyphens between its digits.
pub fn parse_card_number(text: &str) -> Result<MemberId, CardError> {
    if text.len() > 3 * DIGITS {
        return Err(CardError::Unreadable);
    }
    let digits: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
    let body = digits.get(..DIGITS - 1).filter(|_| digits.len() == DIGITS).ok_or(CardError::Unreadable)?;
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(CardError::Unreadable);
    }
    if !digits.ends_with(&luhn(body.bytes()).to_string()) {
        return Err(CardError::WrongDigit);
    }
    body.parse().map(MemberId).map_err(|_| CardError::Unreadable)
}

/// The digit that makes the sum a multiple of ten: every second digit from the right is doubled, beginning with the last.
fn luhn(digits: impl DoubleEndedIterator<Item = u8>) -> u32 {
    let sum: u32 = digits
        .rev()
        .enumerate()
        .map(|(position, digit)| {
            let value = u32::from(digit.wrapping_sub(b'0'));
            let value = if position % 2 == 0 { value * 2 } else { value };
            value / 10 + value % 10
        })
        .sum();
    (10 - sum % 10) % 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_digit_is_that_of_the_standard() {
        assert_eq!(luhn("7992739871".bytes()), 3);
        assert_eq!(luhn("401288888888188".bytes()), 1);
    }

    #[test]
    fn a_number_gives_its_member_back_however_it_is_written() {
        for id in [0, 1, 999, 1 << 60, i64::MAX] {
            let member = MemberId(id);
            let number = card_number(member);
            assert_eq!(number.len(), DIGITS);
            for text in [number.clone(), grouped_card_number(member), grouped_card_number(member).replace(' ', "-")] {
                assert_eq!(parse_card_number(&text), Ok(member));
            }
        }
        assert_eq!(grouped_card_number(MemberId(7)), "0000 0000 0000 0000 0075");
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in
            ["", "75", "0000000000000000007", "000000000000000000075", "0000000000000000007x", "９".repeat(20).as_str()]
        {
            assert_eq!(parse_card_number(text), Err(CardError::Unreadable), "{text}");
        }
        // Within 19 digits, but no id.
        assert_eq!(
            parse_card_number(&format!("9999999999999999999{}", luhn([b'9'; 19].into_iter()))),
            Err(CardError::Unreadable)
        );
        assert_eq!(parse_card_number("00000000000000000076"), Err(CardError::WrongDigit));
    }
}
