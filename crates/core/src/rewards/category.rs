//! Categories of the catalogue: a tree of three levels at the most.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::limits;
use crate::program::Text;

/// A category as an operator writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Category {
    /// Its id: lower-case letters, digits and hyphens.
    pub id: String,
    /// What people call it.
    pub name: Text,
    /// The category to which it belongs; left out: it stands at the top.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
}

/// Checks that every parent is there, and that no branch is deeper than it may be; the message names the category.
pub(crate) fn validate_categories(categories: &[Category]) -> Result<(), String> {
    let by_id: BTreeMap<&str, &Category> = categories.iter().map(|one| (one.id.as_str(), one)).collect();
    for category in categories {
        category.name.validate(&format!("category `{}`", category.id))?;
        let mut above = Some(category);
        for _ in 0..limits::CATEGORY_LEVELS {
            let Some(parent) = above.and_then(|one| one.parent.as_deref()) else {
                above = None;
                break;
            };
            let known = by_id.get(parent).copied();
            above = Some(known.ok_or_else(|| format!("category `{}`: there is no category `{parent}`", category.id))?);
        }
        if above.is_some() {
            // A circle never comes to its top, so it is found here as well.
            let (id, levels) = (&category.id, limits::CATEGORY_LEVELS);
            return Err(format!("category `{id}`: `parent` leads to more than {levels} levels, or in a circle"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(categories: &[(&str, Option<&str>)]) -> Result<(), String> {
        let written = categories.iter().map(|(id, parent)| Category {
            id: (*id).to_owned(),
            name: Text::One((*id).to_owned()),
            parent: parent.map(str::to_owned),
        });
        validate_categories(&written.collect::<Vec<_>>())
    }

    #[test]
    fn a_tree_has_three_levels_and_no_circle() {
        let tree = [("home", None), ("kitchen", Some("home")), ("cups", Some("kitchen"))];
        assert_eq!(checked(&tree), Ok(()));
        let deep = [&tree[..], &[("tea-cups", Some("cups"))]].concat();
        assert!(checked(&deep).unwrap_err().starts_with("category `tea-cups`: `parent` leads to more than 3 levels"));
        let circle = [("a", Some("b")), ("b", Some("a"))];
        assert!(checked(&circle).unwrap_err().contains("in a circle"));
        assert!(checked(&[("a", Some("a"))]).unwrap_err().contains("in a circle"));
        assert_eq!(checked(&[("a", Some("z"))]).unwrap_err(), "category `a`: there is no category `z`");
    }
}
