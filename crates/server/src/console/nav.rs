//! The navigation: the places of the console, and the pages under “Settings” in groups.

use guerdon_core::identity::Permission;

use super::frame::Frame;

/// The place in the navigation where a page belongs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The program at a glance.
    Overview,
    /// Members.
    Members,
    /// Earning rules.
    Rules,
    /// Campaigns.
    Campaigns,
    /// Rewards, and what is left of them.
    Catalogue,
    /// What is there of limited rewards.
    Stock,
    /// What rewards cost.
    Prices,
    /// What rewards look like.
    Pictures,
    /// The code vault.
    Codes,
    /// Partners that hand out.
    Suppliers,
    /// Every other document.
    Configuration,
    /// Changes on their way.
    Drafts,
    /// What an activity would earn.
    DryRun,
    /// What waits for another operator.
    Approvals,
    /// Orders to be reviewed and fulfilled.
    Orders,
    /// Where vouchers are redeemed.
    Pos,
    /// What members dispute.
    Disputes,
    /// What members say of rewards.
    Reviews,
    /// What rules ask operators to do.
    Tasks,
    /// The audit log.
    Audit,
    /// The transparency log.
    Proofs,
    /// Operators.
    Operators,
    /// What roles may do.
    Roles,
    /// Programs that call.
    Keys,
    /// What members consent to.
    Consents,
    /// Processing, assessments, sharing.
    Registers,
    /// How long what is kept.
    Retention,
    /// Who is about to be erased.
    Erasures,
    /// Files of purchases or members.
    Imports,
    /// One's own account.
    Account,
}

/// A page: where it is, its address, the key of its words, and the permission that opens it; none: every operator.
type Page = (Place, &'static str, &'static str, Option<Permission>);

/// The pages under “Settings”, in groups under the key of a title.
const SETTINGS: &[(&str, &[Page])] = &[
    (
        "nav-group-program",
        &[
            (Place::Rules, "/console/rules", "nav-rules", Some(Permission::ProgramRead)),
            (Place::Campaigns, "/console/campaigns", "nav-campaigns", Some(Permission::ProgramRead)),
            (Place::Catalogue, "/console/catalogue", "nav-catalogue", Some(Permission::RewardsRead)),
            (Place::Stock, "/console/stock", "nav-stock", Some(Permission::RewardsRead)),
            (Place::Prices, "/console/prices", "nav-prices", Some(Permission::RewardsRead)),
            (Place::Pictures, "/console/pictures", "nav-pictures", Some(Permission::ProgramRead)),
            (Place::Codes, "/console/codes", "nav-codes", Some(Permission::RewardsRead)),
            (Place::Suppliers, "/console/suppliers", "nav-suppliers", Some(Permission::SuppliersRead)),
            (Place::Drafts, "/console/drafts", "nav-drafts", Some(Permission::ProgramRead)),
            (Place::DryRun, "/console/dry-run", "nav-dry-run", Some(Permission::ProgramRead)),
            (Place::Configuration, "/console/configuration", "nav-configuration", Some(Permission::ProgramRead)),
        ],
    ),
    (
        "nav-group-control",
        &[
            (Place::Approvals, "/console/approvals", "nav-approvals", Some(Permission::ApprovalsRead)),
            (Place::Orders, "/console/orders", "nav-orders", Some(Permission::OrdersRead)),
            (Place::Pos, "/console/pos", "nav-pos", Some(Permission::VouchersRedeem)),
            (Place::Disputes, "/console/disputes", "nav-disputes", Some(Permission::OrdersReview)),
            (Place::Reviews, "/console/reviews", "nav-reviews", Some(Permission::ReviewsModerate)),
            (Place::Tasks, "/console/tasks", "nav-tasks", Some(Permission::TasksWrite)),
            (Place::Audit, "/console/audit", "nav-audit", Some(Permission::AuditRead)),
            (Place::Proofs, "/console/proofs", "nav-proofs", None),
        ],
    ),
    (
        "nav-group-access",
        &[
            (Place::Operators, "/console/operators", "nav-operators", Some(Permission::OperatorsRead)),
            (Place::Roles, "/console/roles", "nav-roles", Some(Permission::OperatorsRead)),
            (Place::Keys, "/console/keys", "nav-keys", Some(Permission::ClientsRead)),
        ],
    ),
    (
        "nav-group-data",
        &[
            (Place::Imports, "/console/imports", "nav-imports", Some(Permission::ImportsWrite)),
            (Place::Consents, "/console/consents", "nav-consents", Some(Permission::PrivacyRead)),
            (Place::Registers, "/console/registers", "nav-registers", Some(Permission::PrivacyRead)),
            (Place::Retention, "/console/retention", "nav-retention", Some(Permission::PrivacyRead)),
            (Place::Erasures, "/console/erasures", "nav-erasures", Some(Permission::MembersErase)),
        ],
    ),
];

/// A link in the navigation.
pub struct Link {
    /// Where it leads.
    pub address: &'static str,
    /// What it says.
    pub words: String,
    /// Whether it is this page.
    pub current: bool,
}

/// Links under a title.
pub struct LinkGroup {
    /// What they have in common.
    pub title: String,
    /// The links that are open to who looks.
    pub links: Vec<Link>,
}

impl Frame {
    /// The pages under “Settings” that who looks may open, in groups.
    pub fn settings(&self) -> Vec<LinkGroup> {
        if !self.is_signed_in() {
            return Vec::new();
        }
        // A counter belongs to a store.
        let open = |page: &&Page| match page.3 {
            Some(permission) if page.0 == Place::Pos => self.actor.access.somewhere().has(permission),
            permission => permission.is_none_or(|permission| self.actor.may(permission)),
        };
        let link = |(place, address, key, _): &Page| Link {
            address,
            words: self.t(key),
            current: self.place() == Some(*place),
        };
        let groups = SETTINGS.iter().map(|(title, pages)| LinkGroup {
            title: self.t(title),
            links: pages.iter().filter(open).map(link).collect(),
        });
        groups.filter(|group| !group.links.is_empty()).collect()
    }

    /// Whether the page is one of those under “Settings”.
    pub fn in_settings(&self) -> bool {
        SETTINGS.iter().flat_map(|(_, pages)| pages.iter()).any(|page| self.place() == Some(page.0))
    }

    /// Whether the page belongs to the overview.
    pub fn in_overview(&self) -> bool {
        self.place() == Some(Place::Overview)
    }

    /// Whether the page belongs to the members.
    pub fn in_members(&self) -> bool {
        self.place() == Some(Place::Members)
    }

    /// Whether the page is one's own account.
    pub fn in_account(&self) -> bool {
        self.place() == Some(Place::Account)
    }
}
