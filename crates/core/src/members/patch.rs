//! Changes of a profile as JSON merge patches (RFC 7396): a field that is named is put, one that is null is removed, and
//! the others stay.

use serde_json::{Map, Value};

use super::Profile;

/// As section 2 of RFC 7396 has it.
fn merge(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (name, value) in patch {
        match value {
            Value::Null => drop(target.shift_remove(name)),
            Value::Object(inner) => {
                let mut fields = match target.get_mut(name) {
                    Some(Value::Object(fields)) => std::mem::take(fields),
                    _ => Map::new(),
                };
                merge(&mut fields, inner);
                target.insert(name.clone(), Value::Object(fields));
            }
            value => drop(target.insert(name.clone(), value.clone())),
        }
    }
}

impl Profile {
    /// The profile with a patch applied; not validated. The message says what does not fit.
    pub fn patched(&self, patch: &Map<String, Value>) -> Result<Self, String> {
        let mut fields = self.fields();
        merge(&mut fields, patch);
        serde_json::from_value(Value::Object(fields)).map_err(|error| format!("the patch does not fit: {error}"))
    }

    /// The names of the fields in which two profiles differ, in their order.
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        const NAMES: [&str; 9] =
            ["external_id", "name", "email", "phone", "birth_date", "language", "country", "addresses", "attributes"];
        let (ours, theirs) = (self.fields(), other.fields());
        NAMES.into_iter().filter(|name| ours.get(*name) != theirs.get(*name)).collect()
    }

    fn fields(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(profile: &Profile, patch: Value) -> Result<Profile, String> {
        profile.patched(patch.as_object().unwrap())
    }

    fn ann() -> Profile {
        Profile {
            name: Some("Ann".to_owned()),
            phone: Some("12345".to_owned()),
            attributes: [("shoe", "39"), ("pet", "cat")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            ..Profile::default()
        }
    }

    #[test]
    fn what_is_named_is_put_what_is_null_is_removed_and_the_rest_stays() {
        let patch = json!({ "name": "Bea", "phone": null, "email": "bea@example.org", "country": null,
            "attributes": { "shoe": null, "hat": "56" } });
        let changed = patched(&ann(), patch).unwrap();
        assert_eq!((changed.name.as_deref(), changed.phone.as_deref()), (Some("Bea"), None));
        assert_eq!(changed.attributes.keys().collect::<Vec<_>>(), ["hat", "pet"]);
        assert_eq!(ann().differences(&changed), ["name", "email", "phone", "attributes"]);
        assert_eq!(patched(&ann(), json!({})).unwrap(), ann());
        assert!(patched(&ann(), json!({ "attributes": null })).unwrap().attributes.is_empty());
    }

    #[test]
    fn what_is_no_profile_is_refused() {
        for wrong in [json!({ "phones": "1" }), json!({ "name": 7 }), json!({ "attributes": { "pet": {} } })] {
            assert!(patched(&ann(), wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_field_is_among_the_names() {
        let full = json!({ "external_id": "1", "name": "1", "email": "1", "phone": "1", "birth_date": "1",
            "language": "1", "country": "1", "attributes": { "a": "1" },
            "addresses": [{ "id": "home", "recipient": "A", "street": "1", "city": "B" }] });
        let full: Profile = serde_json::from_value(full).unwrap();
        assert_eq!(Profile::default().differences(&full).len(), full.fields().len());
    }
}
