//! Roles: named sets of permissions, those that ship and those of one's own.

use serde::{Deserialize, Serialize};

use super::permission::{Permission, Permissions};
use crate::limits;

/// The roles that ship.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoleName {
    /// Everything, and the only one who makes owners.
    Owner,
    /// Everything but making owners.
    Administrator,
    /// Rules, campaigns and what they bring.
    Marketing,
    /// Rewards.
    Catalogue,
    /// Members at the counter and on the phone.
    Service,
    /// Balances, refunds and what they cost.
    Finance,
    /// Sees everything, changes nothing.
    Auditor,
    /// Keys, clients and metrics.
    Developer,
}

impl RoleName {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Owner,
        Self::Administrator,
        Self::Marketing,
        Self::Catalogue,
        Self::Service,
        Self::Finance,
        Self::Auditor,
        Self::Developer,
    ];

    /// The name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Administrator => "administrator",
            Self::Marketing => "marketing",
            Self::Catalogue => "catalogue",
            Self::Service => "service",
            Self::Finance => "finance",
            Self::Auditor => "auditor",
            Self::Developer => "developer",
        }
    }

    /// The role of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// What it may do.
    pub fn permissions(self) -> Permissions {
        use Permission::*;
        match self {
            Self::Owner | Self::Administrator => Permissions::all(),
            Self::Marketing => set(&[
                ReportsRead,
                MembersRead,
                RewardsRead,
                ProgramRead,
                ProgramWrite,
                ApprovalsRead,
                ApprovalsDecide,
                ReviewsModerate,
            ]),
            Self::Catalogue => set(&[
                ReportsRead,
                RewardsRead,
                ProgramRead,
                ProgramWrite,
                OrdersRead,
                ApprovalsRead,
                CodesWrite,
                SuppliersRead,
                SuppliersWrite,
                StockWrite,
                ReviewsModerate,
            ]),
            Self::Service => set(&[
                MembersRead,
                MembersWrite,
                MembersReveal,
                MembersAdjust,
                MembersMerge,
                MembersClose,
                MembersExport,
                MembersErase,
                CardsVerify,
                ActivitiesWrite,
                OrdersRead,
                OrdersWrite,
                OrdersReview,
                OrdersRefund,
                RewardsRead,
                ApprovalsRead,
                TasksWrite,
                CodesRead,
                SuppliersRead,
                VouchersRedeem,
                ReviewsModerate,
            ]),
            Self::Finance => set(&[
                ReportsRead,
                MembersRead,
                MembersAdjust,
                OrdersRead,
                OrdersRefund,
                RewardsRead,
                ProgramRead,
                ApprovalsRead,
                ApprovalsDecide,
                AuditRead,
            ]),
            Self::Auditor => set(&[
                ReportsRead,
                MembersRead,
                OrdersRead,
                RewardsRead,
                ProgramRead,
                ApprovalsRead,
                OperatorsRead,
                ClientsRead,
                AuditRead,
                AuditExport,
                PrivacyRead,
                MetricsRead,
                EventsRead,
                SuppliersRead,
            ]),
            Self::Developer => {
                set(&[ReportsRead, RewardsRead, ProgramRead, ClientsRead, ClientsWrite, MetricsRead, EventsRead])
            }
        }
    }
}

fn set(permissions: &[Permission]) -> Permissions {
    permissions.iter().copied().collect()
}

/// A role of one's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// 1–64 lower-case letters, digits and hyphens; none that ships.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What it may do.
    pub permissions: Permissions,
}

impl Role {
    /// Checks every field; the message names it.
    pub fn validate(&self) -> Result<(), String> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if self.name.is_empty() || self.name.len() > 64 || !self.name.bytes().all(fits) {
            return Err("`name` must have 1 to 64 lower-case letters, digits and hyphens".to_owned());
        }
        if RoleName::from_name(&self.name).is_some() {
            return Err(format!(
                "the role `{}` ships with Guerdon and cannot be changed; choose another name",
                self.name
            ));
        }
        limits::check_text("description", &self.description, limits::TEXT_CHARS)?;
        if self.permissions.is_empty() {
            return Err("`permissions` is empty: a role must allow something".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_auditor_changes_nothing() {
        for permission in RoleName::Auditor.permissions().iter() {
            assert!(permission.name().ends_with(":read") || permission.name().ends_with(":export"), "{permission}");
        }
    }

    #[test]
    fn a_role_that_ships_is_not_redefined() {
        let role = |name: &str| Role {
            name: name.to_owned(),
            description: "Till".to_owned(),
            permissions: set(&[Permission::CardsVerify]),
        };
        assert!(role("owner").validate().unwrap_err().contains("ships"));
        assert!(role("Till").validate().unwrap_err().contains("lower-case"));
        assert_eq!(role("till").validate(), Ok(()));
    }
}
