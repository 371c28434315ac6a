//! Counts what each address has open, so that one caller cannot take every seat.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// How many things each address has open.
#[derive(Default)]
pub struct Addresses {
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// One thing that an address has open; gone when dropped.
pub struct Held {
    addresses: Arc<Addresses>,
    address: IpAddr,
}

impl Addresses {
    /// Takes one more for an address, unless it has `most` already.
    pub fn take(self: &Arc<Self>, address: IpAddr, most: usize) -> Option<Held> {
        let address = network(address);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_default();
        if *count >= most {
            if *count == 0 {
                open.remove(&address);
            }
            return None;
        }
        *count += 1;
        Some(Held { addresses: Arc::clone(self), address })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut open = self.addresses.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

/// A household has a /64 of IPv6 for itself, so its addresses count as one.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_share_and_gives_it_back() {
        let addresses = Arc::new(Addresses::default());
        let one: IpAddr = "192.0.2.1".parse().unwrap();
        let first = addresses.take(one, 2).unwrap();
        let _second = addresses.take(one, 2).unwrap();
        assert!(addresses.take(one, 2).is_none());
        assert!(addresses.take("192.0.2.2".parse().unwrap(), 2).is_some());
        drop(first);
        assert!(addresses.take(one, 2).is_some());
        assert!(addresses.take("192.0.2.9".parse().unwrap(), 0).is_none());
        assert_eq!(addresses.open.lock().unwrap().len(), 1, "who has nothing open is forgotten");
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one() {
        let addresses = Arc::new(Addresses::default());
        let _held = addresses.take("2001:db8:1:2::1".parse().unwrap(), 1).unwrap();
        assert!(addresses.take("2001:db8:1:2:ffff::9".parse().unwrap(), 1).is_none());
        assert!(addresses.take("2001:db8:1:3::1".parse().unwrap(), 1).is_some());
    }
}
