//! What there is to choose before a reward is redeemed: a variant, a slot, an address, an account. Where there is nothing to
//! choose, nothing is asked.

use std::collections::BTreeMap;

use guerdon_core::members::{Address, KnownAddress, Profile, find_address};
use guerdon_core::privacy::mask;
use guerdon_core::program::Program;
use guerdon_core::redemption::Order;
use guerdon_core::rewards::{Reward, RewardKind, StockLevel, variant_key};
use guerdon_core::time::Timestamp;
use guerdon_store::StoreError;
use serde::Deserialize;

use crate::AppState;
use crate::api::free_slots;
use crate::console::Frame;
use crate::order_choice::Said;

/// Days of which free slots are shown.
const DAYS: usize = 14;

/// Of what something is chosen.
#[derive(Clone, Copy)]
pub(crate) struct Choosing<'a> {
    reward: &'a Reward,
    now: Timestamp,
    /// From when on its appointments may begin.
    from: Timestamp,
}

impl<'a> Choosing<'a> {
    /// Of a reward that is ordered now.
    pub(crate) fn of(reward: &'a Reward, now: Timestamp) -> Self {
        Self { reward, now, from: now }
    }

    /// The same in a group of friends that is open until then: its appointments begin afterwards.
    pub(crate) fn together_until(self, ends_at: Timestamp) -> Self {
        Self { from: ends_at, ..self }
    }

    /// Whether it is sent.
    pub(super) fn is_sent(self, program: &Program) -> bool {
        self.reward.needs_address(program, self.now)
    }

    /// Of the reward of an order that was made already.
    pub(crate) fn again(reward: &'a Reward, order: &Order, now: Timestamp) -> Self {
        let open = order.details.particulars.open_group();
        open.map_or(Self::of(reward, now), |group| Self::of(reward, now).together_until(group.ends_at))
    }
}

/// One of several.
pub(crate) struct Choosable {
    pub(crate) id: String,
    pub(crate) words: String,
    /// Whether there is one left.
    pub(crate) there: bool,
    pub(crate) chosen: bool,
}

/// The free slots of one day.
pub(crate) struct DayOfSlots {
    pub(crate) day: String,
    pub(crate) slots: Vec<Choosable>,
}

/// An address that is typed in.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Typed {
    pub(super) recipient: String,
    pub(super) contact: String,
    pub(super) street: String,
    pub(super) district: String,
    pub(super) city: String,
    pub(super) region: String,
    pub(super) postcode: String,
    pub(super) country: String,
}

/// What a form says of a choice.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct ChoiceForm {
    pub(super) variant: String,
    pub(super) slot: String,
    pub(super) address_id: String,
    pub(super) account: String,
    #[serde(flatten)]
    pub(super) typed: Typed,
}

/// What a page asks for.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) variants: Vec<Choosable>,
    pub(super) days: Vec<DayOfSlots>,
    /// Whether it is had by appointment.
    pub(super) by_appointment: bool,
    /// The addresses of the book.
    pub(super) book: Vec<Choosable>,
    /// What was typed, where the book is empty.
    pub(super) typed: Option<Typed>,
    /// What the account is called, and what was typed.
    pub(super) account: Option<(String, String)>,
}

fn filled(text: &str) -> Option<String> {
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

impl Typed {
    /// The address, where anything was typed.
    pub(super) fn address(&self) -> Option<Address> {
        let Self { recipient, contact, street, district, city, region, postcode, country } = self;
        let all = [recipient, contact, street, district, city, region, postcode, country];
        all.iter().any(|text| !text.trim().is_empty()).then(|| Address {
            recipient: recipient.trim().to_owned(),
            phone: filled(contact),
            street: street.trim().to_owned(),
            district: filled(district),
            city: city.trim().to_owned(),
            region: filled(region),
            postcode: filled(postcode),
            country: filled(country),
        })
    }
}

impl ChoiceForm {
    /// What is said by it.
    pub(super) fn said(&self) -> Said {
        Said {
            variant: filled(&self.variant),
            slot: filled(&self.slot),
            address: self.typed.address(),
            address_id: filled(&self.address_id),
            account: filled(&self.account),
        }
    }
}

impl Asked {
    /// What a reward asks for; `form`: what was chosen before.
    pub(super) async fn of(
        frame: &Frame,
        state: &AppState,
        choosing: Choosing<'_>,
        profile: &Profile,
        stock: &BTreeMap<String, StockLevel>,
        form: &ChoiceForm,
    ) -> Result<Self, StoreError> {
        let reward = choosing.reward;
        let language = frame.language.tag();
        let variants = reward.variants().iter().map(|variant| {
            let level = stock.get(&variant_key(&reward.id, &variant.id));
            Choosable {
                id: variant.id.clone(),
                words: variant.name.get(language).to_owned(),
                there: level.is_none_or(|level| level.free() > 0),
                chosen: form.variant == variant.id || reward.variants().len() == 1,
            }
        });
        let needs_address = choosing.is_sent(&frame.program);
        let chosen = Some(form.address_id.as_str()).filter(|id| !id.is_empty());
        let default = find_address(&profile.addresses, chosen).map(|known| known.id.as_str());
        let known = |known: &KnownAddress| Choosable {
            id: known.id.clone(),
            words: address_words(known),
            there: true,
            chosen: default == Some(known.id.as_str()),
        };
        let account = match &reward.kind {
            Some(RewardKind::TopUp { account: Some(account) }) => Some(account.name.get(language).to_owned()),
            _ => None,
        };
        Ok(Self {
            variants: variants.collect(),
            by_appointment: reward.appointments().is_some(),
            days: days_of_slots(frame, state, choosing, &form.slot).await?,
            book: if needs_address { profile.addresses.iter().map(known).collect() } else { Vec::new() },
            typed: (needs_address && profile.addresses.is_empty()).then(|| form.typed.clone()),
            account: account.map(|name| (name, form.account.clone())),
        })
    }

    /// Whether it is had by appointment, and no time is free.
    pub(super) fn lacks_slot(&self) -> bool {
        self.by_appointment && self.days.is_empty()
    }

    /// Whether it is sent.
    pub(super) fn is_sent(&self) -> bool {
        !self.book.is_empty() || self.typed.is_some()
    }

    /// Whether nothing is asked.
    pub(super) fn is_nothing(&self) -> bool {
        self.variants.is_empty()
            && !self.by_appointment
            && self.book.is_empty()
            && self.typed.is_none()
            && self.account.is_none()
    }
}

/// An address of the book in a list: as much of it as tells it from others.
pub(super) fn address_words(known: &KnownAddress) -> String {
    let shown = mask::address(&known.address);
    format!("{}: {}, {}", known.id, shown.recipient, shown.city)
}

/// The free slots of the next days; those of a service that is had without an appointment are none.
pub(crate) async fn days_of_slots(
    frame: &Frame,
    state: &AppState,
    Choosing { reward, now, from }: Choosing<'_>,
    chosen: &str,
) -> Result<Vec<DayOfSlots>, StoreError> {
    let Some(appointments) = reward.appointments() else { return Ok(Vec::new()) };
    let calendar = &frame.program.calendar;
    // From the first day on that the notice leaves.
    let soonest = now.plus_millis(appointments.notice_hours.saturating_mul(3_600_000)).max(from);
    let found = free_slots(state, reward, now, (calendar.day_of(soonest), DAYS)).await?;
    let mut days: Vec<DayOfSlots> = Vec::new();
    for (slot, _) in found.into_iter().filter(|(slot, _)| slot.starts_at >= from) {
        let local = calendar.local(slot.starts_at);
        let weekday = frame.t(&format!("slot-weekday-{}", local.weekday().to_monday_one_offset()));
        let day = format!("{weekday} {}", local.date());
        let time = local.strftime("%H:%M").to_string();
        let words = slot.store.as_ref().map_or_else(|| time.clone(), |store| format!("{time} {store}"));
        let one = Choosable { chosen: slot.id == chosen, id: slot.id, words, there: true };
        match days.last_mut().filter(|known| known.day == day) {
            Some(known) => known.slots.push(one),
            None => days.push(DayOfSlots { day, slots: vec![one] }),
        }
    }
    Ok(days)
}
