//! What changes a price in the coming year, as a table and as a picture of steps.

use guerdon_core::program::Program;
use guerdon_core::rewards::{Occasion, Reward, TurnCause};
use guerdon_core::time::Timestamp;
use serde_json::json;

use super::frame::Frame;
use super::price_words::plain;
use super::prices::{AHEAD_MS, turns_ahead};

/// What is to come.
pub(super) struct Outlook {
    /// The names of those whose prices stand in the table: everyone, and each tier that ever pays something else.
    pub names: Vec<String>,
    /// From when on, what each of them pays, and why.
    pub turns: Vec<TurnLine>,
    /// What console.js draws, as JSON.
    pub chart: String,
}

/// A change.
pub(super) struct TurnLine {
    pub from: String,
    pub points: Vec<String>,
    pub why: String,
}

/// The changes of a reward's price, for everyone and for tiers.
pub(super) fn outlook(
    frame: &Frame,
    program: &Program,
    reward: &Reward,
    tiers: &[(Option<String>, String)],
    now: Timestamp,
) -> Outlook {
    let turns = turns_ahead(program, &reward.id, tiers, now);
    let price_now = |tier: &Option<String>| {
        let occasion = Occasion { at: now, tier: tier.as_deref(), figures: None, quantity: 1 };
        program.price(reward, occasion).ok().map(|priced| priced.points)
    };
    // A line for each: what it is now, and after each turn.
    let courses: Vec<Vec<Option<i64>>> = tiers
        .iter()
        .enumerate()
        .map(|(place, (tier, _))| {
            let later = turns.iter().map(|turn| turn.points.get(place).copied().flatten());
            std::iter::once(price_now(tier)).chain(later).collect()
        })
        .collect();
    // Lines that are the same as one before them tell nothing of their own.
    let told: Vec<usize> = (0..courses.len())
        .filter(|place| courses.get(*place).is_some_and(|course| !courses.iter().take(*place).any(|one| one == course)))
        .collect();
    let shown = |points: Option<i64>| match points {
        Some(points) => frame.number(reward.currency, points),
        None => frame.t("prices-turn-gone"),
    };
    let lines = turns.iter().map(|turn| TurnLine {
        from: frame.time(turn.at),
        points: told.iter().map(|place| shown(turn.points.get(*place).copied().flatten())).collect(),
        why: turn.causes.iter().map(|cause| cause_words(frame, *cause)).collect::<Vec<_>>().join(" · "),
    });
    let names: Vec<String> = told.iter().filter_map(|place| tiers.get(*place)).map(|(_, name)| name.clone()).collect();
    // The browser draws local time as if it were UTC.
    let local = |at: Timestamp| at.as_millis().saturating_add(program.calendar.offset_ms(at));
    let end = now.plus_millis(AHEAD_MS);
    let moments: Vec<i64> =
        std::iter::once(now).chain(turns.iter().map(|turn| turn.at)).map(local).chain([local(end)]).collect();
    let series = told.iter().zip(&names).filter_map(|(place, name)| {
        let course = courses.get(*place)?;
        // It holds to the end.
        let points: Vec<Option<i64>> = course.iter().copied().chain(course.last().copied()).collect();
        Some(json!({ "name": name, "points": points }))
    });
    let chart = json!({
        "moments": moments,
        "decimals": frame.decimals(reward.currency),
        "series": series.collect::<Vec<_>>(),
    });
    Outlook { turns: lines.collect(), names, chart: chart.to_string() }
}

fn cause_words(frame: &Frame, cause: TurnCause) -> String {
    let of = |key: &str, percent: rust_decimal::Decimal| frame.say_text(key, "percent", &plain(percent));
    match cause {
        TurnCause::Version => frame.t("prices-turn-version"),
        TurnCause::Withdrawn => frame.t("prices-turn-withdrawn"),
        TurnCause::Program => frame.t("prices-turn-program"),
        TurnCause::SeasonBegins(percent) => of("prices-turn-season-begins", percent),
        TurnCause::SeasonEnds(percent) => of("prices-turn-season-ends", percent),
        TurnCause::OfferBegins(percent) => of("prices-turn-offer-begins", percent),
        TurnCause::OfferEnds(percent) => of("prices-turn-offer-ends", percent),
    }
}
