//! What a supplier answers, checked: it may be garbage, too much, or about another order.

use guerdon_core::fulfilment::{DeliveryKey, Said, Unbelievable, Undoing, short};
use guerdon_core::limits;
use serde::Deserialize;

/// As it stands in JSON. Fields that are not known are left alone: suppliers say more than they are asked.
#[derive(Deserialize)]
struct Answer {
    order_id: String,
    status: String,
    #[serde(default)]
    codes: Option<Vec<String>>,
    #[serde(default)]
    reference: Option<String>,
    #[serde(default)]
    reason: Option<String>,
}

/// Reads an answer that is about a delivery.
fn about(body: &[u8], key: &DeliveryKey) -> Result<Answer, Unbelievable> {
    // The parser's own words may repeat what it cannot read.
    let answer: Answer = serde_json::from_slice(body).map_err(|error| {
        Unbelievable::Garbage(format!("not as expected, in line {} column {}", error.line(), error.column()))
    })?;
    if answer.order_id != key.to_string() {
        return Err(Unbelievable::OtherOrder(format!("it speaks about `{}`", short(&answer.order_id))));
    }
    Ok(answer)
}

/// Reads what is said of a cancellation.
pub(super) fn read_cancelled(body: &[u8], key: &DeliveryKey) -> Result<Undoing, Unbelievable> {
    let Answer { status, reason, .. } = about(body, key)?;
    match status.as_str() {
        "cancelled" => Ok(Undoing::Cancelled),
        "refused" => Ok(Undoing::Refused(short(&reason.unwrap_or_default()))),
        other => Err(Unbelievable::Unfit(format!("`status` is `{}`", short(other)))),
    }
}

/// Reads what is said of a delivery of so many units.
pub(super) fn read(body: &[u8], key: &DeliveryKey, quantity: i64) -> Result<Said, Unbelievable> {
    let Answer { status, codes, reference, reason, .. } = about(body, key)?;
    let reference = reference.map(|reference| short(&reference)).filter(|reference| !reference.is_empty());
    match status.as_str() {
        "delivered" => Ok(Said::Delivered { codes: checked(codes.unwrap_or_default(), quantity)?, reference }),
        "refused" => Ok(Said::Refused { words: short(&reason.unwrap_or_default()) }),
        "accepted" => Ok(Said::Accepted { reference }),
        other => Err(Unbelievable::Unfit(format!("`status` is `{}`", short(other)))),
    }
}

fn checked(codes: Vec<String>, quantity: i64) -> Result<Vec<String>, Unbelievable> {
    let unfit = |words: String| Err(Unbelievable::Unfit(words));
    if !codes.is_empty() && codes.len() as i64 != quantity {
        return unfit(format!("{} codes for {quantity} units", codes.len()));
    }
    let [least, most] = limits::CODE_CHARS;
    let codes: Vec<String> = codes.into_iter().map(|code| code.trim().to_owned()).collect();
    let fits = |code: &String| (least..=most).contains(&code.chars().count()) && !code.chars().any(char::is_control);
    if !codes.iter().all(fits) {
        return unfit(format!("a code has not {least} to {most} characters"));
    }
    let different: std::collections::BTreeSet<&String> = codes.iter().collect();
    if different.len() != codes.len() { unfit("a code stands there twice".to_owned()) } else { Ok(codes) }
}

#[cfg(test)]
mod tests {
    use guerdon_core::id::OrderId;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_about_the_order_or_does_not_fit_it_is_not_believed() {
        let order = DeliveryKey { order: OrderId(7), part: None };
        let said = |value: serde_json::Value| read(value.to_string().as_bytes(), &order, 2);
        let id = order.to_string();
        let codes = json!([" AAAA ", "BBBB"]);
        assert_eq!(
            said(json!({ "order_id": id, "status": "delivered", "codes": codes, "reference": "S-1", "more": 1 })),
            Ok(Said::Delivered {
                codes: vec!["AAAA".to_owned(), "BBBB".to_owned()],
                reference: Some("S-1".to_owned())
            })
        );
        assert_eq!(
            said(json!({ "order_id": id, "status": "delivered" })),
            Ok(Said::Delivered { codes: Vec::new(), reference: None })
        );
        assert!(
            matches!(said(json!({ "order_id": id, "status": "refused", "reason": "no" })), Ok(Said::Refused { words }) if words == "no")
        );
        for (answer, what) in [
            (json!({ "order_id": OrderId(8).to_string(), "status": "delivered" }), "answer_for_another_order"),
            (json!({ "order_id": id, "status": "delivered", "codes": ["AAAA"] }), "unfit_answer"),
            (json!({ "order_id": id, "status": "delivered", "codes": ["AAAA", "AAAA"] }), "unfit_answer"),
            (json!({ "order_id": id, "status": "delivered", "codes": ["AAAA", "x"] }), "unfit_answer"),
            (json!({ "order_id": id, "status": "delivered", "codes": -1 }), "unreadable_answer"),
            (json!({ "order_id": id, "status": "perhaps" }), "unfit_answer"),
            (json!({ "order_id": -5, "status": "delivered" }), "unreadable_answer"),
            (json!([]), "unreadable_answer"),
        ] {
            assert_eq!(said(answer.clone()).unwrap_err().what(), what, "{answer}");
        }
        let garbage = read(b"<html>SECRET-CODE</html>", &order, 1).unwrap_err();
        assert!(!garbage.words().contains("SECRET"), "{}", garbage.words());
    }

    #[test]
    fn a_part_is_another_delivery_than_its_order_and_a_cancellation_is_answered_by_its_name() {
        let whole = DeliveryKey { order: OrderId(7), part: None };
        let part = DeliveryKey { part: Some("credit".to_owned()), ..whole.clone() };
        let answer = |key: &DeliveryKey, status: &str| {
            json!({ "order_id": key.to_string(), "status": status, "reason": "sent\nlong ago" }).to_string()
        };
        let delivered = answer(&whole, "delivered");
        assert_eq!(read(delivered.as_bytes(), &part, 1).unwrap_err().what(), "answer_for_another_order");
        assert!(read(answer(&part, "delivered").as_bytes(), &part, 1).is_ok());
        let cancelled = |key: &DeliveryKey, status: &str| read_cancelled(answer(key, status).as_bytes(), &part);
        assert_eq!(cancelled(&part, "cancelled"), Ok(Undoing::Cancelled));
        assert_eq!(cancelled(&part, "refused"), Ok(Undoing::Refused("sentlong ago".to_owned())));
        assert_eq!(cancelled(&part, "delivered").unwrap_err().what(), "unfit_answer");
        assert_eq!(cancelled(&whole, "cancelled").unwrap_err().what(), "answer_for_another_order");
    }
}
