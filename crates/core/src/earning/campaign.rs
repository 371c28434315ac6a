//! Campaigns: rules with a schedule, an audience and a budget.

use std::fmt;

use jiff::civil::{DateTime, Time};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::caps::{self, ProgramCap};
use super::expression::{self, BodySeen, Expression, Fact};
use super::rule;
use super::window::Window;
use crate::id::MemberId;
use crate::limits;
use crate::program::Text;
use crate::time::{Calendar, Timestamp};

/// When a campaign runs, by the local calendar. What is left out does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The first moment: `2026-11-01T00:00`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<DateTime>,
    /// The moment at which it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<DateTime>,
    /// On which days of the week, 1 for Monday to 7.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weekdays: Vec<i8>,
    /// On which days of the month, 1 to 31.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<i8>,
    /// In which months, 1 to 12.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub months: Vec<i8>,
    /// At which times of the day: from the first up to, but not at, the second; over midnight when the second is earlier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<(Time, Time)>,
    /// IANA time zone; left out: the program's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
}

impl Schedule {
    /// Whether it runs at a local moment.
    fn runs(&self, local: DateTime) -> bool {
        let among = |list: &[i8], value: i8| list.is_empty() || list.contains(&value);
        let within = |(begin, end): (Time, Time)| {
            let time = local.time();
            if begin <= end { begin <= time && time < end } else { time >= begin || time < end }
        };
        self.from.is_none_or(|from| from <= local)
            && self.to.is_none_or(|to| local < to)
            && among(&self.weekdays, local.weekday().to_monday_one_offset())
            && among(&self.days, local.day())
            && among(&self.months, local.month())
            && self.hours.is_none_or(within)
    }

    fn validate(&self) -> Result<(), String> {
        if let (Some(from), Some(to)) = (self.from, self.to)
            && from >= to
        {
            return Err(format!("`schedule.to` {to} must be later than `schedule.from` {from}"));
        }
        for (field, list, most) in
            [("weekdays", &self.weekdays, 7), ("days", &self.days, 31), ("months", &self.months, 12)]
        {
            if list.len() > 31 || list.iter().any(|value| !(1..=most).contains(value)) {
                return Err(format!("`schedule.{field}` must be numbers from 1 to {most}"));
            }
        }
        if self.hours.is_some_and(|(begin, end)| begin == end) {
            return Err("`schedule.hours` must name two different times; leave it out for the whole day".to_owned());
        }
        self.time_zone.as_deref().map_or(Ok(()), |zone| {
            Calendar::new(zone).map(drop).map_err(|problem| format!("`schedule.time_zone`: {problem}"))
        })
    }
}

/// A part of the members, by a stable hash: an arm of a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// Its id, which rules name.
    pub id: String,
    /// How many of a hundred members.
    pub percent: u8,
}

/// For whom a campaign is released already: members by a stable hash, and everyone in some stores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// How many of a hundred members; who is in at 10 is in at 20.
    #[serde(default)]
    pub percent: u8,
    /// Stores.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stores: Vec<String>,
}

/// A campaign as an operator writes it. Rules belong to it by naming it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Campaign {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: Text,
    /// When it runs; left out: always.
    #[serde(default)]
    pub schedule: Schedule,
    /// For whom: CEL over what conditions of rules look at; left out: everyone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// Which department's budget it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub department: Option<String>,
    /// How much its rules give together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caps: Vec<ProgramCap>,
    /// Parts of the members that are treated differently; those in none see rules without an arm only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arms: Vec<Arm>,
    /// For whom it is released; left out: everyone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Release>,
}

impl Campaign {
    /// Checks that the tiers with which its audience compares are there.
    pub(crate) fn check_tiers(&self, tiers: &[&str]) -> Result<(), String> {
        self.audience.as_deref().map_or(Ok(()), |text| expression::check_tiers("audience", text, tiers))
    }

    /// Checks the campaign for publication. The message names the field, and the line and column in the audience.
    pub fn validate(&self) -> Result<(), String> {
        limits::check_text("id", &self.id, 64)?;
        self.department.as_deref().map_or(Ok(()), |text| limits::check_text("department", text, 64))?;
        self.schedule.validate()?;
        caps::validate(&self.caps.iter().map(ProgramCap::cap).collect::<Vec<_>>())?;
        if self.arms.iter().map(|arm| u32::from(arm.percent)).sum::<u32>() > 100 || self.arms.len() > 100 {
            return Err("the `percent` of all `arms` together must be 100 at most".to_owned());
        }
        for (index, arm) in self.arms.iter().enumerate() {
            limits::check_text("arms.id", &arm.id, 64)?;
            if self.arms.iter().take(index).any(|other| other.id == arm.id) {
                return Err(format!("the arm `{}` is there twice", arm.id));
            }
        }
        if let Some(release) = &self.release {
            if release.percent > 100 {
                return Err("`release.percent` must be 0 to 100".to_owned());
            }
            if release.stores.len() > limits::DOCUMENTS {
                return Err(format!("`release.stores` names more than {} stores", limits::DOCUMENTS));
            }
            release.stores.iter().try_for_each(|store| limits::check_text("release.stores", store, 128))?;
        }
        CompiledCampaign::compile(self.clone(), 1, Timestamp::ZERO, true).map(drop)?;
        self.audience.as_deref().map_or(Ok(()), |text| {
            let nothing = BodySeen::Nothing("an audience has no body; look at it in the conditions of rules");
            expression::check("audience", text, nothing)
        })
    }
}

/// One version of a campaign, ready to decide.
pub struct CompiledCampaign {
    /// As written.
    pub campaign: Campaign,
    /// Which version.
    pub version: i64,
    /// From when it holds.
    pub effective_from: Timestamp,
    /// Whether it is in force, or retired from `effective_from` on.
    pub active: bool,
    calendar: Option<Calendar>,
    pub(super) audience: Option<Expression>,
}

impl CompiledCampaign {
    /// Compiles the audience; the message quotes what is wrong.
    pub fn compile(campaign: Campaign, version: i64, effective_from: Timestamp, active: bool) -> Result<Self, String> {
        let variables = ["activity", "lines", "context", "history", "member", "tier"];
        let audience = campaign.audience.as_deref().map(|text| Expression::compile("audience", text, &variables));
        let calendar = campaign.schedule.time_zone.as_deref().map(Calendar::new);
        Ok(Self {
            audience: audience.transpose()?,
            calendar: calendar.transpose()?,
            campaign,
            version,
            effective_from,
            active,
        })
    }

    /// Whether it runs at `at` by its schedule.
    pub fn runs(&self, calendar: &Calendar, at: Timestamp) -> bool {
        self.active && self.campaign.schedule.runs(self.calendar.as_ref().unwrap_or(calendar).local(at))
    }

    /// Whether it is released for a member, or for everyone in a store.
    pub(super) fn is_released(&self, member: MemberId, store: &str) -> bool {
        self.campaign.release.as_ref().is_none_or(|release| {
            release.stores.iter().any(|known| known == store)
                || self.place(member, "release") < u64::from(release.percent)
        })
    }

    /// The arm that a member belongs to, in every version that has the same arms.
    pub fn arm_of(&self, member: MemberId) -> Option<&str> {
        if self.campaign.arms.is_empty() {
            return None;
        }
        let place = self.place(member, "arm");
        let mut end = 0;
        let found = self.campaign.arms.iter().find(|arm| {
            end += u64::from(arm.percent);
            place < end
        });
        found.map(|arm| arm.id.as_str())
    }

    /// A number from 0 to 99 that a member has in this campaign for a purpose, always the same: from SHA-256, so that
    /// campaigns, and the purposes of one, divide the members independently of each other.
    fn place(&self, member: MemberId, purpose: &str) -> u64 {
        let text = format!("{}\n{purpose}\n{}", self.campaign.id, member.0);
        let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        let [a, b, c, d, e, f, g, h, ..] = digest;
        u64::from_be_bytes([a, b, c, d, e, f, g, h]) % 100
    }

    /// What its audience asks of the account.
    pub(super) fn facts(&self) -> impl Iterator<Item = &Fact> {
        let account = self.audience.iter().filter_map(|audience| audience.account.as_ref());
        account.flat_map(|account| account.facts.iter().map(|(_, fact)| fact))
    }

    /// Whether its audience asks for a kind of activity.
    pub fn asks_for(&self, kind: &str) -> bool {
        self.facts().any(|fact| fact.is_about(kind))
    }

    /// The kinds of activity, and the windows, that accounts must count for its audience.
    pub fn counted(&self) -> impl Iterator<Item = (&str, Window)> {
        rule::counted(self.facts())
    }

    /// The kinds of activity that accounts must count by days for its audience.
    pub fn counted_by_day(&self) -> impl Iterator<Item = &str> {
        rule::counted_by_day(self.facts())
    }
}

impl fmt::Debug for CompiledCampaign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "campaign {} version {}", self.campaign.id, self.version)
    }
}

impl PartialEq for CompiledCampaign {
    fn eq(&self, other: &Self) -> bool {
        self.version == other.version && self.campaign == other.campaign
    }
}

impl Eq for CompiledCampaign {}

#[cfg(test)]
mod tests {
    use super::*;

    fn campaign(toml: &str) -> CompiledCampaign {
        let campaign: Campaign = toml::from_str(&format!("id = 'c'\nname = 'C'\n{toml}")).unwrap();
        campaign.validate().unwrap();
        CompiledCampaign::compile(campaign, 1, Timestamp::ZERO, true).unwrap()
    }

    fn runs(campaign: &CompiledCampaign, at: &str) -> bool {
        let shanghai = Calendar::new("Asia/Shanghai").unwrap();
        campaign.runs(&shanghai, Timestamp::parse_rfc3339(at).unwrap())
    }

    #[test]
    fn it_runs_by_the_local_calendar() {
        let dates = campaign("schedule = { from = '2026-11-01T00:00', to = '2026-11-12T00:00' }");
        // Midnight in Shanghai is 16:00 of the day before in UTC.
        assert!(!runs(&dates, "2026-10-31T15:59:59Z") && runs(&dates, "2026-10-31T16:00:00Z"));
        assert!(runs(&dates, "2026-11-11T15:59:59Z") && !runs(&dates, "2026-11-11T16:00:00Z"));
        let nights = campaign("schedule = { weekdays = [6, 7], hours = ['22:00', '02:00'] }");
        // Saturday, 7 November 2026, 22:30; 01:30; 03:00; and Friday night.
        assert!(runs(&nights, "2026-11-07T14:30:00Z") && runs(&nights, "2026-11-06T17:30:00Z"));
        assert!(!runs(&nights, "2026-11-06T19:00:00Z") && !runs(&nights, "2026-11-06T14:30:00Z"));
        let elevens = campaign("schedule = { days = [11], months = [11], time_zone = 'America/New_York' }");
        assert!(runs(&elevens, "2026-11-11T05:00:00Z") && !runs(&elevens, "2026-11-11T04:59:59Z"));
    }

    #[test]
    fn members_are_divided_evenly_and_for_good() {
        let arms = campaign("arms = [{ id = 'a', percent = 30 }, { id = 'b', percent = 50 }]");
        let count = |arm: Option<&str>| (1..=10_000).filter(|member| arms.arm_of(MemberId(*member)) == arm).count();
        let (a, b, none) = (count(Some("a")), count(Some("b")), count(None));
        assert!((2_800..3_200).contains(&a) && (4_800..5_200).contains(&b) && (1_800..2_200).contains(&none));
        let few = campaign("release = { percent = 10, stores = ['bund'] }");
        let more = campaign("release = { percent = 20 }");
        let members = || (1..=10_000).map(MemberId);
        assert!(members().all(|member| !few.is_released(member, "") || more.is_released(member, "")));
        assert!((800..1_200).contains(&members().filter(|member| few.is_released(*member, "")).count()));
        assert!(members().all(|member| few.is_released(member, "bund")));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let problem = |toml: &str| {
            let parsed: Result<Campaign, _> = toml::from_str(&format!("id = 'c'\nname = 'C'\n{toml}"));
            parsed.map_err(|error| error.to_string()).and_then(|campaign| campaign.validate()).unwrap_err()
        };
        assert!(problem("schedule = { from = '2026-02-30T00:00' }").contains("2026-02-30"));
        assert!(problem("schedule = { from = '2026-11-02T00:00', to = '2026-11-01T00:00' }").contains("later than"));
        assert!(problem("schedule = { weekdays = [0] }").contains("1 to 7"));
        assert!(problem("arms = [{ id = 'a', percent = 60 }, { id = 'b', percent = 60 }]").contains("100 at most"));
        assert!(problem("audience = 'member.age > 3'").contains("line 1, column"));
        assert!(problem("caps = [{ window = 'event', points = 5, per = 'everyone' }]").contains("per"));
    }
}
