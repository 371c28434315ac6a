//! Templates of messages to members: what an operator writes, and what a member reads.

use serde::{Deserialize, Serialize};

use super::bundle::Text;
use crate::limits;

/// What may stand in braces in a template.
const PLACES: [&str; 5] = ["program", "name", "points", "date", "tier"];

/// A message to members as an operator writes it. In its texts `{program}` stands for the program's name, `{name}` for the
/// member's; where points are about to expire `{points}` and `{date}`, where the tier is another `{tier}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Its id. `points_expiring` and `tier_changed` are sent for the events of these names.
    pub id: String,
    /// The subject of the mail.
    pub subject: Text,
    /// What is written; the whole of a text message.
    pub text: Text,
}

impl Template {
    /// Checks the template for publication. The message names the field.
    pub fn validate(&self) -> Result<(), String> {
        for (field, text) in [("subject", &self.subject), ("text", &self.text)] {
            text.validate(field)?;
            text.all().try_for_each(|text| check_places(text).map_err(|problem| format!("`{field}`: {problem}")))?;
        }
        Ok(())
    }

    /// A text with its places filled in; what is not known is left empty.
    pub fn filled(text: &str, known: impl Fn(&str) -> Option<String>) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            let Some((place, after)) = after.split_once('}') else {
                rest = after;
                continue;
            };
            filled.push_str(&known(place).unwrap_or_default());
            rest = after;
        }
        filled.push_str(rest);
        // What fills a place comes from a person: it must not run over a mail or a text message.
        filled.chars().filter(|char| !char.is_control()).take(limits::TEXT_CHARS * 2).collect()
    }
}

fn check_places(text: &str) -> Result<(), String> {
    let mut rest = text;
    while let Some(start) = rest.find(['{', '}']) {
        let (_, from) = rest.split_at(start);
        let place = from.strip_prefix('{').and_then(|inside| inside.split_once('}'));
        let known = place.filter(|(place, _)| PLACES.contains(place));
        let Some((_, after)) = known else {
            let shown: String = from.chars().take(20).collect();
            return Err(format!("`{shown}` is no place of a template; there are {{{}}}", PLACES.join("}, {")));
        };
        rest = after;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> Template {
        Template { id: "t".to_owned(), subject: Text::One("News".to_owned()), text: Text::One(text.to_owned()) }
    }

    #[test]
    fn places_are_filled_and_unknown_ones_refused() {
        assert_eq!(template("Dear {name}, {program} thanks you.").validate(), Ok(()));
        let known = |place: &str| (place == "name").then(|| "Ann{tier}\n".to_owned());
        assert_eq!(Template::filled("Dear {name}, {program} thanks you.", known), "Dear Ann{tier},  thanks you.");
        for wrong in ["Dear {nme}", "Dear {", "} there", "{name"] {
            assert!(template(wrong).validate().unwrap_err().contains("is no place of a template"), "{wrong}");
        }
    }
}
