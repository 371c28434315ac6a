//! Permissions in words, in groups, to read or to choose from.

use guerdon_core::identity::{Permission, Permissions};

use super::frame::Frame;

/// The groups in the order in which they are shown; each is the end of the key of its title.
const GROUPS: [&str; 6] = ["members", "orders", "program", "control", "access", "data"];

/// A permission to read or to choose.
pub struct Choice {
    /// Its name in the API.
    pub name: &'static str,
    /// What it allows.
    pub words: String,
    /// Whether it is given.
    pub chosen: bool,
}

/// Permissions that belong together.
pub struct Group {
    /// What they are about.
    pub title: String,
    /// The permissions.
    pub choices: Vec<Choice>,
}

/// Where a permission is shown.
fn group(permission: Permission) -> &'static str {
    use Permission::*;
    match permission {
        MembersRead | MembersWrite | MembersAdjust | MembersMerge | MembersClose | CardsVerify | ActivitiesWrite
        | TasksWrite => "members",
        OrdersRead | OrdersWrite | OrdersReview | OrdersRefund | RewardsRead | CodesWrite | CodesRead
        | SuppliersRead | SuppliersWrite | VouchersRedeem | CheckoutsWrite | StockWrite | ReviewsModerate => "orders",
        ReportsRead | ProgramRead | ProgramWrite | ImportsWrite | MetricsRead | EventsRead => "program",
        ApprovalsRead | ApprovalsDecide | AuditRead | AuditExport => "control",
        OperatorsRead | OperatorsWrite | ClientsRead | ClientsWrite => "access",
        MembersReveal | MembersExport | MembersErase | PrivacyRead | PrivacyWrite | KeysRotate => "data",
    }
}

/// A permission in words.
pub fn words(frame: &Frame, permission: Permission) -> String {
    frame.t(&format!("permission-{}", permission.name().replace(':', "-")))
}

/// The permissions of `shown` in groups, those of `chosen` marked.
pub fn groups(frame: &Frame, shown: Permissions, chosen: Permissions) -> Vec<Group> {
    let choice = |one: Permission| Choice { name: one.name(), words: words(frame, one), chosen: chosen.has(one) };
    let of = |name: &&str| Group {
        title: frame.t(&format!("permission-group-{name}")),
        choices: shown.iter().filter(|one| group(*one) == *name).map(choice).collect(),
    };
    GROUPS.iter().map(of).filter(|group| !group.choices.is_empty()).collect()
}

/// Permissions by their names, as a form sends them; what is none is left out.
pub fn parse<'a>(names: impl Iterator<Item = &'a str>) -> Permissions {
    names.filter_map(|name| name.parse::<Permission>().ok()).collect()
}
