//! Rows of a Parquet file that nobody vouches for: what it announces is checked before the library that reads it is let at
//! it, and what makes that library panic is an error.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use guerdon_core::limits;
use guerdon_core::time::{Day, Timestamp};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::schema::types::Type;

use crate::parquet_pages::check_pages;
use crate::rows::Source;

/// Calls `sink` for each row, as [`crate::read_rows`] does.
pub fn read_parquet(source: &Source, columns: &[&str], sink: &mut dyn FnMut(u64, &[&str]) -> Result<()>) -> Result<()> {
    let mut failure = None;
    let read = catch_unwind(AssertUnwindSafe(|| read(source, columns, sink, &mut failure)));
    match (read, failure) {
        (_, Some(error)) => Err(error),
        (Ok(result), None) => result,
        (Err(_), None) => bail!("the Parquet file is damaged: its parts contradict each other"),
    }
}

fn read(
    source: &Source,
    columns: &[&str],
    sink: &mut dyn FnMut(u64, &[&str]) -> Result<()>,
    failure: &mut Option<anyhow::Error>,
) -> Result<()> {
    let file = source.rewound()?;
    let reader = SerializedFileReader::new(file.try_clone()?).context("not a whole Parquet file")?;
    let metadata = reader.metadata();
    let wanted = wanted(metadata.file_metadata().schema(), columns)?;
    let mut rows: u64 = 0;
    for group in metadata.row_groups() {
        let more = u64::try_from(group.num_rows()).ok().filter(|more| *more <= limits::IMPORT_ROWS);
        rows += more.context("a row group has an impossible number of rows")?;
        for column in group.columns().iter().filter(|column| columns.contains(&root_of(column.column_path()))) {
            check_pages(&file, column).with_context(|| format!("column {}", column.column_path().string()))?;
        }
    }
    source.check_count(rows)?;
    if columns.is_empty() {
        return (1..=rows).try_for_each(|row| sink(row, &[]));
    }
    for (index, row) in reader.get_row_iter(Some(wanted))?.enumerate() {
        let row = row.with_context(|| format!("row {}", index + 1))?;
        let mut values = vec![String::new(); columns.len()];
        for (name, field) in row.get_column_iter() {
            for (value, _) in values.iter_mut().zip(columns).filter(|(_, column)| *column == name) {
                *value = text_of(field);
            }
        }
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        if let Err(error) = sink(index as u64 + 1, &values) {
            *failure = Some(error);
            break;
        }
    }
    Ok(())
}

/// The part of the schema that holds the columns.
fn wanted(schema: &Type, columns: &[&str]) -> Result<Type> {
    let available: Vec<String> = schema.get_fields().iter().map(|field| field.name().to_owned()).collect();
    crate::rows::find_columns(columns, &available)?;
    let fields: Vec<Arc<Type>> =
        schema.get_fields().iter().filter(|field| columns.contains(&field.name())).cloned().collect();
    if let Some(nested) = fields.iter().find(|field| !field.is_primitive()) {
        bail!("the column {} holds lists or structures; a column of plain values is needed", nested.name());
    }
    Ok(Type::group_type_builder(schema.name()).with_fields(fields).build()?)
}

fn root_of(path: &parquet::schema::types::ColumnPath) -> &str {
    path.parts().first().map_or("", String::as_str)
}

fn text_of(field: &Field) -> String {
    let instant = |millis: i64| Timestamp::from_millis(millis).to_string();
    match field {
        Field::Null => String::new(),
        Field::Str(text) => text.clone(),
        Field::TimestampMillis(millis) => instant(*millis),
        Field::TimestampMicros(micros) => instant(micros.div_euclid(1_000)),
        Field::Date(days) => Day(*days).date().to_string(),
        other => other.to_string(),
    }
}
