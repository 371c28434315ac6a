//! What receipts say, in the terms of the model.

use std::collections::BTreeMap;

use guerdon_core::kernel::{Event, OrderReceipt, Receipt};

use crate::model::Said;

/// Everything that a receipt says of points, orders, tills and stock.
pub(crate) fn heard(receipt: &Receipt) -> Said {
    Said {
        points: receipt.points,
        forgiven: receipt.forgiven,
        owed: receipt.owed,
        repaid: receipt.repaid,
        debt_cancelled: receipt.debt_cancelled,
        matured: receipt.matured,
        expired: receipt.expired,
        decayed: receipt.decayed,
        forfeited: receipt.forfeited,
        reminded: reminded(receipt),
        rules: receipt.explanation.iter().map(|outcome| (outcome.rule.to_string(), outcome.points)).collect(),
        told: told(receipt),
        notes: Vec::new(),
    }
}

fn reminded(receipt: &Receipt) -> Vec<(i64, i64, i64)> {
    let told = receipt.events.iter().filter_map(|event| match event {
        Event::PointsExpiring { points, expires_at, days, .. } => {
            Some((expires_at.as_millis(), i64::from(*days), *points))
        }
        _ => None,
    });
    told.collect()
}

fn told(receipt: &Receipt) -> BTreeMap<&'static str, i64> {
    let mut told: BTreeMap<&'static str, i64> = receipt.order.as_ref().map(told_of).unwrap_or_default();
    told.extend(receipt.restock.as_ref().map(|restock| ("restocked", restock.quantity)));
    told
}

fn told_of(order: &OrderReceipt) -> BTreeMap<&'static str, i64> {
    let mut told = BTreeMap::new();
    if let Some(payment) = &order.payment {
        told.extend([("money", payment.amount), (payment.state.name(), 1)]);
    }
    if let Some(tender) = &order.tender {
        told.extend([("authorised points", tender.authorised.points), ("authorised money", tender.authorised.money)]);
        let captured = tender.captured.into_iter();
        told.extend(captured.flat_map(|paid| [("captured points", paid.points), ("captured money", paid.money)]));
        let returned = tender.returned.into_iter();
        told.extend(returned.flat_map(|paid| [("returned points", paid.points), ("returned money", paid.money)]));
    }
    if let Some(allowance) = &order.allowance {
        told.extend([
            ("granted points", allowance.granted.points),
            ("granted money", allowance.granted.money),
            ("granted until", allowance.ends_at.as_millis()),
            ("granted in all", allowance.lent.iter().map(|live| live.points).sum()),
        ]);
    }
    if let Some(offline) = &order.offline {
        told.extend([
            ("spent points", offline.points),
            ("beyond", offline.beyond),
            ("charged points", offline.charged.points),
            ("charged money", offline.charged.money),
            ("owed", offline.owed),
            ("lost", offline.lost),
        ]);
    }
    told.extend(order.handed_out.as_ref().map(|place| ("handed out", place.at.as_millis())));
    told
}
