//! Members from the rows of a file.

use anyhow::Result;
use guerdon_core::members::Profile;

use crate::mapping::Mapping;
use crate::rows::{Source, read_rows};

/// Reads a file of members: the row's number and the profile.
pub fn read_members(mapping: &Mapping, source: &Source, progress: &dyn Fn(u64)) -> Result<Vec<(u64, Profile)>> {
    let (fields, columns) = mapping.fields_and_columns();
    let mut members = Vec::new();
    read_rows(source, source.format(mapping)?, &columns, &mut |line, values| {
        let mut profile = Profile::default();
        for (field, value) in fields.iter().zip(values) {
            let value = Some(value.trim().to_owned()).filter(|value| !value.is_empty());
            match *field {
                "external_id" => {
                    let suffix = mapping.strip_member_suffix.as_deref().unwrap_or_default();
                    profile.external_id = value.map(|value| value.strip_suffix(suffix).unwrap_or(&value).to_owned());
                }
                "name" => profile.name = value,
                "email" => profile.email = value,
                "phone" => profile.phone = value,
                "birth_date" => profile.birth_date = value,
                "language" => profile.language = value,
                _ => profile.country = value,
            }
        }
        members.push((line, profile));
        progress(members.len() as u64);
        Ok(())
    })?;
    Ok(members)
}
