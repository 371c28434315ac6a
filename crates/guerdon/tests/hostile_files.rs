//! Files made to take all memory: they are refused at their first lie, in words.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::io::Write;
use std::path::PathBuf;

use guerdon_import::{Format, Source, read_rows};
use guerdon_tests::fuzz::{Guarded, within};
use parquet::basic::Compression;
use parquet::file::properties::WriterVersion;

#[path = "stories/support/parquet_files.rs"]
mod parquet_files;

#[global_allocator]
static ALLOCATOR: Guarded = Guarded;

/// Reads a file, which must be refused in little memory; returns the words.
fn refused(name: &str, bytes: &[u8], columns: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    let format = Format::of(name).unwrap();
    let (result, held) =
        within(usize::MAX, || read_rows(&Source::open(&path).unwrap(), format, columns, &mut |_, _| Ok(())));
    assert!(held < 32 << 20, "{held} bytes were held");
    format!("{:#}", result.unwrap_err())
}

/// Something very long in little.
fn bomb(beginning: &str, repeated: &[u8], bytes: u64) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.write_all(beginning.as_bytes()).unwrap();
    let block = repeated.repeat((1 << 20) / repeated.len());
    (0..bytes / block.len() as u64).for_each(|_| encoder.write_all(&block).unwrap());
    encoder.finish().unwrap()
}

#[test]
fn a_row_without_an_end_is_refused() {
    let endless = bomb("no,who\n1,\"", b"never closed\n", 1 << 30);
    assert!(endless.len() < 1 << 20);
    assert!(refused("rows.csv.zst", &endless, &["no", "who"]).contains("a row is longer than 1 MiB"));
    let endless = bomb("{\"no\":\"", b"x", 1 << 30);
    assert!(refused("rows.jsonl.zst", &endless, &["no"]).contains("line 1 is not a JSON object"));
    let endless = bomb("", b"column,", 1 << 30);
    assert!(refused("rows.csv.zst", &endless, &["no"]).contains("a row is longer than 1 MiB"));
}

#[test]
fn no_more_than_what_is_allowed_is_read_of_any_format() {
    let folder = tempfile::tempdir().unwrap();
    let file = parquet_files::file(Compression::SNAPPY, WriterVersion::PARQUET_1_0, true);
    for (name, bytes) in [("rows.csv", b"no,who\n1,ann\n2,bob\n".to_vec()), ("rows.parquet", file)] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let read = |rows, bytes| {
            let source = Source::open(&path).unwrap().at_most(rows, bytes);
            read_rows(&source, Format::of(name).unwrap(), &["no", "who"], &mut |_, _| Ok(()))
        };
        assert!(read(100, 1_000).is_ok());
        assert!(format!("{:#}", read(1, 1_000).unwrap_err()).contains("more than 1 rows"));
        assert!(format!("{:#}", read(100, 7).unwrap_err()).contains("longer than 7 bytes"), "{name}");
    }
}

#[test]
fn a_page_that_claims_to_be_huge_is_refused() {
    let file = parquet_files::file(Compression::SNAPPY, WriterVersion::PARQUET_1_0, true);
    // After the magic: field 1 (the type) in two bytes, then field 2, the unpacked size, as a variable-length number.
    assert_eq!((&file[..4], file[4], file[6]), (&b"PAR1"[..], 0x15, 0x15));
    let mut lying = file.clone();
    lying.splice(7..8, [0xfe, 0xff, 0xff, 0xff, 0x0f]);
    let words = refused("rows.parquet", &lying, &["no"]);
    assert!(words.contains("unpacked 2147483647; at most"), "{words}");
    // Twice is ambiguous: who reads the first would be told less than who reads the last.
    let mut twice = file;
    twice.splice(8..8, [0x05, 0x04, 0x7f]);
    let words = refused("rows.parquet", &twice, &["no"]);
    assert!(words.contains("a page has no sound header"), "{words}");
}

#[test]
fn a_page_that_unpacks_to_more_than_it_says_is_refused() {
    let file = parquet_files::file(Compression::GZIP(Default::default()), WriterVersion::PARQUET_1_0, false);
    let said = file[7];
    assert!(said > 40, "the page says that it has {} bytes", said / 2);
    let mut lying = file;
    lying[7] = 2;
    let words = refused("rows.parquet", &lying, &["no"]);
    assert!(words.contains("larger than it says"), "{words}");
}
