//! Bodies made from the description of the API.

use serde_json::{Map, Value, json};

use crate::programs::GIFT_CLUB;

/// Something that fits a schema, more or less.
pub fn example(description: &Value, name: &str, schema: &Value) -> Value {
    if name == "grants" {
        return json!([{ "role": "service", "stores": ["north"] }]);
    }
    let address = json!({ "recipient": "Bea", "street": "1 Pier Road", "city": "London" });
    match name {
        "address" => return address,
        "addresses" => return json!([{ "id": "home", "recipient": "Bea", "street": "1 Pier Road", "city": "London" }]),
        "quota" => return json!({ "per_day": 1_000 }),
        "shipment" => return json!({ "carrier": "SF", "tracking_number": "SF-1" }),
        _ => {}
    }
    if let Some(known) = schema.get("example").or_else(|| schema.get("default")) {
        return known.clone();
    }
    if let Some(reference) = schema["$ref"].as_str() {
        return example(description, name, description.pointer(reference.trim_start_matches('#')).unwrap());
    }
    if let Some(all) = schema["allOf"].as_array() {
        let parts = all.iter().map(|one| example(description, name, one));
        return Value::Object(parts.filter_map(|part| part.as_object().cloned()).flatten().collect());
    }
    for choice in ["oneOf", "anyOf"] {
        // The last one is what is meant where the first one says that it may be left out.
        if let Some(one) = schema[choice].as_array().and_then(|all| all.last()) {
            return example(description, name, one);
        }
    }
    if let Some(one) = schema["enum"].as_array().and_then(|all| all.first()) {
        return one.clone();
    }
    let kinds = schema["type"].as_array().cloned().unwrap_or_else(|| vec![schema["type"].clone()]);
    match kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or("object") {
        "string" => json!(word(name)),
        "integer" | "number" => json!(1),
        "boolean" => json!(true),
        "array" => json!([example(description, name, &schema["items"])]),
        _ => {
            let properties = schema["properties"].as_object().cloned().unwrap_or_default();
            let field = |(name, schema): (String, Value)| {
                let value = example(description, &name, &schema);
                (name, value)
            };
            let mut fields = properties.into_iter().map(field).collect::<Map<String, Value>>();
            if fields.contains_key("member_id") {
                // One of the three says who is meant.
                fields.retain(|name, _| !["external_id", "card"].contains(&name.as_str()));
            }
            if fields.contains_key("points") {
                // The one follows from the other.
                fields.retain(|name, _| !["money", "cash"].contains(&name.as_str()));
            }
            if fields.len() == 3 && fields.contains_key("email") && fields.contains_key("phone") {
                // One of the three finds the member.
                fields.retain(|name, _| name == "external_id");
            }
            // The program of these requests has no pools.
            fields.remove("pool");
            // Left out, it is now.
            fields.retain(|name, _| !["occurred_at", "handed_out_at"].contains(&name.as_str()));
            // What has no fields is a text by language.
            if fields.is_empty() { json!({ "en": "News", "zh": "资讯" }) } else { Value::Object(fields) }
        }
    }
}

/// A text for a field of a name.
fn word(name: &str) -> &'static str {
    match name {
        "member_id" | "into" => "$MEMBER_ID",
        "from" | "referrer" => "$OTHER_ID",
        "currency" => "points",
        "purpose" => "news",
        "program" => GIFT_CLUB,
        "card" => "$CARD",
        "resolution" => "decline",
        "payment" => "points",
        "effective_from" => "2030-01-31T09:30:00Z",
        "reward_id" => "voucher-5",
        "email" => "bea@example.org",
        "phone" => "+442079460000",
        "birth_date" => "1990-05-17",
        "language" => "en",
        "country" => "GB",
        "permissions" => "members:read",
        "role" => "service",
        "networks" => "10.0.0.0/8",
        "expires_at" | "at" | "until" => "2030-01-31T09:30:00Z",
        "stores" => "north",
        _ => "because",
    }
}
