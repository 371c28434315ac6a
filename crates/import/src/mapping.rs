//! The mapping file: which column means what.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::rows::Format;

/// What the rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Lines of purchases and returns.
    Purchases,
    /// Members.
    Members,
}

/// A mapping file, TOML.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// What the rows are.
    pub kind: Kind,
    /// `csv`, `json_lines` or `parquet`; left out: by the file's name.
    #[serde(default)]
    pub format: Option<Format>,
    /// Time zone of times that name none; left out: the program's.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// Whether to enrol members that are not known.
    #[serde(default)]
    pub enrol_unknown_members: bool,
    /// Whether rows without a member are skipped and counted, not refused.
    #[serde(default)]
    pub skip_rows_without_member: bool,
    /// An activity whose number begins with this is a return.
    #[serde(default)]
    pub return_prefix: Option<String>,
    /// What to cut off the end of the member's number.
    #[serde(default)]
    pub strip_member_suffix: Option<String>,
    /// From our field to the file's column.
    pub columns: BTreeMap<String, String>,
}

const PURCHASE_FIELDS: &[&str] = &[
    "activity",
    "member",
    "time",
    "amount",
    "sku",
    "description",
    "category",
    "quantity",
    "unit_price",
    "store",
    "channel",
    "purchase",
    "country",
];
const MEMBER_FIELDS: &[&str] = &["external_id", "name", "email", "phone", "birth_date", "language", "country"];

impl Mapping {
    /// Reads a mapping file.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("the mapping file {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("the mapping file {}", path.display()))
    }

    /// Reads a mapping.
    pub fn parse(text: &str) -> Result<Self> {
        let mapping: Self = toml::from_str(text)?;
        let (known, required) = match mapping.kind {
            Kind::Purchases => (PURCHASE_FIELDS, &["activity", "member", "time"][..]),
            Kind::Members => (MEMBER_FIELDS, &["external_id"][..]),
        };
        for field in mapping.columns.keys() {
            if !known.contains(&field.as_str()) {
                bail!("[columns] names the field `{field}`; known are {}", known.join(", "));
            }
        }
        for field in required {
            if !mapping.columns.contains_key(*field) {
                bail!("[columns] must say which column holds `{field}`");
            }
        }
        let has = |field| mapping.columns.contains_key(field);
        if mapping.kind == Kind::Purchases && has("amount") == (has("quantity") && has("unit_price")) {
            bail!("[columns] must name either `amount`, or both `quantity` and `unit_price`");
        }
        Ok(mapping)
    }

    /// The mapped fields, and the file's columns in the same order.
    pub fn fields_and_columns(&self) -> (Vec<&str>, Vec<&str>) {
        self.columns.iter().map(|(field, column)| (field.as_str(), column.as_str())).unzip()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_names_what_is_missing() {
        let text = "kind = 'purchases'\n[columns]\nactivity = 'no'\nmember = 'who'\n";
        assert!(Mapping::parse(text).unwrap_err().to_string().contains("`time`"));
        let text = "kind = 'members'\n[columns]\nexternal_id = 'no'\nshoe_size = 'x'\n";
        assert!(Mapping::parse(text).unwrap_err().to_string().contains("shoe_size"));
    }
}
