//! Parquet files of a few rows.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::sync::Arc;

use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

/// The same rows in files with other compressions, encodings and page versions.
pub fn all() -> Vec<Vec<u8>> {
    let zstd = Compression::ZSTD(ZstdLevel::try_new(3).unwrap());
    [
        (Compression::UNCOMPRESSED, WriterVersion::PARQUET_1_0, true),
        (Compression::SNAPPY, WriterVersion::PARQUET_1_0, true),
        (Compression::SNAPPY, WriterVersion::PARQUET_2_0, false),
        (zstd, WriterVersion::PARQUET_2_0, true),
        (Compression::GZIP(Default::default()), WriterVersion::PARQUET_1_0, false),
    ]
    .map(|(compression, version, dictionary)| file(compression, version, dictionary))
    .to_vec()
}

pub fn file(compression: Compression, version: WriterVersion, dictionary: bool) -> Vec<u8> {
    let schema = "message rows { required binary no (UTF8); optional binary who (UTF8);
        required int64 at (TIMESTAMP_MILLIS); required int64 n; optional double price; optional binary what (UTF8); }";
    let mut properties = WriterProperties::builder()
        .set_compression(compression)
        .set_writer_version(version)
        .set_dictionary_enabled(dictionary);
    if !dictionary && version == WriterVersion::PARQUET_2_0 {
        properties = properties.set_column_encoding("n".into(), Encoding::DELTA_BINARY_PACKED);
    }
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties.build())).unwrap();
    let words = |texts: &[&str]| texts.iter().map(|text| ByteArray::from(*text)).collect::<Vec<_>>();
    for _ in 0..2 {
        let mut group = writer.next_row_group().unwrap();
        for index in 0..6 {
            let mut column = group.next_column().unwrap().unwrap();
            match index {
                0 => column.typed::<ByteArrayType>().write_batch(&words(&["536365", "536365", "C1"]), None, None),
                1 => column.typed::<ByteArrayType>().write_batch(&words(&["17850", "17850"]), Some(&[1, 1, 0]), None),
                2 => column.typed::<Int64Type>().write_batch(&[1_291_191_960_000; 3], None, None),
                3 => column.typed::<Int64Type>().write_batch(&[6, -1, 2], None, None),
                4 => column.typed::<DoubleType>().write_batch(&[2.55, 1e-3], Some(&[1, 0, 1]), None),
                _ => column.typed::<ByteArrayType>().write_batch(&words(&["mug"]), Some(&[0, 1, 0]), None),
            }
            .unwrap();
            column.close().unwrap();
        }
        group.close().unwrap();
    }
    writer.into_inner().unwrap()
}
