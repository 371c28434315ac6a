//! Reads rows of wanted columns from CSV, JSON Lines or Parquet, compressed with zstd or not.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result, bail};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde::Deserialize;

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

/// Longest line of JSON Lines.
const LINE_BYTES: u64 = 1 << 20;

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

fn decompressed(path: &Path, file: File) -> Result<Box<dyn Read>> {
    if path.extension().is_some_and(|extension| extension == "zst") {
        return Ok(Box::new(zstd::Decoder::new(file)?));
    }
    Ok(Box::new(file))
}

fn find_columns(columns: &[&str], available: &[String]) -> Result<Vec<usize>> {
    let missing: Vec<&str> =
        columns.iter().copied().filter(|column| !available.iter().any(|known| known == column)).collect();
    if !missing.is_empty() {
        bail!("the file has no column {}; its columns are {}", missing.join(", "), available.join(", "));
    }
    Ok(columns.iter().filter_map(|column| available.iter().position(|known| known == column)).collect())
}

fn read_csv(file: Box<dyn Read>, columns: &[&str], sink: &mut dyn FnMut(u64, &[&str]) -> Result<()>) -> Result<()> {
    let mut reader = csv::ReaderBuilder::new().buffer_capacity(1 << 18).from_reader(file);
    let header: Vec<String> =
        reader.headers()?.iter().map(|name| name.trim_start_matches('\u{feff}').to_owned()).collect();
    let indexes = find_columns(columns, &header)?;
    let mut record = csv::StringRecord::new();
    let mut line = 1;
    while reader.read_record(&mut record).with_context(|| format!("after line {line}"))? {
        line = record.position().map_or(line + 1, csv::Position::line);
        let mut values: [&str; 16] = [""; 16];
        for (value, index) in values.iter_mut().zip(&indexes) {
            *value = record.get(*index).unwrap_or_default();
        }
        sink(line, values.get(..columns.len()).unwrap_or_default())?;
    }
    Ok(())
}

fn read_json_lines(
    file: Box<dyn Read>,
    columns: &[&str],
    sink: &mut dyn FnMut(u64, &[&str]) -> Result<()>,
) -> Result<()> {
    let mut reader = BufReader::new(file);
    let mut text = String::new();
    for number in 1.. {
        text.clear();
        if reader.by_ref().take(LINE_BYTES).read_line(&mut text).with_context(|| format!("line {number}"))? == 0 {
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

fn read_parquet(file: File, columns: &[&str], sink: &mut dyn FnMut(u64, &[&str]) -> Result<()>) -> Result<()> {
    let reader = SerializedFileReader::new(file).context("not a whole Parquet file")?;
    let schema = reader.metadata().file_metadata().schema().clone();
    let available: Vec<String> = schema.get_fields().iter().map(|field| field.name().to_owned()).collect();
    find_columns(columns, &available)?;
    for (index, row) in reader.get_row_iter(None)?.enumerate() {
        let row = row.with_context(|| format!("row {}", index + 1))?;
        let mut values = vec![String::new(); columns.len()];
        for (name, field) in row.get_column_iter() {
            for (value, _) in values.iter_mut().zip(columns).filter(|(_, column)| *column == name) {
                *value = parquet_text(field);
            }
        }
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        sink(index as u64 + 1, &values)?;
    }
    Ok(())
}

fn parquet_text(field: &Field) -> String {
    let instant = |millis: i64| guerdon_core::time::Timestamp::from_millis(millis).to_string();
    match field {
        Field::Null => String::new(),
        Field::Str(text) => text.clone(),
        Field::TimestampMillis(millis) => instant(*millis),
        Field::TimestampMicros(micros) => instant(micros.div_euclid(1_000)),
        Field::Date(days) => guerdon_core::time::Day(*days).date().to_string(),
        other => other.to_string(),
    }
}
