//! CSV and JSON Lines: text in UTF-8, read in pieces.

use std::io::{self, Read};

use serde::de::IgnoredAny;

/// How much is read at once.
const PIECE_BYTES: usize = 64 << 10;
/// Longest line, in bytes.
const LINE_BYTES: usize = 1 << 20;

/// What other kinds of file begin with, though they may be text.
const OTHERS: [&[u8]; 6] = [b"%PDF", b"<!DOCTYPE", b"<html", b"<?xml", b"<svg", b"#!"];

/// Text in UTF-8 with lines of bearable length, whose fields may be read as a table.
pub fn csv(upload: &mut impl Read) -> io::Result<Result<(), String>> {
    lines(upload, |_| Ok(()))
}

/// A JSON object on each line that is not blank, and one at least.
pub fn json_lines(upload: &mut impl Read) -> io::Result<Result<(), String>> {
    let (mut number, mut objects) = (0_u64, 0_u64);
    let fit = lines(upload, |line| {
        number += 1;
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        objects += 1;
        let object = line.trim_ascii_start().first() == Some(&b'{');
        match serde_json::from_slice::<IgnoredAny>(line) {
            Ok(_) if object => Ok(()),
            Ok(_) => Err(format!("line {number} is no JSON object")),
            Err(error) => Err(format!("line {number} is no JSON: {error}")),
        }
    })?;
    Ok(fit.and_then(|()| if objects == 0 { Err("it has no object".into()) } else { Ok(()) }))
}

/// Hands over the lines, once they are known to be text.
fn lines(upload: &mut impl Read, mut each: impl FnMut(&[u8]) -> Result<(), String>) -> io::Result<Result<(), String>> {
    let mut piece = vec![0; PIECE_BYTES];
    let mut line: Vec<u8> = Vec::new();
    let mut first = true;
    loop {
        let read = upload.read(&mut piece)?;
        let bytes = piece.get(..read).unwrap_or_default();
        if std::mem::take(&mut first) {
            let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
            let starts = |other: &&[u8]| text.get(..other.len()).is_some_and(|head| head.eq_ignore_ascii_case(other));
            if OTHERS.iter().any(starts) {
                return Ok(Err("it begins as a file of another kind does".into()));
            }
        }
        let mut parts = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(part) = parts.next() {
            line.extend_from_slice(part);
            if line.len() > LINE_BYTES {
                return Ok(Err(format!("a line is longer than {LINE_BYTES} bytes")));
            }
            // The last part goes on in the next piece, unless there is none.
            if parts.peek().is_some() || read == 0 {
                if let Err(reason) = text(&line).and_then(|()| each(&line)) {
                    return Ok(Err(reason));
                }
                line.clear();
            }
        }
        if read == 0 {
            return Ok(Ok(()));
        }
    }
}

fn text(line: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(line).map_err(|_| "it is not text in UTF-8".to_owned())?;
    match text.chars().find(|character| character.is_control() && !matches!(character, '\t' | '\r')) {
        Some(character) => Err(format!("it holds the control character U+{:04X}", u32::from(character))),
        None => Ok(()),
    }
}
