//! Search in short texts: an index in memory, of SQLite's FTS5, whichever store holds the rest. It is made from a snapshot of
//! the configuration, so that all nodes and stores find the same, and nothing of it is ever migrated.

mod words;

use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;

use crate::StoreError;
use words::{Piece, Vocabulary, indexed, pairs, pieces};

/// Pieces of what is searched for that are looked at: each may be compared with the whole vocabulary.
const PIECES: usize = 8;

/// A text that can be found.
#[derive(Debug, Clone, Default)]
pub struct SearchText {
    /// What it is called, in all languages: weighs most.
    pub name: String,
    /// Words that belong to it, such as tags and categories.
    pub labels: String,
    /// What is told of it.
    pub description: String,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The rows, those that fit best first.
    pub rows: Vec<u32>,
    /// What was searched for instead, because some of its words stand nowhere.
    pub corrected: Option<String>,
    /// Whether nothing holds all of it, so that what holds a part was found.
    pub loose: bool,
}

/// Texts that can be found. Words are found by their stems (Porter's, of English), beginnings complete, errors are forgiven.
pub struct SearchIndex {
    connection: Mutex<Connection>,
    vocabulary: Vocabulary,
}

/// BM25 of the columns; a hit in the name weighs ten times one in the description.
const FIND: &str = "SELECT rowid FROM texts WHERE texts MATCH ?1 ORDER BY bm25(texts, 10.0, 4.0, 1.0), rowid";

impl SearchIndex {
    /// Indexes texts; each has the row of its place.
    pub fn build(texts: impl Iterator<Item = SearchText>) -> Result<Self, StoreError> {
        let connection = Connection::open_in_memory().map_err(failed)?;
        let mut vocabulary = Vocabulary::default();
        connection
            .execute_batch(
                "PRAGMA journal_mode = OFF;
                 CREATE VIRTUAL TABLE texts USING fts5(name, labels, description, content = '',
                     tokenize = 'porter unicode61', prefix = '1');
                 BEGIN;",
            )
            .map_err(failed)?;
        {
            let mut insert = connection
                .prepare("INSERT INTO texts (rowid, name, labels, description) VALUES (?1, ?2, ?3, ?4)")
                .map_err(failed)?;
            for (row, text) in (0_u32..).zip(texts) {
                let SearchText { name, labels, description } = &text;
                [name, labels, description].into_iter().for_each(|text| vocabulary.add(text));
                insert.execute((row, indexed(name), indexed(labels), indexed(description))).map_err(failed)?;
            }
        }
        connection.execute_batch("COMMIT; INSERT INTO texts (texts) VALUES ('optimize');").map_err(failed)?;
        Ok(Self { connection: Mutex::new(connection), vocabulary })
    }

    /// Finds what holds all of what is searched for, or where nothing does, a part of it. A text without a letter finds
    /// nothing.
    pub fn find(&self, text: &str) -> Result<Found, StoreError> {
        let mut typed = pieces(text);
        typed.truncate(PIECES);
        let last = typed.len().saturating_sub(1);
        let terms: Vec<Term> = typed.iter().enumerate().map(|(place, piece)| self.term(piece, place == last)).collect();
        if terms.is_empty() {
            return Ok(Found::default());
        }
        let corrected = terms.iter().any(|term| term.corrected.is_some()).then(|| {
            let words = terms.iter().map(|term| term.corrected.as_ref().unwrap_or(&term.typed).as_str());
            words.collect::<Vec<_>>().join(" ")
        });
        let all = terms.iter().map(|term| format!("({})", term.expression)).collect::<Vec<_>>().join(" AND ");
        let rows = self.rows(&all)?;
        if !rows.is_empty() {
            return Ok(Found { rows, corrected, loose: false });
        }
        if let [only] = terms.as_slice()
            && only.loose == only.expression
        {
            return Ok(Found::default());
        }
        let any = terms.iter().map(|term| term.loose.as_str()).collect::<Vec<_>>().join(" OR ");
        let rows = self.rows(&any)?;
        Ok(Found { loose: !rows.is_empty(), corrected: corrected.filter(|_| !rows.is_empty()), rows })
    }

    fn rows(&self, expression: &str) -> Result<Vec<u32>, StoreError> {
        // Whoever panicked while reading has changed nothing.
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let mut statement = connection.prepare_cached(FIND).map_err(failed)?;
        let rows = statement.query_map([expression], |row| row.get(0)).map_err(failed)?;
        rows.collect::<Result<_, _>>().map_err(failed)
    }

    fn term(&self, piece: &Piece, is_last: bool) -> Term {
        match piece {
            Piece::Run(run) => {
                let typed: String = run.iter().collect();
                let pairs: Vec<String> = pairs(run).collect();
                let begins = || format!("\"{typed}\"*");
                let (expression, loose) = match pairs.is_empty() {
                    true => (begins(), begins()),
                    false => (format!("\"{}\"", pairs.join(" ")), any_of(&pairs)),
                };
                Term { expression, loose, typed, corrected: None }
            }
            Piece::Word(word) => {
                let completions = if is_last { self.vocabulary.completions(word) } else { Vec::new() };
                let known = self.vocabulary.knows(word) || !completions.is_empty();
                let corrections = if known { Vec::new() } else { self.vocabulary.corrections(word) };
                let corrected = corrections.first().map(|word| (*word).to_owned());
                let any = any_of([word.as_str()].into_iter().chain(completions).chain(corrections));
                Term { expression: any.clone(), loose: any, typed: word.clone(), corrected }
            }
        }
    }
}

/// What is searched for in the place of one piece.
struct Term {
    expression: String,
    loose: String,
    typed: String,
    corrected: Option<String>,
}

/// An expression of FTS5 for any of some words, which hold letters and digits only.
fn any_of(words: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let quoted: Vec<String> = words.into_iter().map(|word| format!("\"{}\"", word.as_ref())).collect();
    quoted.join(" OR ")
}

fn failed(error: rusqlite::Error) -> StoreError {
    StoreError::Unusable(format!("the index of the catalogue: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 8] = [
        "Coffee cup 咖啡杯",
        "Cups for travelling 旅行杯",
        "Thermos flask 保温杯",
        "Green tea gift box 绿茶礼盒",
        "Tea tasting 品茶体验",
        "Voucher for coffee 咖啡代金券",
        "Café au lait 拿铁",
        "iPhone手机壳",
    ];

    fn index() -> SearchIndex {
        let text = |name: &&str| SearchText { name: (*name).to_owned(), ..SearchText::default() };
        SearchIndex::build(NAMES.iter().map(text)).unwrap()
    }

    fn found(index: &SearchIndex, text: &str) -> Vec<u32> {
        index.find(text).unwrap().rows
    }

    #[test]
    fn words_are_found_by_stem_beginning_and_in_spite_of_errors() {
        let index = index();
        assert_eq!(found(&index, "cup"), [0, 1]);
        assert_eq!(found(&index, "TRAVEL"), [1], "the stem of travelling");
        assert_eq!(found(&index, "cof"), [0, 5]);
        assert_eq!(found(&index, "coffee vou"), [5]);
        assert_eq!(found(&index, "cafe"), [6]);
        let wrong = index.find("cofee vuocher").unwrap();
        assert_eq!(wrong, Found { rows: vec![5], corrected: Some("coffee voucher".to_owned()), loose: false });
        assert_eq!(index.find("bicycle").unwrap(), Found::default());
        let loose = index.find("tea bicycle").unwrap();
        assert!(loose.loose && loose.rows.contains(&4) && loose.rows.contains(&3));
    }

    #[test]
    fn chinese_is_found_by_any_part_and_in_spite_of_a_wrong_character() {
        let index = index();
        let mut cups = found(&index, "杯");
        cups.sort_unstable();
        assert_eq!(cups, [0, 1, 2]);
        assert_eq!(found(&index, "咖啡"), [0, 5]);
        assert_eq!(found(&index, "绿茶礼盒"), [3]);
        assert_eq!(found(&index, "茶礼"), [3]);
        assert_eq!(found(&index, "手机"), [7]);
        assert_eq!(found(&index, "iphone 手机壳"), [7]);
        let wrong = index.find("保温怀").unwrap();
        assert_eq!((wrong.rows, wrong.loose), (vec![2], true));
        assert_eq!(found(&index, "茶杯礼盒"), [3]);
    }

    #[test]
    fn what_has_a_meaning_in_queries_of_fts_has_none_here() {
        let index = index();
        for text in
            ["", "\"", "* OR", "name:cup", "(cup", "cup)", "NEAR(cup tea)", "-cup", "^tea", "'; DROP TABLE texts"]
        {
            index.find(text).unwrap();
        }
        assert_eq!(found(&index, "\"tea\" (box)"), [3]);
        assert_eq!(found(&index, "…"), Vec::<u32>::new());
    }
}
