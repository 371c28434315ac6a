//! Secrets are compared in constant time, or looked up by their digest: a test of the sources, because nothing in the types
//! forbids `==`, and a coarse one of the clock.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::token::same_bytes;

/// Words that a secret, or what is made of it, may be called.
const WORDS: [&str; 11] =
    ["secret", "token", "digest", "mac", "tag", "hash", "code", "signature", "password", "nonce", "cookie"];

/// Comparisons that have such a word in their line and compare nothing secret: lengths, kinds, characters, and a checksum
/// that anybody can make. Whoever adds one has looked at it.
const LOOKED_AT: [&str; 12] = [
    "let shown = [Language::English, Language::Chinese].into_iter().find(|one| one.tag() == about.language);",
    "let code: Zeroizing<String> = Zeroizing::new(guess.code.chars().filter(|c| *c != ' ').take(7).collect());",
    "if code.len() != 6 || !code.bytes().all(|digit| digit.is_ascii_digit()) {",
    "let texts = cookie.split('.').filter(|text| text.len() == PASS_BYTES.div_ceil(3) * 4 - 1).take(MOST_ACCOUNTS);",
    "let tag = signature.strip_prefix(\"v1=\").filter(|digits| digits.len() == 64).and_then(hex::decode);",
    "hash.algorithm == argon2::ARGON2ID_IDENT",
    "&& hash.version == Some(Version::V0x13.into())",
    "for character in code.chars().filter(|character| !character.is_whitespace() && *character != '-') {",
    "for byte in code.bytes().filter(|byte| *byte != b' ').take(DIGITS + 1) {",
    "if digits.len() != SECRET_DIGITS + CHECK_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {",
    "if checksum(secret) != check {",
    "Self::parse(text).and_then(|token| if token.kind == kind { Ok(token) } else { Err(InvalidToken::Form) })",
];

/// The sources below a folder, without their tests.
fn sources(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if !["tests.rs", "comparisons.rs", "testing.rs"].iter().any(|name| path.ends_with(name)) {
            let text = std::fs::read_to_string(&path).unwrap();
            let own = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned();
            found.push((path, own));
        }
    }
}

/// Whether a line has one of the words as a word, or as a part of a name.
fn speaks_of_secrets(line: &str) -> bool {
    let parts = line.split(|c: char| !c.is_ascii_alphabetic());
    parts.map(str::to_ascii_lowercase).any(|part| WORDS.contains(&part.trim_end_matches('s')))
}

#[test]
fn secrets_are_compared_in_constant_time_or_looked_up_by_digest() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for folder in ["identity", "portal", "api"] {
        sources(&root.join(folder), &mut found);
    }
    assert!(found.len() > 60);
    let mut seen = 0;
    for (path, text) in &found {
        for line in text.lines().map(|line| line.split("//").next().unwrap_or_default().trim()) {
            let constant = line.contains("ct_eq(");
            assert!(!constant || path.ends_with("token.rs") || path.ends_with("totp.rs"), "{}: {line}", path.display());
            let line = line.replace("problem.code ==", "");
            let line = line.as_str();
            let compares = [" == ", " != ", ".eq(", ".ne("].iter().any(|sign| line.contains(sign));
            if compares && speaks_of_secrets(line) {
                let known = LOOKED_AT.contains(&line);
                assert!(known, "{}: compare secrets with `same_secret`: {line}", path.display());
                seen += 1;
            }
        }
    }
    assert_eq!(seen, LOOKED_AT.len(), "a comparison that is gone needs no exception");
}

#[test]
fn how_much_of_a_secret_is_right_does_not_show_in_the_time() {
    let secret = vec![7_u8; 1 << 18];
    let time = |given: &[u8]| {
        let once = |_| {
            let started = Instant::now();
            assert_eq!(same_bytes(&secret, std::hint::black_box(given)), given == secret.as_slice());
            started.elapsed()
        };
        (0..7).map(once).min().unwrap_or_default()
    };
    let (mut early, mut late) = (secret.clone(), secret.clone());
    *early.first_mut().unwrap() = 0;
    *late.last_mut().unwrap() = 0;
    // What stops at the first difference takes a hundred thousandth of the time, not a quarter.
    let [first, last, same] = [time(&early), time(&late), time(&secret)];
    assert!(first > Duration::ZERO && first * 4 > last && first * 4 > same, "{first:?} {last:?} {same:?}");
}
