//! Reads rows of wanted columns from CSV, JSON Lines or Parquet, compressed with zstd or not.

use std::cell::Cell;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, Result, bail};
use guerdon_core::limits;
use serde::Deserialize;

use crate::mapping::Mapping;
use crate::parquet_rows::read_parquet;

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
    pub fn of(name: &str) -> Result<Self> {
        let shown = name;
        let name = name.to_lowercase();
        let name = name.strip_suffix(".zst").unwrap_or(&name);
        match name.rsplit('.').next() {
            Some("csv") => Ok(Self::Csv),
            Some("jsonl" | "ndjson") => Ok(Self::JsonLines),
            Some("parquet") => Ok(Self::Parquet),
            _ => bail!("cannot tell the format of {shown}; name it in the mapping: format = \"csv\""),
        }
    }
}

/// An open file, and the name that tells how it is written.
pub struct Source {
    name: String,
    file: File,
    most_rows: u64,
    most_bytes: u64,
    text_only: bool,
}

impl Source {
    /// Opens a file.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        Ok(Self::named(&path.display().to_string(), file))
    }

    /// A file that is open, under the name that its sender gave it.
    pub fn named(name: &str, file: File) -> Self {
        Self { name: name.to_owned(), file, most_rows: limits::IMPORT_ROWS, most_bytes: FILE_BYTES, text_only: false }
    }

    /// The same file, of which no more rows, and no more bytes once it is decompressed, are read.
    pub fn at_most(self, rows: u64, bytes: u64) -> Self {
        Self { most_rows: rows, most_bytes: bytes, ..self }
    }

    /// The same file, which is not read as Parquet: how much memory that takes, the file decides, and a process that has
    /// no more ends.
    pub fn text_only(self) -> Self {
        Self { text_only: true, ..self }
    }

    /// How it is written: as the mapping says, or as its name does.
    pub(crate) fn format(&self, mapping: &Mapping) -> Result<Format> {
        let format = mapping.format.map_or_else(|| Format::of(&self.name), Ok)?;
        if format == Format::Parquet && self.text_only {
            bail!("Parquet is read by `guerdon import` on the server's machine; here send CSV or JSON Lines");
        }
        Ok(format)
    }

    /// Refuses more rows than are read at once.
    pub(crate) fn check_count(&self, rows: u64) -> Result<()> {
        if rows > self.most_rows {
            bail!("the file has more than {} rows, which is as many as are read at once; split it", self.most_rows);
        }
        Ok(())
    }

    /// From its beginning.
    pub(crate) fn rewound(&self) -> Result<File> {
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    }
}

/// Calls `sink` with the number (1 for the first line of a text file) and the values of `columns` for each row. A value
/// that is not there is empty. A file that is cut off or damaged is an error that names the place.
pub fn read_rows(
    source: &Source,
    format: Format,
    columns: &[&str],
    sink: &mut dyn FnMut(u64, &[&str]) -> Result<()>,
) -> Result<()> {
    let (mut count, mut bytes) = (0, 0);
    let mut counted = |line: u64, values: &[&str]| {
        count += 1;
        source.check_count(count)?;
        // Little of Parquet can stand for much: a value of its dictionary is told once, and may be every row's.
        bytes += values.iter().map(|value| value.len() as u64).sum::<u64>();
        if bytes > source.most_bytes {
            bail!("the values of the file are longer than {} bytes; split it", source.most_bytes);
        }
        sink(line, values)
    };
    let result = match format {
        Format::Csv => read_csv(decompressed(source)?, columns, &mut counted),
        Format::JsonLines => read_json_lines(decompressed(source)?, columns, &mut counted),
        Format::Parquet => read_parquet(source, columns, &mut counted),
    };
    result.with_context(|| format!("cannot read {}", source.name))
}

/// Bytes that may still be read of a row, shared by who reads and who begins the next row.
type Allowance = Rc<Cell<u64>>;

/// A text file whose rows and whose whole have an end, however small it is compressed.
struct Limited {
    inner: Box<dyn Read>,
    row: Allowance,
    /// Bytes that may still be read of the file, and how many those were.
    left: u64,
    most: u64,
}

impl Read for Limited {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)? as u64;
        let left = |of: u64, what: &dyn Fn() -> String| {
            of.checked_sub(count).ok_or_else(|| std::io::Error::other(format!("{}; is a quote not closed?", what())))
        };
        self.row.set(left(self.row.get(), &|| "a row is longer than 1 MiB".to_owned())?);
        let most = self.most;
        self.left = left(self.left, &|| format!("the file is longer than {most} bytes when decompressed; split it"))?;
        Ok(usize::try_from(count).unwrap_or(buffer.len()))
    }
}

fn decompressed(source: &Source) -> Result<Limited> {
    let compressed = source.name.to_lowercase().ends_with(".zst");
    let file = source.rewound()?;
    let inner: Box<dyn Read> = if compressed { Box::new(zstd::Decoder::new(file)?) } else { Box::new(file) };
    let row = Rc::new(Cell::new(ROW_BYTES));
    Ok(Limited { inner, row, left: source.most_bytes, most: source.most_bytes })
}

pub(crate) fn find_columns(columns: &[&str], available: &[String]) -> Result<Vec<usize>> {
    let missing: Vec<&str> =
        columns.iter().copied().filter(|column| !available.iter().any(|known| known == column)).collect();
    if !missing.is_empty() {
        bail!("the file has no column {}; its columns are {}", missing.join(", "), available.join(", "));
    }
    Ok(columns.iter().filter_map(|column| available.iter().position(|known| known == column)).collect())
}

fn read_csv(file: Limited, columns: &[&str], sink: &mut dyn FnMut(u64, &[&str]) -> Result<()>) -> Result<()> {
    let row = Rc::clone(&file.row);
    let mut reader = csv::ReaderBuilder::new().buffer_capacity(1 << 18).from_reader(file);
    let header: Vec<String> =
        reader.headers()?.iter().map(|name| name.trim_start_matches('\u{feff}').to_owned()).collect();
    let indexes = find_columns(columns, &header)?;
    let mut record = csv::StringRecord::new();
    let mut line = 1;
    row.set(ROW_BYTES);
    while reader.read_record(&mut record).with_context(|| format!("after line {line}"))? {
        line = record.position().map_or(line + 1, csv::Position::line);
        let mut values: [&str; 16] = [""; 16];
        for (value, index) in values.iter_mut().zip(&indexes) {
            *value = record.get(*index).unwrap_or_default();
        }
        sink(line, values.get(..columns.len()).unwrap_or_default())?;
        row.set(ROW_BYTES);
    }
    Ok(())
}

fn read_json_lines(file: Limited, columns: &[&str], sink: &mut dyn FnMut(u64, &[&str]) -> Result<()>) -> Result<()> {
    let row = Rc::clone(&file.row);
    let mut reader = BufReader::new(file);
    let mut text = String::new();
    for number in 1.. {
        text.clear();
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
