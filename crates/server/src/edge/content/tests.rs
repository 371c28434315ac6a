//! Uploads of every kind, whole, broken, and in disguise.

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;

use super::*;

fn check(kind: Content, bytes: &[u8]) -> Result<(), String> {
    kind.check(&mut Cursor::new(bytes), 1 << 20).map_err(|error| error.to_string())
}

fn png(width: u32, height: u32) -> Vec<u8> {
    let mut image = b"\x89PNG\r\n\x1a\n".to_vec();
    let header: Vec<u8> =
        [width.to_be_bytes(), height.to_be_bytes()].concat().into_iter().chain([8, 6, 0, 0, 0]).collect();
    for (kind, data) in [(b"IHDR", header.as_slice()), (b"IDAT", b"data"), (b"IEND", b"")] {
        image.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
        image.extend(kind);
        image.extend(data);
        image.extend([0; 4]);
    }
    image
}

fn jpeg(width: u16, height: u16) -> Vec<u8> {
    let mut image = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x0b\x08".to_vec();
    image.extend(height.to_be_bytes());
    image.extend(width.to_be_bytes());
    image.extend(b"\x01\x01\x11\x00\xff\xda\x00\x04ab\x12\x34\xff\xd9");
    image
}

fn webp(width: u8) -> Vec<u8> {
    let mut image = b"RIFF\x16\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00".to_vec();
    image.extend([width - 1, 0, 0, 9, 0, 0]);
    image
}

fn archive(names: &[&str]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for name in names {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(b"a,b\n1,2\n").unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn samples() -> Vec<(Content, Vec<u8>)> {
    vec![
        (Content::Csv, "编号,name\r\n1,\"Ann, of\nLondon\"\r\n".as_bytes().to_vec()),
        (Content::JsonLines, b"{\"a\":1}\n\n{\"b\":[2]}\n".to_vec()),
        (Content::Png, png(10, 20)),
        (Content::Jpeg, jpeg(10, 20)),
        (Content::Webp, webp(10)),
        (Content::Zip, archive(&["a.csv", "folder/b.csv"])),
    ]
}

#[test]
fn each_kind_is_taken_for_itself_and_for_no_other() {
    for (kind, bytes) in samples() {
        for declared in Content::ALL {
            // Lines of JSON are text as well, and a table of one column.
            let fits = declared == kind || (declared == Content::Csv && kind == Content::JsonLines);
            assert_eq!(
                check(declared, &bytes).is_ok(),
                fits,
                "{kind:?} as {declared:?}: {:?}",
                check(declared, &bytes)
            );
        }
    }
}

#[test]
fn what_is_cut_off_or_goes_on_is_refused() {
    for (kind, bytes) in samples() {
        if matches!(kind, Content::Csv | Content::JsonLines) {
            continue;
        }
        for length in 1..bytes.len() {
            assert!(check(kind, &bytes[..length]).is_err(), "{kind:?} cut to {length}");
        }
        if kind != Content::Zip {
            let polyglot = [bytes, b"<script>alert(1)</script>".to_vec()].concat();
            assert!(check(kind, &polyglot).is_err(), "{kind:?} with a tail");
        }
    }
}

#[test]
fn pages_scripts_and_binaries_are_no_tables() {
    let bytes = [0x7f, b'E', b'L', b'F'];
    for text in [
        &b"<!doctype html><p>"[..],
        b"  <html>",
        b"\xef\xbb\xbf<svg xmlns>",
        b"#!/bin/sh\n",
        b"%PDF-1.7",
        &bytes,
        b"a,b\x00",
        b"a,\xff\n",
        b"a,\x1b[2J\n",
        b"a\xc2\x85b",
    ] {
        assert!(check(Content::Csv, text).is_err(), "{text:?}");
    }
    assert!(check(Content::Csv, b"\xef\xbb\xbfid,points\n1,2").is_ok());
    // A character that lies across two pieces.
    let long = "é,".repeat(400_000).replace("é,é,é,é,", "é,é,é,é\n");
    assert!(Content::Csv.check(&mut Cursor::new(long.as_bytes()), 1 << 24).is_ok());
    assert!(check(Content::Csv, &[b'x'; 1 << 20]).is_ok());
    assert!(Content::Csv.check(&mut Cursor::new(vec![b'x'; (1 << 20) + 1]), 1 << 24).is_err());
    for text in [&b"[1]\n"[..], b"{}\n{", b"{}\n1\n", b"\n\n", b"{\"a\":1} {}"] {
        assert!(check(Content::JsonLines, text).is_err(), "{text:?}");
    }
}

#[test]
fn sizes_have_limits() {
    assert!(check(Content::Png, &png(IMAGE_PIXELS + 1, 1)).unwrap_err().contains("pixels"));
    assert!(check(Content::Png, &png(0, 1)).is_err());
    assert!(check(Content::Jpeg, &jpeg(1, 9_000)).unwrap_err().contains("pixels"));
    let small = Content::Csv.check(&mut Cursor::new(b"a,b\n1,2\n"), 7).unwrap_err();
    assert_eq!(small.to_string(), "the upload has 8 bytes, more than the 7 that are taken");
    assert!(matches!(Content::Csv.check(&mut Cursor::new(b""), 7), Err(ContentError::Empty)));
}

#[test]
fn archives_stay_inside_and_do_not_explode() {
    assert!(check(Content::Zip, &archive(&["../../etc/passwd"])).unwrap_err().contains("outside"));
    let names: Vec<String> = (0..=ARCHIVE_ENTRIES).map(|number| number.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert!(check(Content::Zip, &archive(&names)).unwrap_err().contains("entries"));
}

#[test]
fn kinds_are_read_from_names_and_media_types() {
    assert_eq!(Content::of_media_type("Text/CSV; charset=utf-8"), Some(Content::Csv));
    assert_eq!(Content::of_media_type("text/html"), None);
    assert_eq!(Content::of_file_name("Members.JSONL"), Some(Content::JsonLines));
    assert_eq!(Content::of_file_name("logo.svg"), None);
    for kind in Content::ALL {
        assert_eq!(Content::of_media_type(kind.media_type()), Some(kind));
    }
}
