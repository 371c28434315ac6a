//! Reads rows of wanted columns from CSV, JSON Lines or Parquet, compressed with zstd or not.

use std::cell::Cell;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, Result, bail};
use guerdon_core::limits;
use serde::Deserialize;

use super::parquet_rows::read_parquet;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Comma-separated values with a header.
    Csv,
    /// One JSON object a line.
    JsonLines,
    /// Apache Parquet.
    Parquet,
}

/// Longest row of a text file.
const ROW_BYTES: u64 = 1 << 20;
/// Longest text file, decompressed.
const FILE_BYTES: u64 = 16 << 30;

impl Format {
    /// The format that a file's name tells, apart from `.zst`.
    pub fn of(path: &Path) -> Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let name = name.strip_suffix(".zst").unwrap_or(&name);
        match name.rsplit('.').next() {
            Some("csv") => Ok(Self::Csv),
            Some("jsonl" | "ndjson") => Ok(Self::JsonLines),
            Some("parquet") => Ok(Self::Parquet),
            _ => bail!("cannot tell the format of {}; name it in the mapping: format = \"csv\"", path.display()),
        }
    }
}

/// Calls `sink` with the number (1 for the first line of a text file) and the values of `columns` for each row. A value
/// that is not there is empty. A file that is cut off or damaged is an error that names the place.
pub fn read_rows(
    path: &Path,
    format: Format,
    columns: &[&str],
    sink: &mut dyn FnMut(u64, &[&str]) -> Result<()>,
) -> Result<()> {
    let open = || File::open(path).with_context(|| format!("cannot open {}", path.display()));
    let result = match format {
        Format::Csv => read_csv(decompressed(path, open()?)?, columns, sink),
        Format::JsonLines => read_json_lines(decompressed(path, open()?)?, columns, sink),
        Format::Parquet => read_parquet(open()?, columns, sink),
    };
    result.with_context(|| format!("cannot read {}", path.display()))
}

/// Bytes that may still be read of a row and of a file, shared by who reads and who begins the next row.
#[derive(Clone)]
struct Allowance(Rc<Cell<u64>>, Rc<Cell<u64>>);

/// A text file whose rows and whose whole have an end, however small it is compressed.
struct Limited {
    inner: Box<dyn Read>,
    allowance: Allowance,
}

impl Read for Limited {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let Allowance(row, file) = &self.allowance;
        let count = self.inner.read(buffer)?;
        let left = |of: &Cell<u64>, what: &str| {
            let left = of.get().checked_sub(count as u64);
            of.set(left.ok_or_else(|| std::io::Error::other(format!("{what}; is a quote not closed?")))?);
            std::io::Result::Ok(())
        };
        left(row, "a row is longer than 1 MiB")?;
        left(file, "the file is longer than 16 GiB when decompressed; split it")?;
        Ok(count)
    }
}

fn decompressed(path: &Path, file: File) -> Result<(Limited, Allowance)> {
    let compressed = path.extension().is_some_and(|extension| extension == "zst");
    let inner: Box<dyn Read> = if compressed { Box::new(zstd::Decoder::new(file)?) } else { Box::new(file) };
    let allowance = Allowance(Rc::new(Cell::new(ROW_BYTES)), Rc::new(Cell::new(FILE_BYTES)));
    Ok((Limited { inner, allowance: allowance.clone() }, allowance))
}

fn check_count(rows: u64) -> Result<()> {
    if rows > limits::IMPORT_ROWS {
        bail!("the file has more than {} rows, which is as many as are read at once; split it", limits::IMPORT_ROWS);
    }
    Ok(())
}

pub(super) fn find_columns(columns: &[&str], available: &[String]) -> Result<Vec<usize>> {
    let missing: Vec<&str> =
        columns.iter().copied().filter(|column| !available.iter().any(|known| known == column)).collect();
    if !missing.is_empty() {
        bail!("the file has no column {}; its columns are {}", missing.join(", "), available.join(", "));
    }
    Ok(columns.iter().filter_map(|column| available.iter().position(|known| known == column)).collect())
}

fn read_csv(
    (file, Allowance(row, _)): (Limited, Allowance),
    columns: &[&str],
    sink: &mut dyn FnMut(u64, &[&str]) -> Result<()>,
) -> Result<()> {
    let mut reader = csv::ReaderBuilder::new().buffer_capacity(1 << 18).from_reader(file);
    let header: Vec<String> =
        reader.headers()?.iter().map(|name| name.trim_start_matches('\u{feff}').to_owned()).collect();
    let indexes = find_columns(columns, &header)?;
    let mut record = csv::StringRecord::new();
    let (mut line, mut count) = (1, 0);
    row.set(ROW_BYTES);
    while reader.read_record(&mut record).with_context(|| format!("after line {line}"))? {
        line = record.position().map_or(line + 1, csv::Position::line);
        let mut values: [&str; 16] = [""; 16];
        for (value, index) in values.iter_mut().zip(&indexes) {
            *value = record.get(*index).unwrap_or_default();
        }
        count += 1;
        check_count(count)?;
        sink(line, values.get(..columns.len()).unwrap_or_default())?;
        row.set(ROW_BYTES);
    }
    Ok(())
}

fn read_json_lines(
    (file, Allowance(row, _)): (Limited, Allowance),
    columns: &[&str],
    sink: &mut dyn FnMut(u64, &[&str]) -> Result<()>,
) -> Result<()> {
    let mut reader = BufReader::new(file);
    let mut text = String::new();
    for number in 1.. {
        text.clear();
        check_count(number)?;
        row.set(ROW_BYTES);
        if reader.by_ref().take(ROW_BYTES).read_line(&mut text).with_context(|| format!("line {number}"))? == 0 {
            break;
        }
        if text.trim().is_empty() {
            continue;
        }
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&text).with_context(|| format!("line {number} is not a JSON object"))?;
        let values: Vec<String> = columns.iter().map(|column| json_text(object.get(*column))).collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        sink(number, &values)?;
    }
    Ok(())
}

fn json_text(value: Option<&serde_json::Value>) -> String {
    match value {
        None | Some(serde_json::Value::Null) => String::new(),
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
