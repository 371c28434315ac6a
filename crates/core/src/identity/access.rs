//! What an actor's grants come to in one program: what may be done anywhere, and what in some stores only.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::permission::{Permission, Permissions};

/// A role given for a program, and there for all stores or for some.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// The role's name.
    pub role: String,
    /// The program's id; `*`: all programs.
    #[serde(default = "everywhere")]
    pub program: String,
    /// Stores; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stores: Vec<String>,
}

fn everywhere() -> String {
    "*".to_owned()
}

/// What may be done in a program.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    anywhere: Permissions,
    stores: BTreeMap<String, Permissions>,
    /// What may be done somewhere: the whole of the above.
    somewhere: Permissions,
}

impl Access {
    /// The same permissions in all stores, or in some.
    pub fn new(permissions: Permissions, stores: &[String]) -> Self {
        let mut access = Self::default();
        access.add(permissions, stores);
        access
    }

    /// What some grants come to in a program; `role` tells what a role may do. An unknown role gives nothing.
    pub fn of(grants: &[Grant], program: &str, role: impl Fn(&str) -> Option<Permissions>) -> Self {
        let mut access = Self::default();
        for grant in grants.iter().filter(|grant| grant.program == "*" || grant.program == program) {
            access.add(role(&grant.role).unwrap_or_default(), &grant.stores);
        }
        access
    }

    fn add(&mut self, permissions: Permissions, stores: &[String]) {
        self.somewhere = self.somewhere.and(permissions);
        if stores.is_empty() {
            self.anywhere = self.anywhere.and(permissions);
        }
        for store in stores {
            let there = self.stores.entry(store.clone()).or_default();
            *there = there.and(permissions);
        }
    }

    /// What may be done in every store.
    pub fn anywhere(&self) -> Permissions {
        self.anywhere
    }

    /// What may be done in some store at least.
    pub fn somewhere(&self) -> Permissions {
        self.somewhere
    }

    /// Whether something may be done in a store; `None`: where no store is named.
    pub fn allows(&self, permission: Permission, store: Option<&str>) -> bool {
        self.anywhere.has(permission)
            || store.and_then(|store| self.stores.get(store)).is_some_and(|there| there.has(permission))
    }

    /// One of some permissions that is not allowed in all of some stores; of no stores: in every one. Who gives
    /// permissions on may lack none of them.
    pub fn lacks(&self, permissions: Permissions, stores: &[String]) -> Option<Permission> {
        let allowed = |permission| match stores {
            [] => self.allows(permission, None),
            stores => stores.iter().all(|store| self.allows(permission, Some(store))),
        };
        permissions.iter().find(|permission| !allowed(*permission))
    }

    /// The stores to which a permission is limited; empty when it is not.
    pub fn stores_for(&self, permission: Permission) -> Vec<&str> {
        if self.anywhere.has(permission) {
            return Vec::new();
        }
        self.stores.iter().filter(|(_, there)| there.has(permission)).map(|(store, _)| store.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::RoleName;
    use super::*;

    fn grant(role: &str, program: &str, stores: &[&str]) -> Grant {
        let stores = stores.iter().map(|store| (*store).to_owned()).collect();
        Grant { role: role.to_owned(), program: program.to_owned(), stores }
    }

    fn shipped(name: &str) -> Option<Permissions> {
        RoleName::from_name(name).map(RoleName::permissions)
    }

    #[test]
    fn grants_of_another_program_and_unknown_roles_give_nothing() {
        let grants = [grant("owner", "other", &[]), grant("ghost", "*", &[])];
        assert_eq!(Access::of(&grants, "club", shipped), Access::default());
    }

    #[test]
    fn a_store_s_staff_acts_in_its_store_only() {
        let grants = [grant("service", "club", &["north"]), grant("auditor", "*", &[])];
        let access = Access::of(&grants, "club", shipped);
        assert!(access.allows(Permission::ActivitiesWrite, Some("north")));
        assert!(!access.allows(Permission::ActivitiesWrite, Some("south")));
        assert!(!access.allows(Permission::ActivitiesWrite, None));
        assert!(access.allows(Permission::AuditRead, None) && access.allows(Permission::AuditRead, Some("south")));
        assert_eq!(access.stores_for(Permission::ActivitiesWrite), ["north"]);
        assert!(access.stores_for(Permission::AuditRead).is_empty());
    }

    #[test]
    fn nobody_gives_what_they_lack() {
        let grants = [grant("service", "club", &["north", "east"]), grant("developer", "*", &[])];
        let access = Access::of(&grants, "club", shipped);
        let stores = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let (write, read) = (Permission::ActivitiesWrite, Permission::ClientsRead);
        let both: Permissions = [write, read].into_iter().collect();
        assert_eq!(access.lacks(both, &stores(&["north"])), None);
        assert_eq!(access.lacks(both, &stores(&["north", "east"])), None);
        assert_eq!(access.lacks(both, &stores(&["north", "south"])), Some(write));
        assert_eq!(access.lacks(both, &[]), Some(write));
        assert_eq!(access.lacks([read].into_iter().collect(), &[]), None);
        assert_eq!(access.lacks(Permissions::all(), &[]), Some(Permission::MembersRead));
    }
}
