//! Kinds of activity of a program's own: what their body holds, by a JSON Schema.

use std::collections::BTreeMap;
use std::fmt;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::expression::{BodyKind, BodySeen, below};
use crate::limits;
use crate::program::Text;
use crate::tiers::TIER_CHANGED;

/// Kinds that the program itself knows; they have no body.
const BUILT_IN: [&str; 8] =
    ["purchase", "return", "order_final", "check_in", "referral", "enrol", "birthday", TIER_CHANGED];
/// The schema language.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
/// Ways of which it is told why a value does not fit them.
const TOLD_WAYS: usize = 3;
/// Characters of one problem that are told.
const TOLD_CHARS: usize = 300;

/// A kind of activity as an operator writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActivityKind {
    /// The kind, as activities and triggers name it.
    pub id: String,
    /// What people call it.
    pub name: Text,
    /// What it stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
    /// The JSON Schema (draft 2020-12) of the body; left out: any body is taken, and conditions cannot look at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
}

impl ActivityKind {
    /// Checks the kind for publication. The message names the field, and the place in the schema.
    pub fn validate(&self) -> Result<(), String> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if self.id.is_empty() || self.id.len() > 64 || !self.id.bytes().all(fits) {
            return Err("`id` has 1 to 64 lower-case letters, digits and underscores".to_owned());
        }
        if BUILT_IN.contains(&self.id.as_str()) {
            return Err(format!("`id`: `{}` is a kind of the program's own, which has no body", self.id));
        }
        self.name.validate("name")?;
        self.description.as_ref().map_or(Ok(()), |text| text.validate("description"))?;
        CompiledActivityKind::compile(self.clone()).map(drop)
    }
}

/// A kind of activity with its schema compiled.
#[derive(Clone)]
pub struct CompiledActivityKind {
    /// As written.
    pub kind: ActivityKind,
    validator: Option<Validator>,
    body: Option<BodyKind>,
}

impl CompiledActivityKind {
    /// Compiles the schema; the message names the place in it.
    pub fn compile(kind: ActivityKind) -> Result<Self, String> {
        let Some(schema) = &kind.schema else { return Ok(Self { kind, validator: None, body: None }) };
        check_schema(schema)?;
        let pattern = PatternOptions::regex().size_limit(limits::PATTERN_BYTES).dfa_size_limit(limits::PATTERN_BYTES);
        let options = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .offline()
            .with_pattern_options(pattern)
            .should_validate_formats(true)
            .should_ignore_unknown_formats(false);
        let validator = options.build(schema).map_err(|error| invalid_schema(&error))?;
        let body = BodyKind::of_schema(schema);
        Ok(Self { validator: Some(validator), body: Some(body), kind })
    }

    /// What conditions may look at; `None`: there is no schema.
    pub(super) fn body(&self) -> Option<&BodyKind> {
        self.body.as_ref()
    }

    /// Checks a body; none is like an empty one. The message names the JSON pointer of what is wrong, and what would be right.
    pub fn check(&self, body: Option<&Map<String, Value>>) -> Result<(), String> {
        let Some(validator) = &self.validator else { return Ok(()) };
        let body = Value::Object(body.cloned().unwrap_or_default());
        // The first problem alone: to collect all of them takes seconds where a list has thousands of items.
        validator.validate(&body).map_err(|error| format!("`body`: {}", self.told(&error)))
    }

    /// A problem of a body, without the value itself: that may be anything.
    fn told(&self, error: &ValidationError<'_>) -> String {
        let path = error.instance_path().as_str();
        let told = match error.kind() {
            ValidationErrorKind::Required { property } => {
                format!("`{}` is missing", below(path, property.as_str().unwrap_or_default()))
            }
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
                let name = unexpected.first().map_or("", String::as_str);
                let parent = error.schema_path().as_str().rsplit_once('/').map_or("", |(parent, _)| parent);
                let known = self.kind.schema.as_ref().and_then(|schema| schema.pointer(parent)?.get("properties"));
                let known: Vec<&str> =
                    known.and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name.as_str()).collect();
                let known = if known.is_empty() { String::new() } else { format!("; there are {}", known.join(", ")) };
                format!("there is no `{}`{known}", below(path, &name.chars().take(64).collect::<String>()))
            }
            ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
                let ways = context.iter().filter_map(|way| way.first()).take(TOLD_WAYS);
                let ways: Vec<String> = ways.map(|way| way.masked().to_string()).collect();
                let what = if path.is_empty() { "it".to_owned() } else { format!("`{path}`") };
                format!("{what} fits none of its ways: {}", ways.join(", "))
            }
            _ if path.is_empty() => error.masked().to_string(),
            _ => format!("`{path}`: {}", error.masked()),
        };
        told.chars().map(|char| if char.is_control() { ' ' } else { char }).take(TOLD_CHARS).collect()
    }
}

impl fmt::Debug for CompiledActivityKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kind of activity {}", self.kind.id)
    }
}

fn invalid_schema(error: &ValidationError<'_>) -> String {
    let path = error.instance_path().as_str();
    let at = if path.is_empty() { String::new() } else { format!(" at `{path}`") };
    let told = match error.kind() {
        // Of several ways, the first says what is meant: `type` is one of some words.
        ValidationErrorKind::AnyOf { context } => {
            context.first().and_then(|way| way.first()).unwrap_or(error).to_string()
        }
        ValidationErrorKind::Format { format } if format == "regex" => {
            format!("{error} without look-around and back references, of at most {} bytes", limits::PATTERN_BYTES)
        }
        _ => error.to_string(),
    };
    format!("`schema`{at}: {}", told.chars().take(TOLD_CHARS).collect::<String>())
}

/// Refuses a schema that is of another draft or too large, that looks at anything outside of itself, or that says nothing of
/// an object.
fn check_schema(schema: &Value) -> Result<(), String> {
    let Value::Object(fields) = schema else {
        return Err("`schema` is a JSON Schema: a table such as { type = \"object\", properties = … }".to_owned());
    };
    if let Some(dialect) = fields.get("$schema")
        && dialect.as_str().map(|dialect| dialect.trim_end_matches('#')) != Some(DIALECT)
    {
        return Err(format!("`schema` at `/$schema`: only {DIALECT} is known; leave it out"));
    }
    if fields.get("type").is_some_and(|kind| kind != "object") {
        return Err("`schema` at `/type`: a body is an object; write \"object\"".to_owned());
    }
    let bytes = serde_json::to_vec(schema).map_err(|error| error.to_string())?.len();
    if bytes > limits::SCHEMA_BYTES {
        return Err(format!("`schema` has {bytes} bytes as JSON; at most {} are allowed", limits::SCHEMA_BYTES));
    }
    Parts { root: schema, left: limits::SCHEMA_PARTS }.count(schema, "", 0)
}

/// The parts of a schema, its references followed: they say what it costs to check a value.
struct Parts<'a> {
    root: &'a Value,
    left: usize,
}

impl Parts<'_> {
    fn count(&mut self, part: &Value, path: &str, depth: usize) -> Result<(), String> {
        let children: Vec<(String, &Value)> = match part {
            Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), value)).collect(),
            Value::Array(items) => items.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect(),
            _ => return Ok(()),
        };
        self.left = self.left.checked_sub(1).filter(|_| depth < limits::SCHEMA_DEPTH).ok_or_else(|| {
            format!(
                "`schema` at `{path}`: it has more than {} parts or {} levels, its references followed; they must not go in a \
                 circle",
                limits::SCHEMA_PARTS,
                limits::SCHEMA_DEPTH
            )
        })?;
        for (name, value) in children {
            let path = below(path, &name);
            match (name.as_str(), value) {
                ("$ref", Value::String(reference)) => {
                    let target = reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
                    let target = target.ok_or_else(|| {
                        format!("`schema` at `{path}`: `{reference}` is no part of it; refer to one as `#/$defs/name`")
                    })?;
                    self.count(target, &path, depth + 1)?;
                }
                ("$id" | "$anchor" | "$dynamicRef" | "$dynamicAnchor" | "$recursiveRef", Value::String(_)) => {
                    return Err(format!(
                        "`schema` at `{path}`: refer to parts of it by `$ref` and `#/$defs/name` alone"
                    ));
                }
                (_, value) => self.count(value, &path, depth + 1)?,
            }
        }
        Ok(())
    }
}

/// What the bodies of a program's activities hold, by kind, for the conditions of its rules.
#[derive(Default)]
pub(crate) struct Bodies(BTreeMap<String, Option<BodyKind>>);

impl Bodies {
    /// Of kinds that are valid.
    pub(crate) fn new(kinds: &[ActivityKind]) -> Self {
        let body = |kind: &ActivityKind| (kind.id.clone(), kind.schema.as_ref().map(BodyKind::of_schema));
        Self(kinds.iter().map(body).collect())
    }

    /// Checks something over the body of a kind.
    pub(super) fn of<T>(&self, kind: &str, check: impl FnOnce(BodySeen<'_>) -> T) -> T {
        match self.0.get(kind) {
            Some(Some(body)) => check(BodySeen::Of(body)),
            _ => {
                let known = self.0.iter().filter(|(_, body)| body.is_some()).map(|(kind, _)| kind.as_str());
                let known = known.collect::<Vec<_>>().join(", ");
                let known =
                    if known.is_empty() { "no activity has one".to_owned() } else { format!("there are {known}") };
                let why = format!("the activity `{kind}` has no schema that says what its body holds; {known}");
                check(BodySeen::Nothing(&why))
            }
        }
    }
}
