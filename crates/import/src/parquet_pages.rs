//! Looks at the headers of all pages of a Parquet column: how large is each when it is unpacked? The library believes
//! what it reads there and takes the memory.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use anyhow::{Context, Result, bail};
use flate2::read::MultiGzDecoder;
use parquet::basic::Compression;
use parquet::file::metadata::ColumnChunkMetaData;

/// Longest page, packed or not; writers make pages of 1 MiB, or of one row group at most.
const PAGE_BYTES: u64 = 64 << 20;
/// Longest header of a page; statistics in it hold a smallest and a largest value.
const HEADER_BYTES: u64 = 64 << 10;
/// Deepest structure in a header.
const DEPTH: u32 = 8;

/// What a page header says of sizes.
#[derive(Debug, Default)]
struct PageSizes {
    unpacked: i64,
    packed: i64,
    /// Bytes before what is packed, in pages of version 2.
    levels: i64,
    /// Whether the rest is packed at all.
    stored: bool,
}

/// Refuses a column with a page that is too large, or that is not where the file says.
pub fn check_pages(mut file: &File, column: &ColumnChunkMetaData) -> Result<()> {
    let length = file.metadata()?.len();
    let start = column.dictionary_page_offset().filter(|offset| *offset > 0).unwrap_or(column.data_page_offset());
    let (start, size) = (u64::try_from(start)?, u64::try_from(column.compressed_size())?);
    let end = start.checked_add(size).filter(|end| *end <= length).context("it lies beyond the end of the file")?;
    let mut at = start;
    while at < end {
        let mut header = Vec::new();
        file.seek(SeekFrom::Start(at))?;
        file.take(HEADER_BYTES.min(end - at)).read_to_end(&mut header)?;
        let mut reader = Compact { rest: &header, read: 0 };
        let page = reader.page().context("a page has no sound header")?;
        let within = |size: i64, limit: u64| u64::try_from(size).ok().filter(|size| *size <= limit);
        let body = at + reader.read;
        let packed = within(page.packed, PAGE_BYTES.min(end.saturating_sub(body)));
        let (Some(packed), Some(unpacked)) = (packed, within(page.unpacked, PAGE_BYTES)) else {
            bail!("it has a page of {} bytes, unpacked {}; at most {PAGE_BYTES} are read", page.packed, page.unpacked);
        };
        if matches!(column.compression(), Compression::GZIP(_)) && !page.stored {
            let levels = within(page.levels, packed).context("a page is shorter than its levels")?;
            file.seek(SeekFrom::Start(body + levels))?;
            check_gzip(file.take(packed - levels), unpacked)?;
        }
        at = body + packed;
    }
    Ok(())
}

/// This format alone does not know its unpacked size before: it is unpacked once to see.
fn check_gzip(packed: impl Read, unpacked: u64) -> Result<()> {
    let found = std::io::copy(&mut MultiGzDecoder::new(packed).take(unpacked + 1), &mut std::io::sink())?;
    if found > unpacked {
        bail!("it has a page that is larger than it says, which is {unpacked} bytes");
    }
    Ok(())
}

/// Thrift's compact protocol, as far as page headers go.
struct Compact<'a> {
    rest: &'a [u8],
    read: u64,
}

impl Compact<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        self.read += 1;
        Some(*first)
    }

    fn skip(&mut self, bytes: u64) -> Option<()> {
        self.rest = self.rest.get(usize::try_from(bytes).ok()?..)?;
        self.read += bytes;
        Some(())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// Calls `field` with the number and type of each field of a structure; it must read the value.
    fn structure(&mut self, field: &mut dyn FnMut(&mut Self, i64, u8) -> Option<()>) -> Option<()> {
        let mut number = 0;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Some(());
            }
            number = if head >> 4 == 0 { self.signed()? } else { number + i64::from(head >> 4) };
            field(self, number, head & 15)?;
        }
    }

    fn value(&mut self, kind: u8, depth: u32) -> Option<()> {
        match kind {
            1 | 2 => Some(()),
            3 => self.skip(1),
            4..=6 => self.varint().map(drop),
            7 => self.skip(8),
            8 => {
                let length = self.varint()?;
                self.skip(length)
            }
            9 | 10 if depth < DEPTH => {
                let head = self.byte()?;
                let length = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
                // A list's truth values take a byte each, unlike a field's.
                let kind = if matches!(head & 15, 1 | 2) { 3 } else { head & 15 };
                (0..length).try_for_each(|_| self.value(kind, depth + 1))
            }
            12 if depth < DEPTH => self.structure(&mut |inner, _, kind| inner.value(kind, depth + 1)),
            _ => None,
        }
    }

    fn page(&mut self) -> Option<PageSizes> {
        let mut page = PageSizes::default();
        let mut seen = 0_u32;
        self.structure(&mut |header, number, kind| {
            // A field that comes twice could be understood in two ways.
            let bit = 1_u32.checked_shl(u32::try_from(number).ok()?).filter(|bit| seen & bit == 0)?;
            seen |= bit;
            match (number, kind) {
                (2, 5) => page.unpacked = header.signed()?,
                (3, 5) => page.packed = header.signed()?,
                (8, 12) => header.structure(&mut |inner, number, kind| {
                    match (number, kind) {
                        (5 | 6, 5) => page.levels = page.levels.checked_add(inner.signed()?)?,
                        (7, 1 | 2) => page.stored = kind == 2,
                        _ => inner.value(kind, 1)?,
                    }
                    Some(())
                })?,
                _ => header.value(kind, 0)?,
            }
            Some(())
        })?;
        (seen & 0b1100 == 0b1100).then_some(page)
    }
}
