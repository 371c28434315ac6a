//! Permissions: what an operation asks for, as one bit each.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What an operation asks for. In text `noun:verb`, which is also its OAuth2 scope.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Permission { $($(#[$doc])* $name,)* }

        impl Permission {
            /// Every permission.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// `noun:verb`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

permissions! {
    /// The dashboards.
    ReportsRead = "reports:read",
    /// Members, wallets and transactions; personal fields masked.
    MembersRead = "members:read",
    /// Enrol members and change their profiles.
    MembersWrite = "members:write",
    /// See personal fields in full, each time with a reason.
    MembersReveal = "members:reveal",
    /// Correct balances by hand.
    MembersAdjust = "members:adjust",
    /// Merge two accounts of one person.
    MembersMerge = "members:merge",
    /// Close an account.
    MembersClose = "members:close",
    /// Export everything about a member.
    MembersExport = "members:export",
    /// Ask for the erasure of a member, or take the request back.
    MembersErase = "members:erase",
    /// Check membership cards.
    CardsVerify = "cards:verify",
    /// Record activities.
    ActivitiesWrite = "activities:write",
    /// See orders.
    OrdersRead = "orders:read",
    /// Create orders, fulfil, complete and cancel them.
    OrdersWrite = "orders:write",
    /// Look at orders that are reviewed first, approve and reject them.
    OrdersReview = "orders:review",
    /// Refund orders.
    OrdersRefund = "orders:refund",
    /// See the catalogue.
    RewardsRead = "rewards:read",
    /// See the program's documents.
    ProgramRead = "program:read",
    /// Propose new versions of the program's documents.
    ProgramWrite = "program:write",
    /// Bring in files of members and purchases.
    ImportsWrite = "imports:write",
    /// See what waits for another operator.
    ApprovalsRead = "approvals:read",
    /// Approve or reject what another operator has asked for.
    ApprovalsDecide = "approvals:decide",
    /// See operators and roles.
    OperatorsRead = "operators:read",
    /// Invite, change and suspend operators, and define roles.
    OperatorsWrite = "operators:write",
    /// See API keys and OAuth2 clients.
    ClientsRead = "clients:read",
    /// Issue, rotate and revoke API keys and OAuth2 clients.
    ClientsWrite = "clients:write",
    /// Rotate the master key of personal data.
    KeysRotate = "keys:rotate",
    /// See the audit log.
    AuditRead = "audit:read",
    /// Export the audit log.
    AuditExport = "audit:export",
    /// See consents, registers and retention.
    PrivacyRead = "privacy:read",
    /// Keep the registers, consent texts and retention periods.
    PrivacyWrite = "privacy:write",
    /// Read metrics.
    MetricsRead = "metrics:read",
    /// Follow the feed of events.
    EventsRead = "events:read",
    /// Take and end the tasks that rules ask for.
    TasksWrite = "tasks:write",
    /// Decide which reviews of rewards others may read.
    ReviewsModerate = "reviews:moderate",
    /// Put codes into the vault.
    CodesWrite = "codes:write",
    /// See the codes that orders were given.
    CodesRead = "codes:read",
    /// See suppliers, and what they and we know of orders differently.
    SuppliersRead = "suppliers:read",
    /// Keep suppliers.
    SuppliersWrite = "suppliers:write",
    /// Check vouchers, and hand out what they are for.
    VouchersRedeem = "vouchers:redeem",
    /// Let points pay at tills, with and without network.
    CheckoutsWrite = "checkouts:write",
    /// Change the stock of rewards.
    StockWrite = "stock:write",
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Permission {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.iter().copied().find(|known| known.name() == text).ok_or_else(|| {
            let shown: String = text.chars().take(64).collect();
            let known: Vec<&str> = Self::ALL.iter().map(|known| known.name()).collect();
            format!("there is no permission `{shown}`; there are {}", known.join(", "))
        })
    }
}

impl Serialize for Permission {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Permission {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A set of permissions.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions(u64);

impl Permissions {
    /// All of them.
    pub fn all() -> Self {
        Permission::ALL.iter().copied().collect()
    }

    /// Whether one is in the set.
    pub fn has(self, permission: Permission) -> bool {
        self.0 & 1 << permission as u8 != 0
    }

    /// Both sets together.
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What both sets have.
    pub fn within(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether everything in this set is in the other.
    pub fn are_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// One after the other.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.iter().copied().filter(move |permission| self.has(*permission))
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Self(permissions.into_iter().fold(0, |set, permission| set | 1 << permission as u8))
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Permission::name)).finish()
    }
}

impl Serialize for Permissions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Permissions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<Permission>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_permission_has_a_bit_and_a_name_of_its_own() {
        assert!(Permission::ALL.len() <= 64);
        let names: std::collections::BTreeSet<&str> = Permission::ALL.iter().map(|one| one.name()).collect();
        assert_eq!(names.len(), Permission::ALL.len());
        for one in Permission::ALL {
            assert_eq!(one.name().parse(), Ok(*one));
            assert!([*one].into_iter().collect::<Permissions>().iter().eq([*one]));
        }
        assert!("members:own".parse::<Permission>().unwrap_err().contains("members:read"));
    }
}
