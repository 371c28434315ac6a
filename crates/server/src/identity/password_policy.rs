//! Which passwords are taken, after NIST SP 800-63B-4 and OWASP ASVS 5 (6.2): length and nothing else about characters,
//! but none that attackers try first.

use std::collections::HashMap;
use std::sync::LazyLock;

use zeroize::Zeroizing;

/// The fewest characters.
pub const LEAST_CHARACTERS: usize = 12;
/// The most characters: a long sentence, not a megabyte to hash.
pub const MOST_CHARACTERS: usize = 128;
/// Words that are shorter than this may be in a password: too many contain them. In bytes, so that two characters of
/// Chinese, which are a name, are long enough.
const LEAST_CONTEXT: usize = 4;
/// What the software calls itself, which everyone knows as well.
const OWN_NAME: &str = "guerdon";
/// Two of so many of the most common passwords in a row are as easily tried as one.
const MOST_COMMON: usize = 2_000;

/// The most common passwords, the most common first; see `data/passwords/SOURCE.md`.
static COMMON: LazyLock<HashMap<&'static str, usize>> = LazyLock::new(|| {
    include_str!("../../../../data/passwords/common.txt").lines().enumerate().map(|(rank, word)| (word, rank)).collect()
});

/// The rows of a keyboard, and what else fingers run along.
const RUNS: [&str; 10] = [
    "`1234567890-=",
    "qwertyuiop[]\\",
    "asdfghjkl;'",
    "zxcvbnm,./",
    "~!@#$%^&*()_+",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertzuiopü+",
    "azertyuiop",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/",
    "qazwsxedcrfvtgbyhnujmikolp",
];

/// Why a password is not taken. It never repeats the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeakPassword {
    /// Fewer than twelve characters.
    #[error("a password has at least {LEAST_CHARACTERS} characters; a few words in a row are easy to remember")]
    TooShort,
    /// More than 128 characters.
    #[error("a password has at most {MOST_CHARACTERS} characters")]
    TooLong,
    /// It is among the most common ones, or one of them with digits, signs, swapped letters or a repetition.
    #[error("this password, or one much like it, is among the first that attackers try; choose another")]
    Common,
    /// Only a run along the keyboard or the alphabet, or one piece over and over.
    #[error("this password follows a simple pattern; choose another")]
    Pattern,
    /// It contains the e-mail address, the person's, the brand's or the software's name.
    #[error("this password contains your e-mail address, your name or the name of the brand; choose another")]
    Personal,
}

impl WeakPassword {
    /// A stable name, for messages in the language of the reader.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TooShort => "password_too_short",
            Self::TooLong => "password_too_long",
            Self::Common => "password_common",
            Self::Pattern => "password_pattern",
            Self::Personal => "password_personal",
        }
    }
}

/// Whether a new password may be taken. `context`: what everyone knows of its owner, such as e-mail address, name and brand.
pub fn judge(password: &str, context: &[&str]) -> Result<(), WeakPassword> {
    // The byte length bounds the counting.
    if password.len() > 4 * MOST_CHARACTERS {
        return Err(WeakPassword::TooLong);
    }
    match password.chars().count() {
        0..LEAST_CHARACTERS => return Err(WeakPassword::TooShort),
        LEAST_CHARACTERS..=MOST_CHARACTERS => {}
        _ => return Err(WeakPassword::TooLong),
    }
    let lower = Zeroizing::new(password.to_lowercase());
    let plain = Zeroizing::new(unswapped(&lower));
    for form in [&lower, &plain] {
        if pieces(context).chain([OWN_NAME.to_owned()]).any(|piece| form.contains(&piece)) {
            return Err(WeakPassword::Personal);
        }
    }
    for form in [&lower, &plain] {
        if is_common(form) {
            return Err(WeakPassword::Common);
        }
    }
    if is_pattern(&lower) { Err(WeakPassword::Pattern) } else { Ok(()) }
}

/// An address is forbidden whole and by the part before its `@`; a name by each of its words and without its spaces.
fn pieces(context: &[&str]) -> impl Iterator<Item = String> {
    context.iter().flat_map(|text| {
        let text = text.to_lowercase();
        let local = text.split_once('@').map(|(local, _)| local.to_owned());
        let words: Vec<String> = match &local {
            Some(local) => local.split(|c: char| !c.is_alphanumeric()).map(str::to_owned).collect(),
            None => text.split_whitespace().map(str::to_owned).collect(),
        };
        let joined = text.split_whitespace().collect::<String>();
        let all = words.into_iter().chain(local).chain([joined, text]);
        all.filter(|piece| piece.len() >= LEAST_CONTEXT)
    })
}

/// The letters that signs and digits usually stand for.
fn unswapped(text: &str) -> String {
    let letter = |c| match c {
        '0' => 'o',
        '1' | '!' | '|' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' | '+' => 't',
        '8' => 'b',
        '9' => 'g',
        other => other,
    };
    text.chars().map(letter).collect()
}

/// A common password; also with digits and signs before and after, more than once, or followed by another common one.
fn is_common(text: &str) -> bool {
    let core = text.trim_matches(|c: char| !c.is_alphabetic());
    let joined: String = text.split(|c: char| c.is_whitespace() || "-_.,".contains(c)).collect();
    [text, core, joined.as_str()].into_iter().any(|form| {
        let unit = unit(form);
        known(form, usize::MAX) || known(unit, usize::MAX) || two_common(form) || two_common(core)
    })
}

fn known(text: &str, ranks: usize) -> bool {
    COMMON.get(text).is_some_and(|rank| *rank < ranks)
}

fn two_common(text: &str) -> bool {
    text.char_indices().any(|(at, _)| {
        let (first, second) = text.split_at(at);
        known(first, MOST_COMMON) && (known(second, MOST_COMMON) || known(unswapped(second).as_str(), MOST_COMMON))
    })
}

/// The shortest piece that the text repeats; the text itself when it repeats none.
fn unit(text: &str) -> &str {
    let lengths = text.char_indices().map(|(at, _)| at).skip(1).take_while(|at| at * 2 <= text.len());
    let repeats = |length: &usize| {
        text.len().is_multiple_of(*length)
            && text.get(..*length).is_some_and(|unit| unit.repeat(text.len() / length) == text)
    };
    lengths.into_iter().find(repeats).and_then(|length| text.get(..length)).unwrap_or(text)
}

/// Runs along keyboard or alphabet that leave fewer than six characters of one's own, or fewer than five different
/// characters in all.
fn is_pattern(text: &str) -> bool {
    let characters: Vec<char> = text.chars().collect();
    let mut different = characters.clone();
    different.sort_unstable();
    different.dedup();
    if different.len() < 5 || unit(text).chars().count() < 6 {
        return true;
    }
    let runs: Vec<Vec<char>> = RUNS
        .iter()
        .flat_map(|run| {
            [run.chars().chain(run.chars()).collect::<Vec<_>>(), run.chars().rev().chain(run.chars().rev()).collect()]
        })
        .collect();
    let mut own = 0;
    let mut rest = characters.as_slice();
    while !rest.is_empty() {
        let longest = (4..=rest.len()).take_while(|length| {
            let piece = rest.get(..*length).unwrap_or_default();
            runs.iter().any(|run| run.windows(*length).any(|window| window == piece))
        });
        let step = longest.last().unwrap_or_else(|| {
            own += 1;
            1
        });
        rest = rest.get(step..).unwrap_or_default();
    }
    own < 6
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXT: [&str; 5] = ["ann.miller@example.com", "Ann Miller", "王小明", "Café Aurora", "极光咖啡"];

    #[test]
    fn the_list_is_as_long_as_promised() {
        assert!(COMMON.len() >= 10_000);
        assert!(COMMON.keys().all(|word| word.len() >= 4 && **word == word.to_lowercase()));
    }

    #[test]
    fn any_characters_are_taken() {
        let good = [
            "correct horse battery staple",
            "velvet-otter-plinth",
            "我的积分商城很好用而且非常安全",
            "пароль из нескольких слов",
            "🦊🐢🦀🐙🦉🐝🦔🐳🦩🐞🦥🐧",
            "k9#vLq2!zR7p",
            "493827165093",
            "  leading and trailing  ",
            &"many words ".repeat(11),
        ];
        for password in good {
            assert_eq!(judge(password, &CONTEXT), Ok(()), "{password}");
        }
    }

    #[test]
    fn length_is_counted_in_characters() {
        assert_eq!(judge("k9#vLq2!zR7", &[]), Err(WeakPassword::TooShort));
        assert_eq!(judge("积分商城很好用", &[]), Err(WeakPassword::TooShort));
        assert_eq!(judge("", &[]), Err(WeakPassword::TooShort));
        let long: String = ('a'..='z').chain('0'..='9').cycle().step_by(7).take(129).collect();
        assert_eq!(judge(&long, &[]), Err(WeakPassword::TooLong));
        assert_eq!(judge(&long[..128], &[]), Ok(()));
        assert_eq!(judge(&"x".repeat(1 << 20), &[]), Err(WeakPassword::TooLong));
    }

    #[test]
    fn common_passwords_are_refused_in_any_dress() {
        let bad = [
            "123456789987654321",
            "unbelievable",
            "Unbelievable!",
            "administrator",
            "Adm1n1str@t0r",
            "password1234",
            "P@ssw0rd2026!",
            "!!!Dragon1999!!!",
            "passwordpassword",
            "letmeinletmein",
            "monkey-dragon",
            "qwerty123456",
            "Summer2026!!!",
            "iloveyou iloveyou",
        ];
        for password in bad {
            assert_eq!(judge(password, &[]), Err(WeakPassword::Common), "{password}");
        }
    }

    #[test]
    fn patterns_are_refused() {
        for password in
            ["aaaaaaaaaaaaa", "xyzxyzxyzxyz", "abcdefghijklmn", "mnbvcxzasdfgh", "poiuytrewqlkj", "1010101010101010"]
        {
            assert_eq!(judge(password, &[]), Err(WeakPassword::Pattern), "{password}");
        }
    }

    #[test]
    fn what_everyone_knows_of_the_owner_is_refused() {
        for password in [
            "xx ann.miller@example.com",
            "plinth Miller otter",
            "velvet M1ller plinth",
            "CaféAurora plinth",
            "aurora borealis 77",
            "极光咖啡的密码是什么呢没人知道",
            "velvet plinth 王小明 otter",
            "Guerdon velvet plinth",
            "velvet plinth gu3rd0n",
        ] {
            assert_eq!(judge(password, &CONTEXT), Err(WeakPassword::Personal), "{password}");
        }
        // "Ann" is in too many words.
        assert_eq!(judge("annual plinth otter", &CONTEXT), Ok(()));
    }

    #[test]
    fn names_and_messages_never_repeat_the_password() {
        let error = judge("password1234", &[]).unwrap_err();
        assert_eq!(error.name(), "password_common");
        assert!(!error.to_string().contains("1234"));
    }
}
