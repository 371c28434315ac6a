//! Words of texts in any script, and the vocabulary that completes and corrects what is typed.
//!
//! Chinese, Japanese and Korean are written without spaces. They are cut into pairs of characters that overlap: `绿茶礼盒`
//! becomes `绿茶 茶礼 礼盒 盒`. Names of rewards are full of brands and of words that no dictionary has, which pairs find
//! nevertheless; they need no dictionary in memory, and a wrong character spoils two pairs and not the rest.

use std::collections::BTreeMap;
use std::ops::Bound;

/// What a text consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// A word between spaces, in small letters.
    Word(String),
    /// Characters of a script without spaces.
    Run(Vec<char>),
}

/// Whether a character belongs to a script without spaces: Han, kana, hangul.
fn is_unspaced(char: char) -> bool {
    matches!(char,
        '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// The letters that Chinese and Japanese keyboards give in full width, as the others: `Ａ` as `A`.
fn narrowed(char: char) -> char {
    match char {
        '\u{ff01}'..='\u{ff5e}' => u32::from(char).checked_sub(0xfee0).and_then(char::from_u32).unwrap_or(char),
        other => other,
    }
}

/// The pieces of a text, in order.
pub(super) fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut open: Option<Piece> = None;
    for char in text.chars().map(narrowed).flat_map(char::to_lowercase) {
        match (&mut open, char.is_alphanumeric(), is_unspaced(char)) {
            (Some(Piece::Run(run)), _, true) => run.push(char),
            (Some(Piece::Word(word)), true, false) => word.push(char),
            (_, false, _) => pieces.extend(open.take()),
            (_, true, true) => pieces.extend(open.replace(Piece::Run(vec![char]))),
            (_, true, false) => pieces.extend(open.replace(Piece::Word(char.to_string()))),
        }
    }
    pieces.extend(open);
    pieces
}

/// The overlapping pairs of a run.
pub(super) fn pairs(run: &[char]) -> impl Iterator<Item = String> {
    run.windows(2).map(|pair| pair.iter().collect())
}

/// A text as it goes into the index: words and pairs between spaces. The last character of a run stands alone, so that each
/// character begins something and can be found by itself.
pub(super) fn indexed(text: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for piece in pieces(text) {
        match piece {
            Piece::Word(word) => words.push(word),
            Piece::Run(run) => {
                words.extend(pairs(&run));
                words.extend(run.last().map(char::to_string));
            }
        }
    }
    words.join(" ")
}

/// The words of all texts, and how often each stands there.
#[derive(Debug, Default)]
pub(super) struct Vocabulary(BTreeMap<String, u32>);

/// Words that complete a beginning, and words that a wrong one may stand for.
const COMPLETIONS: usize = 8;
const CORRECTIONS: usize = 3;

impl Vocabulary {
    pub(super) fn add(&mut self, text: &str) {
        for piece in pieces(text) {
            if let Piece::Word(word) = piece {
                let count = self.0.entry(word).or_default();
                *count = count.saturating_add(1);
            }
        }
    }

    pub(super) fn knows(&self, word: &str) -> bool {
        self.0.contains_key(word)
    }

    /// The most frequent words that go on from a beginning.
    pub(super) fn completions(&self, beginning: &str) -> Vec<&str> {
        let after = self.0.range::<str, _>((Bound::Excluded(beginning), Bound::Unbounded));
        let mut found: Vec<(&String, &u32)> = after.take_while(|(word, _)| word.starts_with(beginning)).collect();
        found.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        found.into_iter().take(COMPLETIONS).map(|(word, _)| word.as_str()).collect()
    }

    /// The words that are nearest to one that is none, the most frequent first. Two neighbours in the wrong order are one
    /// error. How many errors are forgiven goes by the length: none up to two letters, one up to five, two from then on, which
    /// is what Elasticsearch's `AUTO` fuzziness forgives.
    pub(super) fn corrections(&self, word: &str) -> Vec<&str> {
        let length = word.chars().count();
        let forgiven = match length {
            0..=2 => return Vec::new(),
            3..=5 => 1,
            _ => 2,
        };
        let near = |known: &String| known.chars().count().abs_diff(length) <= forgiven;
        let candidates = self.0.iter().filter(|(known, _)| near(known));
        let mut found: Vec<(usize, &u32, &String)> = candidates
            .map(|(known, count)| (strsim::osa_distance(known, word), count, known))
            .filter(|(distance, ..)| *distance <= forgiven)
            .collect();
        let least = found.iter().map(|(distance, ..)| *distance).min().unwrap_or_default();
        found.retain(|(distance, ..)| *distance == least);
        found.sort_by(|a, b| b.1.cmp(a.1).then(a.2.cmp(b.2)));
        found.into_iter().take(CORRECTIONS).map(|(.., known)| known.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_at_spaces_and_at_scripts() {
        let word = |text: &str| Piece::Word(text.to_owned());
        let run = |text: &str| Piece::Run(text.chars().collect());
        assert_eq!(pieces("iPhone手机壳, 500g Ｔｅａ"), [word("iphone"), run("手机壳"), word("500g"), word("tea")]);
        assert_eq!(pieces("…!\"*()"), []);
        assert_eq!(indexed("绿茶礼盒 Tea 杯"), "绿茶 茶礼 礼盒 盒 tea 杯");
    }

    #[test]
    fn words_are_completed_and_corrected() {
        let mut vocabulary = Vocabulary::default();
        for text in ["coffee cup", "coffee mug", "cupboard", "tea", "thermos flask", "voucher"] {
            vocabulary.add(text);
        }
        assert_eq!(vocabulary.completions("cof"), ["coffee"]);
        assert_eq!(vocabulary.completions("cup"), ["cupboard"]);
        for (wrong, right) in
            [("cofee", "coffee"), ("coffe", "coffee"), ("thremos", "thermos"), ("vuocher", "voucher"), ("tes", "tea")]
        {
            assert_eq!(vocabulary.corrections(wrong), [right], "{wrong}");
        }
        assert!(vocabulary.corrections("te").is_empty() && vocabulary.corrections("bicycle").is_empty());
    }
}
