//! Documents as they are stored: one version of one piece of configuration each, changed together and never in place.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::bundle::{Bundle, Currency, ProgramSettings};
use super::position::{json_problem, toml_problem};
use super::template::Template;
use crate::earning::{ActivityKind, Campaign, Rule};
use crate::limits;
use crate::rewards::{Category, Reward, Variant, stock_part};
use crate::tiers::Tier;
use crate::time::Timestamp;

/// One version of one piece of configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// One of [`KINDS`].
    pub kind: String,
    /// Its id within the kind.
    pub id: String,
    /// Counts from 1.
    pub version: i64,
    /// Its place among those of its kind.
    pub position: i64,
    /// From when it holds.
    pub effective_from: Timestamp,
    /// `active` or `retired`.
    pub state: String,
    /// JSON.
    pub body: String,
}

/// The kinds of documents, in the order of a program file.
pub const KINDS: [&str; 9] =
    ["program", "currency", "activity", "rule", "campaign", "tier", "template", "category", "reward"];

/// A change of one document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentChange {
    /// One of [`KINDS`].
    pub kind: String,
    /// Its id within the kind: the `id` of its content; of a currency the `code`; of the program `program`.
    pub id: String,
    /// The newest version when the change was made, 0 when there was none. Another one since is in the way of publication.
    #[serde(default)]
    pub base: i64,
    /// The content from then on; left out: the document is retired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<Value>,
}

impl DocumentChange {
    /// `kind id`, as people and the audit log name it.
    pub fn subject(&self) -> String {
        format!("{} `{}`", self.kind, self.id)
    }
}

/// Reads the content of a document as its type, and gives it back with everything written as it is stored. The message
/// names the field.
pub fn typed(kind: &str, document: &Value) -> Result<Value, String> {
    fn same<T: DeserializeOwned + Serialize>(document: &Value) -> Result<Value, serde_json::Error> {
        serde_json::to_value(T::deserialize(document)?)
    }
    let read = match kind {
        "program" => same::<ProgramSettings>,
        "currency" => same::<Currency>,
        "activity" => same::<ActivityKind>,
        "rule" => same::<Rule>,
        "campaign" => same::<Campaign>,
        "template" => same::<Template>,
        "tier" => same::<Tier>,
        "category" => same::<Category>,
        "reward" => same::<Reward>,
        _ => return Err(unknown_kind(kind)),
    };
    read(document).map_err(|error| error.to_string())
}

/// Reads the text of one document, TOML or JSON. The message says in which line and column something is wrong.
pub fn parse_document(kind: &str, text: &str) -> Result<Value, String> {
    fn read<T: DeserializeOwned + Serialize>(text: &str) -> Result<Value, String> {
        let document: T = match is_json(text) {
            true => serde_json::from_str(text).map_err(|error| json_problem(&error))?,
            false => toml::from_str(text).map_err(|error| toml_problem(text, &error))?,
        };
        serde_json::to_value(document).map_err(|error| error.to_string())
    }
    match kind {
        "program" => read::<ProgramSettings>(text),
        "currency" => read::<Currency>(text),
        "activity" => read::<ActivityKind>(text),
        "rule" => read::<Rule>(text),
        "campaign" => read::<Campaign>(text),
        "template" => read::<Template>(text),
        "tier" => read::<Tier>(text),
        "category" => read::<Category>(text),
        "reward" => read::<Reward>(text),
        _ => Err(unknown_kind(kind)),
    }
}

/// Whether a text is JSON rather than TOML.
pub(super) fn is_json(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

/// The id that the content of a document gives itself.
pub fn own_id<'a>(kind: &str, document: &'a Value) -> &'a str {
    match kind {
        "program" => "program",
        "currency" => document.get("code").and_then(Value::as_str).unwrap_or_default(),
        _ => document.get("id").and_then(Value::as_str).unwrap_or_default(),
    }
}

fn unknown_kind(kind: &str) -> String {
    let shown: String = kind.chars().take(40).collect();
    format!("there is no document of kind `{shown}`; there are {}", KINDS.join(", "))
}

/// The newest version of a document.
pub fn newest<'a>(documents: &'a [Document], kind: &str, id: &str) -> Option<&'a Document> {
    let versions = documents.iter().filter(|known| known.kind == kind && known.id == id);
    versions.max_by_key(|known| known.version)
}

/// The version of a document that holds at `at`, also where it says that the document is retired.
pub fn holding<'a>(documents: &'a [Document], kind: &str, id: &str, at: Timestamp) -> Option<&'a Document> {
    let versions = documents.iter().filter(|known| known.kind == kind && known.id == id && known.effective_from <= at);
    versions.max_by_key(|known| known.version)
}

/// The newest version of a document, when it is to come after `from` and says something else than what holds until then: what
/// was agreed to and announced, and would never come if another version were published for `from`.
pub fn awaited<'a>(documents: &'a [Document], kind: &str, id: &str, from: Timestamp) -> Option<&'a Document> {
    let newest = newest(documents, kind, id).filter(|newest| newest.effective_from > from)?;
    let same = match holding(documents, kind, id, from) {
        Some(held) => (&held.body, &held.state) == (&newest.body, &newest.state),
        None => newest.state != "active",
    };
    (!same).then_some(newest)
}

/// The documents in force at `at`: of each the version that holds, without those that are retired.
pub fn in_force(documents: &[Document], at: Timestamp) -> Vec<Document> {
    let mut held: Vec<&Document> = documents.iter().filter(|known| known.effective_from <= at).collect();
    held.sort_by(|a, b| (&a.kind, &a.id, b.version).cmp(&(&b.kind, &b.id, a.version)));
    held.dedup_by(|later, first| later.kind == first.kind && later.id == first.id);
    held.into_iter().filter(|known| known.state == "active").cloned().collect()
}

/// The documents with changes made, as new versions that hold from `from` on; before it everything is as it was. With
/// [`Timestamp::ZERO`] the changes hold for all of history, as for a comparison over what was recorded.
///
/// Errors name the document, and the field: a kind, id or content that does not fit, something that can never change (the
/// program's money and time zone, a currency's number, a reward's first stock), or the removal of a currency. That the
/// documents fit each other says [`check_from`].
pub fn with_changes(live: &[Document], changes: &[DocumentChange], from: Timestamp) -> Result<Vec<Document>, String> {
    let mut documents = live.to_vec();
    let mut seen = BTreeSet::new();
    for change in changes {
        if !seen.insert((&change.kind, &change.id)) {
            return Err(format!("{} is changed twice", change.subject()));
        }
        documents.push(changed(&documents, change, from)?);
    }
    Ok(documents)
}

fn changed(documents: &[Document], change: &DocumentChange, from: Timestamp) -> Result<Document, String> {
    let what = change.subject();
    if !KINDS.contains(&change.kind.as_str()) {
        return Err(unknown_kind(&change.kind));
    }
    let before = newest(documents, &change.kind, &change.id);
    let version = before.map_or(1, |before| before.version.saturating_add(1));
    let Some(content) = &change.document else {
        let before = before.filter(|before| before.state == "active");
        let before = before.ok_or_else(|| format!("{what}: there is none that could be retired"))?;
        check_retirable(&change.kind, &change.id)?;
        return Ok(Document { version, effective_from: from, state: "retired".to_owned(), ..before.clone() });
    };
    let content = typed(&change.kind, content).map_err(|problem| format!("{what}: {problem}"))?;
    if own_id(&change.kind, &content) != change.id {
        let named = own_id(&change.kind, &content);
        return Err(format!("{what}: its content says `{named}`; the id of a document never changes"));
    }
    let body = serde_json::to_string(&content).map_err(|error| format!("{what}: {error}"))?;
    let position = match before {
        Some(before) => before.position,
        None => {
            let places = documents.iter().filter(|known| known.kind == change.kind).map(|known| known.position);
            places.max().map_or(0, |last| last.saturating_add(1))
        }
    };
    if change.kind == "program" && before.is_none() {
        return Err(format!("{what}: there is no program to change"));
    }
    let (kind, id) = (change.kind.clone(), change.id.clone());
    let after = Document { kind, id, version, position, effective_from: from, state: "active".to_owned(), body };
    check_lasting(documents, &after)?;
    Ok(after)
}

/// Refuses to take away what accounts may hold, and the program itself.
pub fn check_retirable(kind: &str, id: &str) -> Result<(), String> {
    match kind {
        "currency" => Err(format!("currency `{id}` cannot be removed: wallets may hold it")),
        "program" => Err("the program itself cannot be retired".to_owned()),
        _ => Ok(()),
    }
}

fn read<T: DeserializeOwned>(document: &Document) -> Result<T, String> {
    serde_json::from_str(&document.body).map_err(|error| format!("{} `{}`: {error}", document.kind, document.id))
}

/// Refuses to change what never changes once it is published, in whichever version that was.
pub fn check_lasting(published: &[Document], after: &Document) -> Result<(), String> {
    let Some(before) = newest(published, &after.kind, &after.id) else { return Ok(()) };
    match after.kind.as_str() {
        "program" => {
            let (was, is): (ProgramSettings, ProgramSettings) = (read(before)?, read(after)?);
            if (&was.id, &was.money, &was.time_zone) == (&is.id, &is.money, &is.time_zone) {
                return Ok(());
            }
            Err(format!(
                "the data directory holds the program `{}` ({}, {}); its id, money and time zone cannot change. \
                 Choose another directory for `{}`",
                was.id, was.money, was.time_zone, is.id
            ))
        }
        "currency" => {
            let (was, is): (Currency, Currency) = (read(before)?, read(after)?);
            if !was.spendable && is.spendable {
                return Err(format!(
                    "currency `{}`: it was published with `spendable = false` and cannot become spendable, or what members \
                     hold would become money; offer another currency",
                    after.id
                ));
            }
            if (was.id, was.decimals) == (is.id, is.decimals) {
                return Ok(());
            }
            Err(format!("currency `{}`: its number and its decimals cannot change: wallets may hold it", after.id))
        }
        "reward" => {
            let (was, is): (Reward, Reward) = (read(before)?, read(after)?);
            if let Some(problem) = pools_changed(&was, &is) {
                return Err(format!("reward `{}`: {problem}", after.id));
            }
            let stocked =
                |variant: &&Variant| is.variants().iter().any(|one| one.id == variant.id && one.stock != variant.stock);
            if let Some(variant) = was.variants().iter().find(stocked) {
                return Err(format!(
                    "reward `{}`: the initial stock of its variant `{}` was published as {:?} and cannot be rewritten; \
                     restock it instead",
                    after.id, variant.id, variant.stock
                ));
            }
            if was.stock != is.stock {
                return Err(format!(
                    "reward `{}`: its initial stock was published as {:?} and cannot be rewritten to {:?}; \
                     restock it instead",
                    after.id, was.stock, is.stock
                ));
            }
            check_opened(published, &was, &is)
        }
        _ => Ok(()),
    }
}

/// Refuses another number for stock that the newest version does not name, and an earlier one has opened: it is counted since then,
/// also where that version was withdrawn before anybody could order.
fn check_opened(published: &[Document], was: &Reward, is: &Reward) -> Result<(), String> {
    let named = was.first_stock();
    let mut back = is.first_stock();
    back.retain(|(key, _)| !named.iter().any(|(known, _)| known == key));
    if back.is_empty() {
        return Ok(());
    }
    let mut earlier: Vec<&Document> = published.iter().filter(|one| one.kind == "reward" && one.id == is.id).collect();
    earlier.sort_by_key(|one| one.version);
    for document in earlier {
        for (key, opened) in read::<Reward>(document)?.first_stock() {
            let Some(place) = back.iter().position(|(known, _)| *known == key) else { continue };
            let (_, units) = back.swap_remove(place);
            if units != opened {
                return Err(format!(
                    "reward `{}`: the stock of {} was opened with {opened} units by version {}, and is counted since: publish it \
                     with {opened}, and restock it by {}",
                    is.id,
                    part_of(&key),
                    document.version,
                    units.saturating_sub(opened)
                ));
            }
        }
    }
    Ok(())
}

/// What a key of stock is the stock of, for people.
fn part_of(key: &str) -> String {
    match stock_part(key) {
        None => "the reward itself".to_owned(),
        Some(part) => match part.strip_prefix("variant:") {
            Some(variant) => format!("its variant `{variant}`"),
            None => format!("its pool `{part}`"),
        },
    }
}

/// What is wrong where the pools of a reward are not as they were published: orders have taken from them.
fn pools_changed(was: &Reward, is: &Reward) -> Option<String> {
    was.scarcity.pools.iter().find_map(|before| match is.scarcity.pool(&before.id) {
        None => Some(format!("its pool `{}` cannot be taken away; close it by its `open_to`", before.id)),
        Some(after) if after.stock != before.stock => Some(format!(
            "the initial stock of its pool `{}` was published as {} and cannot be rewritten to {}; restock it instead",
            before.id, before.stock, after.stock
        )),
        Some(_) => None,
    })
}

/// Checks that the documents fit each other, from `from` on: at that moment, and at each later one at which a version
/// takes effect.
pub fn check_from(documents: &[Document], from: Timestamp) -> Result<(), String> {
    let later = documents.iter().map(|document| document.effective_from).filter(|at| *at > from);
    let moments: BTreeSet<Timestamp> = later.chain([from]).collect();
    if moments.len() > limits::SCHEDULED {
        return Err(format!("more than {} moments are scheduled at which something changes", limits::SCHEDULED));
    }
    moments.into_iter().try_for_each(|at| {
        Bundle::of_documents(&in_force(documents, at))?.validate().map_err(|problem| match at == from {
            true => problem,
            false => format!("{problem} (from {at} on, when what is scheduled for then takes effect)"),
        })
    })
}
