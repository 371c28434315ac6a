//! The form of a rule, a campaign, a category or a reward: the fields of common shapes, laid over the document as it is, so that what
//! the form does not show stays.

use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The effects that the form knows, in the order in which they are offered.
pub(super) const EFFECTS: [&str; 6] =
    ["points_per_money", "points_per_step", "fixed_points", "percent_of_rule", "multiply", "take_back_per_money"];
/// The windows of a cap.
pub(super) const WINDOWS: [&str; 8] = ["event", "minute", "hour", "day", "week", "month", "year", "lifetime"];

/// What was typed, or is there.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct DocumentForm {
    pub id: String,
    pub name_en: String,
    pub name_zh: String,
    pub trigger: String,
    pub condition: String,
    pub effect: String,
    pub rate: String,
    pub points: String,
    pub step: String,
    pub percent: String,
    pub factor: String,
    pub of_rule: String,
    pub lines: String,
    pub pending_days: String,
    pub priority: String,
    pub campaign: String,
    pub cap_window: String,
    pub cap_points: String,
    pub cap_count: String,
    pub audience: String,
    pub department: String,
    pub from: String,
    pub to: String,
    pub price: String,
    pub description_en: String,
    pub description_zh: String,
    /// One a line: the digest, and the words in English and Chinese.
    pub pictures: String,
    pub categories: String,
    pub tags: String,
    pub market_price: String,
    pub zone: String,
    pub listed_from: String,
    pub listed_to: String,
    pub tiers: String,
    pub stores: String,
    pub channels: String,
    pub parent: String,
}

fn text(document: &Value, path: &str) -> String {
    match document.pointer(path) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// Whether the form shows the caps of a document: one at the most.
pub(super) fn shows_caps(document: &Value) -> bool {
    document.get("caps").and_then(Value::as_array).is_none_or(|caps| caps.len() <= 1)
}

/// Whether the form shows the price of a reward: a number of points.
pub(super) fn shows_price(document: &Value) -> bool {
    document.get("price").is_none_or(Value::is_number)
}

impl DocumentForm {
    /// What a document says.
    pub(super) fn of(document: &Value) -> Self {
        let said = |path: &str, language: &str| match document.pointer(path) {
            Some(Value::Object(_)) => text(document, &format!("{path}/{language}")),
            _ if language == "en" => text(document, path),
            _ => String::new(),
        };
        let name = |language: &str| said("/name", language);
        let list = |path: &str| match document.pointer(path) {
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
            _ => String::new(),
        };
        let trigger = match document.get("trigger") {
            Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
            _ => text(document, "/trigger"),
        };
        Self {
            id: text(document, "/id"),
            name_en: name("en"),
            name_zh: name("zh"),
            trigger,
            condition: text(document, "/condition"),
            effect: text(document, "/effect/type"),
            rate: text(document, "/effect/rate"),
            points: text(document, "/effect/points"),
            step: text(document, "/effect/step"),
            percent: text(document, "/effect/percent"),
            factor: text(document, "/effect/factor"),
            of_rule: text(document, "/effect/rule"),
            lines: text(document, "/effect/lines"),
            pending_days: text(document, "/pending_days"),
            priority: text(document, "/priority"),
            campaign: text(document, "/campaign"),
            cap_window: text(document, "/caps/0/window"),
            cap_points: text(document, "/caps/0/points"),
            cap_count: text(document, "/caps/0/count"),
            // Of a campaign, or of a reward.
            audience: text(document, "/audience") + &text(document, "/catalogue/visible_to/audience"),
            department: text(document, "/department"),
            from: text(document, "/schedule/from"),
            to: text(document, "/schedule/to"),
            price: text(document, "/price"),
            description_en: said("/catalogue/description", "en"),
            description_zh: said("/catalogue/description", "zh"),
            pictures: picture_lines(document),
            categories: list("/catalogue/categories"),
            tags: list("/catalogue/tags"),
            market_price: text(document, "/catalogue/market_price"),
            zone: text(document, "/catalogue/zone"),
            listed_from: text(document, "/catalogue/listed/from"),
            listed_to: text(document, "/catalogue/listed/to"),
            tiers: list("/catalogue/visible_to/tiers"),
            stores: list("/catalogue/visible_to/stores"),
            channels: list("/catalogue/visible_to/channels"),
            parent: text(document, "/parent"),
        }
    }

    /// The document with what was typed. The message names the field.
    pub(super) fn over(&self, kind: &str, before: &Value) -> Result<Value, String> {
        let mut document = before.as_object().cloned().unwrap_or_default();
        document.insert("id".to_owned(), json!(self.id.trim()));
        document.insert("name".to_owned(), self.name(before));
        match kind {
            "rule" => self.rule(&mut document)?,
            "campaign" => self.campaign(&mut document)?,
            "reward" => self.reward(&mut document, before)?,
            "category" => put(&mut document, "parent", &self.parent),
            _ => return Err(format!("documents of kind `{kind}` have no form; write the document itself")),
        }
        Ok(Value::Object(document))
    }

    fn name(&self, before: &Value) -> Value {
        said(before.get("name"), self.name_en.trim(), self.name_zh.trim())
    }

    fn reward(&self, document: &mut Map<String, Value>, before: &Value) -> Result<(), String> {
        // A price of several parts stays as it is.
        if shows_price(before) {
            put_number(document, "price", &self.price)?;
        }
        let part = |of: &Map<String, Value>, name: &str| of.get(name).and_then(Value::as_object).cloned();
        let mut catalogue = part(document, "catalogue").unwrap_or_default();
        match said(catalogue.get("description"), self.description_en.trim(), self.description_zh.trim()) {
            Value::String(none) if none.is_empty() => drop(catalogue.shift_remove("description")),
            Value::Object(none) if none.is_empty() => drop(catalogue.shift_remove("description")),
            description => drop(catalogue.insert("description".to_owned(), description)),
        }
        put_pictures(&mut catalogue, &self.pictures)?;
        put_list(&mut catalogue, "categories", &self.categories);
        put_list(&mut catalogue, "tags", &self.tags);
        match self.market_price.trim() {
            "" => drop(catalogue.shift_remove("market_price")),
            typed => put_decimal(&mut catalogue, "market_price", typed)?,
        }
        put(&mut catalogue, "zone", &self.zone);
        let mut listed = part(&catalogue, "listed").unwrap_or_default();
        put(&mut listed, "from", &self.listed_from);
        put(&mut listed, "to", &self.listed_to);
        put_part(&mut catalogue, "listed", listed);
        let mut visible_to = part(&catalogue, "visible_to").unwrap_or_default();
        put_list(&mut visible_to, "tiers", &self.tiers);
        put(&mut visible_to, "audience", &self.audience);
        put_list(&mut visible_to, "stores", &self.stores);
        put_list(&mut visible_to, "channels", &self.channels);
        put_part(&mut catalogue, "visible_to", visible_to);
        put_part(document, "catalogue", catalogue);
        Ok(())
    }

    fn rule(&self, document: &mut Map<String, Value>) -> Result<(), String> {
        let kinds: Vec<&str> = self.trigger.split(',').map(str::trim).filter(|kind| !kind.is_empty()).collect();
        let trigger = if let [one] = kinds.as_slice() { json!(one) } else { json!(kinds) };
        document.insert("trigger".to_owned(), trigger);
        put(document, "condition", &self.condition);
        put(document, "campaign", &self.campaign);
        if self.campaign.trim().is_empty() {
            document.shift_remove("arm");
        }
        for (field, typed) in [("pending_days", &self.pending_days), ("priority", &self.priority)] {
            put_number(document, field, if typed.trim().is_empty() { "0" } else { typed })?;
        }
        let before = document.get("effect").cloned().unwrap_or_default();
        document.insert("effect".to_owned(), self.effect(&before)?);
        self.caps(document)
    }

    fn effect(&self, before: &Value) -> Result<Value, String> {
        if !EFFECTS.contains(&self.effect.as_str()) {
            return Ok(before.clone());
        }
        // What the form does not show stays, as long as it is an effect of the same type.
        let same = before.get("type").and_then(Value::as_str) == Some(self.effect.as_str());
        let mut effect = before.as_object().filter(|_| same).cloned().unwrap_or_default();
        effect.insert("type".to_owned(), json!(self.effect));
        let wanted: &[(&str, &str)] = match self.effect.as_str() {
            "points_per_money" => &[("rate", &self.rate), ("lines", &self.lines)],
            "points_per_step" => &[("points", &self.points), ("step", &self.step), ("lines", &self.lines)],
            "fixed_points" => &[("points", &self.points), ("lines", &self.lines)],
            "percent_of_rule" => &[("rule", &self.of_rule), ("percent", &self.percent)],
            "multiply" => &[("factor", &self.factor), ("rule", &self.of_rule), ("lines", &self.lines)],
            _ => &[("rate", &self.rate)],
        };
        for (field, typed) in wanted {
            match *field {
                "points" => put_number(&mut effect, field, typed)?,
                "rate" | "step" | "percent" | "factor" => put_decimal(&mut effect, field, typed)?,
                _ => put(&mut effect, field, typed),
            }
        }
        Ok(Value::Object(effect))
    }

    fn campaign(&self, document: &mut Map<String, Value>) -> Result<(), String> {
        put(document, "audience", &self.audience);
        put(document, "department", &self.department);
        let mut schedule = document.get("schedule").and_then(Value::as_object).cloned().unwrap_or_default();
        put(&mut schedule, "from", &self.from);
        put(&mut schedule, "to", &self.to);
        match schedule.is_empty() {
            true => drop(document.shift_remove("schedule")),
            false => drop(document.insert("schedule".to_owned(), Value::Object(schedule))),
        }
        self.caps(document)
    }

    fn caps(&self, document: &mut Map<String, Value>) -> Result<(), String> {
        let before = Value::Object(document.clone());
        if !shows_caps(&before) {
            return Ok(());
        }
        if self.cap_window.is_empty() {
            document.shift_remove("caps");
            return Ok(());
        }
        let mut cap = before.pointer("/caps/0").and_then(Value::as_object).cloned().unwrap_or_default();
        cap.insert("window".to_owned(), json!(self.cap_window));
        for (field, typed) in [("points", &self.cap_points), ("count", &self.cap_count)] {
            match typed.trim() {
                "" => drop(cap.shift_remove(field)),
                typed => put_number(&mut cap, field, typed)?,
            }
        }
        document.insert("caps".to_owned(), json!([cap]));
        Ok(())
    }
}

/// A text in two languages, over what it was before.
fn said(before: Option<&Value>, en: &str, zh: &str) -> Value {
    let mut texts = match before {
        Some(Value::Object(texts)) => texts.clone(),
        _ if zh.is_empty() => return json!(en),
        _ => Map::new(),
    };
    put(&mut texts, "en", en);
    put(&mut texts, "zh", zh);
    Value::Object(texts)
}

/// Puts texts that were typed with commas between them, or takes the field away where there are none.
fn put_list(document: &mut Map<String, Value>, field: &str, typed: &str) {
    let texts: Vec<&str> = typed.split([',', '，']).map(str::trim).filter(|text| !text.is_empty()).collect();
    match texts.is_empty() {
        true => drop(document.shift_remove(field)),
        false => drop(document.insert(field.to_owned(), json!(texts))),
    }
}

/// The pictures of a reward as lines of a form.
fn picture_lines(document: &Value) -> String {
    let pictures = document.pointer("/catalogue/pictures").and_then(Value::as_array);
    let line = |picture: &Value| {
        let words = |language: &str| match picture.get("alt") {
            Some(Value::Object(_)) => text(picture, &format!("/alt/{language}")),
            _ if language == "en" => text(picture, "/alt"),
            _ => String::new(),
        };
        let line = [text(picture, "/digest"), words("en"), words("zh")].join(" | ");
        line.trim_end_matches([' ', '|']).to_owned()
    };
    pictures.into_iter().flatten().map(line).collect::<Vec<_>>().join("\n")
}

/// Puts pictures that were typed line by line, over what was said of each of them before.
fn put_pictures(catalogue: &mut Map<String, Value>, typed: &str) -> Result<(), String> {
    let before = catalogue.get("pictures").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut pictures = Vec::new();
    for line in typed.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut parts = line.splitn(3, ['|', '｜']).map(str::trim);
        let mut part = || parts.next().unwrap_or_default();
        let (digest, en, zh) = (part(), part(), part());
        if en.is_empty() && zh.is_empty() {
            return Err(format!("`pictures`: say what is to be seen: {digest} | in English | in Chinese"));
        }
        let known = before.iter().find(|picture| picture.get("digest").and_then(Value::as_str) == Some(digest));
        let alt = said(known.and_then(|picture| picture.get("alt")), en, zh);
        pictures.push(json!({ "digest": digest, "alt": alt }));
    }
    match pictures.is_empty() {
        true => drop(catalogue.shift_remove("pictures")),
        false => drop(catalogue.insert("pictures".to_owned(), Value::Array(pictures))),
    }
    Ok(())
}

/// Puts a part, or takes the field away where there is nothing in it.
fn put_part(document: &mut Map<String, Value>, field: &str, part: Map<String, Value>) {
    match part.is_empty() {
        true => drop(document.shift_remove(field)),
        false => drop(document.insert(field.to_owned(), Value::Object(part))),
    }
}

/// Puts a text, or takes the field away where it is empty.
fn put(document: &mut Map<String, Value>, field: &str, typed: &str) {
    match typed.trim() {
        "" => drop(document.shift_remove(field)),
        typed => drop(document.insert(field.to_owned(), json!(typed))),
    }
}

fn put_number(document: &mut Map<String, Value>, field: &str, typed: &str) -> Result<(), String> {
    let number: i64 = typed.trim().parse().map_err(|_| format!("`{field}` must be a whole number, such as 5"))?;
    document.insert(field.to_owned(), json!(number));
    Ok(())
}

fn put_decimal(document: &mut Map<String, Value>, field: &str, typed: &str) -> Result<(), String> {
    let number: Decimal = typed.trim().parse().map_err(|_| format!("`{field}` must be a number, such as 1.5"))?;
    document.insert(field.to_owned(), json!(number));
    Ok(())
}

#[cfg(test)]
mod tests {
    use guerdon_core::program::typed;

    use super::*;

    #[test]
    fn a_form_over_a_document_leaves_the_rest_as_it_is() {
        let rule = json!({"id": "weekend", "name": {"en": "Weekend", "zh": "周末", "fr": "Week-end"},
            "trigger": ["purchase", "visit"], "effect": {"type": "multiply", "factor": "2", "rule": "base"},
            "exclusive": {"group": "times", "choose": "best"},
            "caps": [{"window": "month", "points": 1000, "over": "skip"}]});
        let before = typed("rule", &rule).unwrap();
        let form = DocumentForm::of(&before);
        assert_eq!(typed("rule", &form.over("rule", &before).unwrap()), Ok(before.clone()), "nothing was typed");
        let typed_in = DocumentForm { factor: "1.5".to_owned(), cap_points: "500".to_owned(), ..form.clone() };
        let after = typed_in.over("rule", &before).unwrap();
        assert_eq!(after.pointer("/effect/factor"), Some(&json!("1.5")));
        assert_eq!(after.pointer("/caps/0"), Some(&json!({"window": "month", "points": 500, "over": "skip"})));
        assert_eq!(
            (after.pointer("/name/fr"), after.pointer("/exclusive/group")),
            (Some(&json!("Week-end")), Some(&json!("times")))
        );
        let other = DocumentForm { effect: "fixed_points".to_owned(), points: "7".to_owned(), ..form.clone() };
        assert_eq!(other.over("rule", &before).unwrap()["effect"], json!({"type": "fixed_points", "points": 7}));
        let wrong = DocumentForm { factor: "twice".to_owned(), ..form };
        assert_eq!(wrong.over("rule", &before), Err("`factor` must be a number, such as 1.5".to_owned()));
    }

    #[test]
    fn a_campaign_and_a_reward_have_forms_as_well() {
        let campaign = DocumentForm {
            id: "autumn".to_owned(),
            name_en: "Autumn".to_owned(),
            from: "2026-11-01T00:00".to_owned(),
            cap_window: "lifetime".to_owned(),
            cap_points: "9000".to_owned(),
            ..DocumentForm::default()
        };
        let made = campaign.over("campaign", &Value::Null).unwrap();
        assert!(typed("campaign", &made).is_ok(), "{made}");
        assert_eq!(DocumentForm::of(&typed("campaign", &made).unwrap()).cap_points, "9000");
        let reward = DocumentForm {
            id: "cup".to_owned(),
            name_en: "Cup".to_owned(),
            price: "5".to_owned(),
            ..DocumentForm::default()
        };
        assert!(typed("reward", &reward.over("reward", &Value::Null).unwrap()).is_ok());
        assert!(reward.over("currency", &Value::Null).is_err());
        // A price of several parts stays as it is.
        let by_cost = json!({"id": "cup", "name": "Mug", "price": {"cost": "50"}});
        assert_eq!(reward.over("reward", &by_cost).unwrap()["price"], by_cost["price"]);
        let before = typed(
            "reward",
            &json!({"id": "cup", "name": "Cup", "price": 5, "kind": {"type": "physical", "weight_grams": 300},
                "catalogue": {"description": {"en": "A cup", "zh": "杯子"},
                    "pictures": [{"digest": "0a", "alt": {"en": "A red cup", "fr": "Une tasse"}}, {"digest": "0b", "alt": "B"}],
                    "categories": ["cups"], "zone": "upgraded",
                    "market_price": "49.50", "listed": {"from": "2026-11-01T00:00:00"},
                    "visible_to": {"tiers": ["gold"], "audience": "member.earned > 5"}}}),
        )
        .unwrap();
        let form = DocumentForm::of(&before);
        assert_eq!(typed("reward", &form.over("reward", &before).unwrap()), Ok(before.clone()), "nothing was typed");
        let typed_in = DocumentForm {
            tags: "new， gift".to_owned(),
            zone: String::new(),
            tiers: String::new(),
            audience: String::new(),
            description_en: String::new(),
            ..form
        };
        let after = typed("reward", &typed_in.over("reward", &before).unwrap()).unwrap();
        assert_eq!(after["catalogue"]["tags"], json!(["new", "gift"]));
        assert_eq!(after["catalogue"]["description"], json!({"zh": "杯子"}));
        assert!(after["catalogue"].get("visible_to").is_none() && after["catalogue"].get("zone").is_none());
        assert_eq!(after["kind"], before["kind"]);
        assert_eq!(after["catalogue"]["pictures"], before["catalogue"]["pictures"]);
        let seen =
            DocumentForm { pictures: "0b | B\n 0c ｜A saucer｜ 茶碟 \n\n".to_owned(), ..DocumentForm::of(&before) };
        assert_eq!(
            seen.over("reward", &before).unwrap()["catalogue"]["pictures"],
            json!([{"digest": "0b", "alt": "B"}, {"digest": "0c", "alt": {"en": "A saucer", "zh": "茶碟"}}])
        );
        let unsaid = DocumentForm { pictures: "0c".to_owned(), ..DocumentForm::of(&before) };
        assert!(unsaid.over("reward", &before).unwrap_err().contains("say what is to be seen"));
        let category = DocumentForm {
            id: "cups".to_owned(),
            name_zh: "杯子".to_owned(),
            parent: "home".to_owned(),
            ..DocumentForm::default()
        };
        let made = category.over("category", &Value::Null).unwrap();
        assert_eq!(typed("category", &made), Ok(json!({"id": "cups", "name": {"zh": "杯子"}, "parent": "home"})));
    }
}
