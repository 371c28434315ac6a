//! One sentence for what one rule gave, took back or did not give.

use fluent_templates::fluent_bundle::FluentValue;
use guerdon_core::earning::{Act, CapScope, Outcome, Per, Trim};
use guerdon_core::kernel::Receipt;
use guerdon_core::ledger::CurrencyId;

use super::format;
use super::frame::Frame;
use super::tier::tier_name;

/// What a rule did and why.
pub(super) fn outcome_sentence(frame: &Frame, outcome: &Outcome, receipt: &Receipt) -> String {
    let mut sentence = reason(frame, outcome, receipt);
    if let Some(trim) = &outcome.trimmed {
        sentence.push_str(&limit(frame, outcome.currency, trim));
    }
    sentence.push_str(&dates(frame, outcome));
    sentence
}

fn reason(frame: &Frame, outcome: &Outcome, receipt: &Receipt) -> String {
    let points: FluentValue<'_> = frame.points(outcome.currency, outcome.points.saturating_abs()).into();
    let rule: FluentValue<'_> = frame.rule_name(&outcome.rule).into();
    let other = |other: &str| -> FluentValue<'_> { frame.rule_name(other).into() };
    if let Some(won) = &outcome.lost_to {
        return frame.say("why-lost", [("rule", rule), ("other", other(won))]);
    }
    if let Some(stopper) = &outcome.stopped_by {
        return frame.say("why-stopped", [("rule", rule), ("other", other(stopper))]);
    }
    if let Some(act) = outcome.act.as_ref().filter(|_| outcome.trimmed.is_none()) {
        return act_sentence(frame, act, rule);
    }
    if outcome.points == 0 && outcome.trimmed.is_some() {
        return frame.say("why-nothing", [("rule", rule)]);
    }
    if receipt.returned.is_some() && outcome.points <= 0 {
        return frame.say("why-returned", [("points", points), ("rule", rule)]);
    }
    if let Some(factor) = outcome.factor {
        let factor = factor.normalize().to_string().into();
        return match &outcome.of_rule {
            Some(base) => frame.say(
                "why-times-rule",
                [("points", points), ("rule", rule), ("factor", factor), ("other", other(base))],
            ),
            None => frame.say("why-times", [("points", points), ("rule", rule), ("factor", factor)]),
        };
    }
    by_rate(frame, outcome, &receipt.explanation, points, rule)
}

/// What a rule did besides giving points.
fn act_sentence(frame: &Frame, act: &Act, rule: FluentValue<'_>) -> String {
    match act {
        Act::Task => frame.say("why-task", [("rule", rule)]),
        Act::Message { .. } => frame.say("why-message", [("rule", rule)]),
        Act::Reward { reward, quantity, out_of_stock, .. } => {
            let key = if *out_of_stock { "why-reward-sold-out" } else { "why-reward" };
            let (quantity, reward) = (super::format::number(*quantity), frame.reward_name(reward));
            frame.say(key, [("rule", rule), ("quantity", quantity.into()), ("reward", reward.into())])
        }
        Act::Tier { tier, without_effect } => {
            let key = if *without_effect { "why-grant-without-effect" } else { "why-grant" };
            frame.say(key, [("rule", rule), ("tier", tier_name(frame, tier).into())])
        }
    }
}

/// Points for money, a share of another rule, or a fixed number.
fn by_rate(
    frame: &Frame,
    outcome: &Outcome,
    all: &[Outcome],
    points: FluentValue<'_>,
    rule: FluentValue<'_>,
) -> String {
    let rate = outcome.rate.map(|rate| rate.normalize().to_string());
    match (rate, outcome.amount, &outcome.of_rule) {
        (Some(rate), Some(amount), _) => {
            let one = i64::from(rate != "1") + 1;
            let each = frame.points_as(outcome.currency, rate, one).into();
            let minor = frame.program.minor_per_major();
            let step =
                outcome.step.and_then(|step| step.checked_mul(minor.into())).and_then(|step| step.try_into().ok());
            let unit = frame.money(step.unwrap_or(minor)).into();
            let key = match outcome.points {
                ..=0 => "why-taken-back",
                _ if outcome.step.is_some() => "why-per-step",
                _ => "why-per-money",
            };
            let amount = frame.money(amount).into();
            frame.say(key, [("points", points), ("rule", rule), ("rate", each), ("unit", unit), ("amount", amount)])
        }
        (Some(percent), None, Some(other)) => {
            let base = all.iter().filter(|base| *base.rule == **other).map(|base| base.points).sum();
            let (base, other) = (frame.points(outcome.currency, base).into(), frame.rule_name(other).into());
            let percent = percent.into();
            frame.say(
                "why-percent",
                [("points", points), ("rule", rule), ("percent", percent), ("base", base), ("other", other)],
            )
        }
        (Some(percent), None, None) if outcome.rule.starts_with("interest:") => {
            frame.say("why-interest", [("points", points), ("percent", percent.into())])
        }
        _ => frame.say("why-fixed", [("points", points), ("rule", rule)]),
    }
}

/// The limit that made it less.
fn limit(frame: &Frame, currency: CurrencyId, trim: &Trim) -> String {
    let limit = match (trim.points, trim.count) {
        (Some(points), _) => frame.points(currency, points),
        (None, count) => format!("{} ×", format::number(count.unwrap_or_default())),
    };
    let key = match trim.cap {
        CapScope::Rule if trim.offered == 0 => "why-limit-of-rule-on-acts",
        CapScope::Campaign if trim.offered == 0 => "why-limit-of-campaign-on-acts",
        CapScope::Rule => "why-limit-of-rule",
        CapScope::Campaign => "why-limit-of-campaign",
        CapScope::Program => "why-limit-of-program",
    };
    let shared = match trim.per {
        Per::Member => String::new(),
        Per::Everyone => frame.t("why-limit-of-everyone"),
        Per::Store => frame.t("why-limit-of-store"),
    };
    let offered = frame.points(currency, trim.offered).into();
    let window = frame.t(&format!("window-{}", trim.window.name())).into();
    frame.say(key, [("offered", offered), ("limit", limit.into()), ("window", window)]) + &shared
}

/// When the points of an outcome become active and how long they are good.
fn dates(frame: &Frame, outcome: &Outcome) -> String {
    let calendar = &frame.program.calendar;
    let mut text = String::new();
    if let Some(active_at) = outcome.active_at {
        text.push_str(&frame.say("why-pending", [("date", calendar.show(active_at).into())]));
    }
    if let Some(expires_at) = outcome.expires_at
        && expires_at != guerdon_core::time::Timestamp::NEVER
    {
        text.push_str(&frame.say("why-good-through", [("date", calendar.last_day_before(expires_at).into())]));
    }
    text
}
