//! What a program that calls may do, from where, and how often: the same for API keys and OAuth2 clients.

use std::net::IpAddr;

use guerdon_core::identity::{Access, Permissions};
use guerdon_core::limits;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::limit::Limit;

/// Stores and networks of one program at the most.
const MOST_STORES: usize = 1_000;
const MOST_NETWORKS: usize = 100;
/// What a program may do, from where, and how often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    /// What it may do.
    pub permissions: Permissions,
    /// In which stores; empty: in all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stores: Vec<String>,
    /// From which networks it may come; empty: from all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<IpNet>,
    /// How often it may ask; left out: as often as its kind usually may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Limit>,
}

impl Allowance {
    /// An allowance as people write it; the message names the field that does not fit.
    pub fn parse<P: AsRef<str>>(
        permissions: &[P],
        stores: Vec<String>,
        networks: &[P],
        rate: Option<Limit>,
    ) -> Result<Self, String> {
        let named = |name: &P| name.as_ref().parse().map_err(|problem| format!("`permissions`: {problem}"));
        let permissions: Permissions = permissions.iter().map(named).collect::<Result<_, _>>()?;
        if permissions.is_empty() {
            return Err("`permissions` is empty: name what the program may do, such as `activities:write`".to_owned());
        }
        if stores.len() > MOST_STORES {
            return Err(format!("`stores` holds {}; at most {MOST_STORES} are allowed", stores.len()));
        }
        for store in &stores {
            limits::check_text("stores", store, limits::KEY_CHARS)?;
        }
        if networks.len() > MOST_NETWORKS {
            return Err(format!("`networks` holds {}; at most {MOST_NETWORKS} are allowed", networks.len()));
        }
        let networks = networks.iter().map(|text| network(text.as_ref())).collect::<Result<_, _>>()?;
        Ok(Self { permissions, stores, networks, rate })
    }

    /// What it comes to at the gate.
    pub fn access(&self) -> Access {
        Access::new(self.permissions, &self.stores)
    }

    /// Whether an address is in one of the networks.
    pub fn admits(&self, address: IpAddr) -> bool {
        self.networks.is_empty() || self.networks.iter().any(|network| network.contains(&address))
    }

    /// The networks as text.
    pub fn network_names(&self) -> Vec<String> {
        self.networks.iter().map(IpNet::to_string).collect()
    }
}

/// A network such as `10.0.0.0/8`, or a single address.
fn network(text: &str) -> Result<IpNet, String> {
    let single = || text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
    let network = text.parse::<IpNet>().or_else(|_| single()).map(|network| network.trunc());
    network.map_err(|_| {
        let shown: String = text.chars().take(64).collect();
        format!("`networks`: `{shown}` is neither an address such as 192.0.2.7 nor a network such as 192.0.2.0/24")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(permissions: &[&str], networks: &[&str], rate: Option<Limit>) -> Result<Allowance, String> {
        Allowance::parse(permissions, vec!["north".to_owned()], networks, rate)
    }

    #[test]
    fn an_allowance_is_read_as_people_write_it() {
        let rate = Some("90/min".parse().unwrap());
        let allowance = parse(&["members:read"], &["192.0.2.9/24", "2001:db8::1", "::ffff:10.0.0.1"], rate).unwrap();
        assert_eq!(allowance.network_names(), ["192.0.2.0/24", "2001:db8::1/128", "10.0.0.1/32"]);
        for (address, inside) in [("192.0.2.200", true), ("192.0.3.1", false), ("10.0.0.1", true), ("::1", false)] {
            assert_eq!(allowance.admits(address.parse().unwrap()), inside, "{address}");
        }
        assert!(parse(&["members:read"], &[], None).unwrap().admits("::1".parse().unwrap()));
        let text = serde_json::to_string(&allowance).unwrap();
        assert_eq!(serde_json::from_str::<Allowance>(&text).unwrap(), allowance);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (result, word) in [
            (parse(&[], &[], None), "`permissions` is empty"),
            (parse(&["members:own"], &[], None), "members:own"),
            (parse(&["members:read"], &["10.0.0.0/33"], None), "10.0.0.0/33"),
            (parse(&["members:read"], &["10.0.0.1"; 101], None), "at most 100"),
            (Allowance::parse(&["members:read"], vec![String::new()], &[], None), "`stores` is empty"),
        ] {
            let problem = result.unwrap_err();
            assert!(problem.contains(word), "{problem}");
        }
    }
}
