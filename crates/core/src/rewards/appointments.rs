//! Appointments of a service: a weekly pattern of slots in local time, each with room for so many, and which of them can be
//! ordered at a moment.

use jiff::civil::{Date, DateTime, Time};
use serde::{Deserialize, Serialize};

use super::{StockLevel, stock_key};
use crate::limits;
use crate::serial::is_zero;
use crate::time::{Calendar, Day, Timestamp};

/// Milliseconds of an hour.
const HOUR_MS: i64 = 60 * 60 * 1000;
/// Stands between the beginning of a slot and its store.
const AT: char = '@';

/// When a service can be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Appointments {
    /// The slots of a week.
    pub slots: Vec<WeeklySlots>,
    /// The last day on which there are some; left out: there always are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Date>,
    /// How many hours before it begins a slot is ordered at the latest.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub notice_hours: i64,
}

/// Slots one after the other, on some days of the week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeeklySlots {
    /// On which days of the week, 1 for Monday to 7.
    pub weekdays: Vec<i8>,
    /// When the first one begins: `10:00`.
    pub from: Time,
    /// When the last one has ended.
    pub to: Time,
    /// How long each one is.
    pub minutes: i64,
    /// For how many units of the service there is room in each.
    #[serde(default = "one")]
    pub capacity: i64,
    /// In which store; left out: there is only one place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
}

/// One slot on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Its name within the service: `2026-12-01T10:00`, and `@` with the store where one is said.
    pub id: String,
    /// When it begins.
    pub starts_at: Timestamp,
    /// When it is over.
    pub ends_at: Timestamp,
    /// Where.
    pub store: Option<String>,
    /// For how many units there is room.
    pub capacity: i64,
}

fn one() -> i64 {
    1
}

/// Under which key the units of a slot are counted.
pub fn slot_key(reward_id: &str, slot: &str) -> String {
    stock_key(reward_id, Some(&format!("slot:{slot}")))
}

/// Units for which there is room in a slot of so much `capacity`. What was made narrower since its first order is so for all
/// that follow; what was made wider holds for slots that nobody had ordered.
pub fn free_places(capacity: i64, level: Option<&StockLevel>) -> i64 {
    let taken = |level: &StockLevel| level.reserved.saturating_add(level.issued);
    level.map_or(capacity, |level| level.free().min(capacity.saturating_sub(taken(level)))).max(0)
}

fn slot_id(starts: DateTime, store: Option<&str>) -> String {
    let local = starts.strftime("%Y-%m-%dT%H:%M").to_string();
    store.map_or_else(|| local.clone(), |store| format!("{local}{AT}{store}"))
}

impl WeeklySlots {
    /// Minutes of the day at which its slots begin.
    fn begins(&self) -> impl Iterator<Item = i64> {
        let (first, end, minutes) = (minute_of(self.from), minute_of(self.to), self.minutes.max(1));
        (0..).map(move |number: i64| first + number * minutes).take_while(move |begin| begin + minutes <= end)
    }

    fn falls_on(&self, date: Date) -> bool {
        self.weekdays.contains(&date.weekday().to_monday_one_offset())
    }

    fn slot(&self, calendar: &Calendar, date: Date, begin: i64) -> Option<Slot> {
        let time = |minute: i64| {
            let hour = i8::try_from(minute / 60).ok()?;
            Time::new(hour, i8::try_from(minute % 60).ok()?, 0, 0).ok()
        };
        let starts = date.to_datetime(time(begin)?);
        let starts_at = calendar.instant_of(starts);
        let (id, store) = (slot_id(starts, self.store.as_deref()), self.store.clone());
        Some(Slot {
            id,
            starts_at,
            ends_at: starts_at.plus_millis(self.minutes * 60_000),
            store,
            capacity: self.capacity,
        })
    }

    fn validate(&self, index: usize) -> Result<(), String> {
        let field = |name: &str| format!("`kind.appointments.slots[{index}].{name}`");
        if self.weekdays.is_empty() || self.weekdays.len() > 7 || self.weekdays.iter().any(|day| !(1..=7).contains(day))
        {
            return Err(format!("{} must be numbers from 1, Monday, to 7", field("weekdays")));
        }
        if !(5..=24 * 60).contains(&self.minutes) {
            return Err(format!("{} must be 5 to 1440", field("minutes")));
        }
        let whole = |time: Time| time.second() == 0 && time.subsec_nanosecond() == 0;
        if !whole(self.from) || !whole(self.to) || self.begins().next().is_none() {
            return Err(format!(
                "{} and `to` must be full minutes of one day with room for a slot of {} minutes between them",
                field("from"),
                self.minutes
            ));
        }
        if !(1..=limits::SLOT_CAPACITY).contains(&self.capacity) {
            return Err(format!("{} must be 1 to {}", field("capacity"), limits::SLOT_CAPACITY));
        }
        self.store.as_deref().map_or(Ok(()), |store| limits::check_text(&field("store"), store, 64))
    }

    /// Whether two of them have slots at the same time in the same place.
    fn overlaps(&self, other: &Self) -> bool {
        self.store == other.store
            && self.weekdays.iter().any(|day| other.weekdays.contains(day))
            && self.from < other.to
            && other.from < self.to
    }
}

fn minute_of(time: Time) -> i64 {
    i64::from(time.hour()) * 60 + i64::from(time.minute())
}

impl Appointments {
    /// Checks every field for publication; the message names it.
    pub(super) fn validate(&self) -> Result<(), String> {
        if !(1..=limits::REWARD_PARTS).contains(&self.slots.len()) {
            return Err(format!("`kind.appointments.slots` must be 1 to {} entries", limits::REWARD_PARTS));
        }
        if !(0..=limits::APPOINTMENT_DAYS * 24).contains(&self.notice_hours) {
            return Err(format!("`kind.appointments.notice_hours` must be 0 to {}", limits::APPOINTMENT_DAYS * 24));
        }
        for (index, slots) in self.slots.iter().enumerate() {
            slots.validate(index)?;
            if let Some(earlier) = self.slots.iter().take(index).position(|other| other.overlaps(slots)) {
                return Err(format!(
                    "`kind.appointments.slots[{index}]` overlaps slots[{earlier}] in the same place; give one of them \
                     more `capacity`"
                ));
            }
        }
        Ok(())
    }

    /// The slot of an id, whether it can be ordered or not. `None`: there is none.
    pub fn slot(&self, calendar: &Calendar, id: &str) -> Option<Slot> {
        let (local, store) = id.split_once(AT).map_or((id, None), |(local, store)| (local, Some(store)));
        let starts: DateTime = local.parse().ok()?;
        let begin = minute_of(starts.time());
        let fits = |slots: &&WeeklySlots| slots.store.as_deref() == store && slots.falls_on(starts.date());
        let slots = self.slots.iter().filter(fits).find(|slots| slots.begins().any(|one| one == begin))?;
        // One slot has one name: `2026-12-01T10:00:00` is none.
        slots.slot(calendar, starts.date(), begin).filter(|slot| slot.id == id && self.is_within(starts.date()))
    }

    fn is_within(&self, date: Date) -> bool {
        self.until.is_none_or(|until| date <= until)
    }

    /// Whether a slot can be ordered at `now`; if not, why.
    pub fn check_bookable(&self, slot: &Slot, now: Timestamp) -> Result<(), String> {
        let latest = slot.starts_at.plus_millis(-self.notice_hours * HOUR_MS);
        if now > latest {
            return Err(match self.notice_hours {
                0 => format!("the slot {} has begun", slot.id),
                hours => format!("the slot {} is ordered {hours} hours before it begins at the latest", slot.id),
            });
        }
        let horizon = now.plus_millis(limits::APPOINTMENT_DAYS * 24 * HOUR_MS);
        if slot.starts_at > horizon {
            let days = limits::APPOINTMENT_DAYS;
            return Err(format!("the slot {} is more than {days} days from now", slot.id));
        }
        Ok(())
    }

    /// The slots of `days` days from `first` on that can be ordered at `now`, in the order in which they begin.
    pub fn bookable(&self, calendar: &Calendar, now: Timestamp, first: Day, days: usize) -> Vec<Slot> {
        let mut found = Vec::new();
        let dates = std::iter::successors(Some(first.date()), |date| date.tomorrow().ok()).take(days);
        for date in dates.filter(|date| self.is_within(*date)) {
            let of_day = self.slots.iter().filter(|slots| slots.falls_on(date));
            let all = of_day.flat_map(|slots| slots.begins().filter_map(|begin| slots.slot(calendar, date, begin)));
            found.extend(all.filter(|slot| self.check_bookable(slot, now).is_ok()));
        }
        found.sort_by(|a, b| (a.starts_at, &a.store).cmp(&(b.starts_at, &b.store)));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn massage() -> Appointments {
        toml::from_str(
            r#"
            slots = [
                { weekdays = [1, 3], from = "10:00", to = "12:10", minutes = 60, capacity = 2, store = "bund" },
                { weekdays = [1], from = "10:00", to = "11:00", minutes = 30, store = "xujiahui" },
            ]
            until = "2026-03-11"
            notice_hours = 24
            "#,
        )
        .unwrap()
    }

    #[test]
    fn a_weekly_pattern_gives_the_slots_of_its_days() {
        let calendar = Calendar::new("Asia/Shanghai").unwrap();
        // Sunday, 1 March, 10:30 in Shanghai: of Monday's slots the first are too near.
        let now = Timestamp::parse_rfc3339("2026-03-01T02:30:00Z").unwrap();
        let ids = |first: &str, days| {
            let slots = massage().bookable(&calendar, now, Day::of(first.parse().unwrap()), days);
            slots.into_iter().map(|slot| slot.id).collect::<Vec<_>>()
        };
        let monday = ["2026-03-02T10:30@xujiahui", "2026-03-02T11:00@bund"];
        assert_eq!(ids("2026-03-01", 2), monday);
        assert_eq!(ids("2026-03-03", 2), ["2026-03-04T10:00@bund", "2026-03-04T11:00@bund"]);
        assert_eq!(ids("2026-03-10", 30).len(), 2, "until the 11th");
        let slot = massage().slot(&calendar, "2026-03-04T10:00@bund").unwrap();
        assert_eq!((slot.starts_at.to_string().as_str(), slot.capacity), ("2026-03-04T02:00:00Z", 2));
        assert_eq!(slot.ends_at.as_millis() - slot.starts_at.as_millis(), HOUR_MS);
        for unknown in
            ["2026-03-04T10:00", "2026-03-04T10:30@bund", "2026-03-03T10:00@bund", "2026-03-18T10:00@bund", "x", ""]
        {
            assert_eq!(massage().slot(&calendar, unknown), None, "{unknown}");
        }
        assert_eq!(massage().slot(&calendar, "2026-03-04T10:00:00@bund"), None);
        assert!(massage().check_bookable(&slot, slot.starts_at).unwrap_err().contains("24 hours before"));
    }

    #[test]
    fn a_pattern_that_makes_no_sense_is_refused_by_name() {
        let with = |slots: &str| {
            let parsed: Appointments = toml::from_str(&format!("slots = [{slots}]")).unwrap();
            parsed.validate().unwrap_err()
        };
        let whole = "weekdays = [1], from = \"10:00\", to = \"12:00\", minutes = 60";
        for (slots, problem) in [
            (String::new(), "must be 1 to"),
            ("{ weekdays = [8], from = \"10:00\", to = \"12:00\", minutes = 60 }".to_owned(), "slots[0].weekdays`"),
            ("{ weekdays = [1], from = \"10:00\", to = \"10:30\", minutes = 60 }".to_owned(), "slots[0].from`"),
            ("{ weekdays = [1], from = \"12:00\", to = \"10:30\", minutes = 60 }".to_owned(), "slots[0].from`"),
            ("{ weekdays = [1], from = \"10:00\", to = \"12:00\", minutes = 0 }".to_owned(), "slots[0].minutes`"),
            (format!("{{ {whole}, capacity = 0 }}"), "slots[0].capacity`"),
            (format!("{{ {whole} }}, {{ {whole} }}"), "slots[1]` overlaps slots[0]"),
        ] {
            let refused = with(&slots);
            assert!(refused.contains(problem), "{slots}: {refused}");
        }
        assert_eq!(massage().validate(), Ok(()));
    }
}
