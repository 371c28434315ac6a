//! Which addresses the server may call: what it may be talked into must not reach the network it stands in.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// What a look-up of a name gives.
pub type Found = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Finds the addresses of a name.
pub trait Lookup: Send + Sync + 'static {
    /// The addresses of `host`.
    fn lookup(&self, host: String) -> Found;
}

/// The machine's own way of finding names.
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, host: String) -> Found {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, 0)).await?.map(|socket| socket.ip()).collect()) })
    }
}

/// Why an address may not be called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// It lies in a network that is not the Internet.
    #[error("{0} is not a public address; if it is meant, allow its network with --allow-private-outbound")]
    Address(IpAddr),
    /// The name has only such addresses, or none.
    #[error("`{0}` has no public address; if it is meant, allow its network with --allow-private-outbound")]
    Name(String),
    /// It would travel in the clear.
    #[error("`{0}` would be called without TLS; if it is meant, allow it with --allow-http-outbound")]
    Plain(String),
    /// It is neither https nor http, or has no host.
    #[error("only https addresses can be called")]
    Scheme,
    /// Addresses are logged, and passwords are not.
    #[error("the address holds a name or password; they belong into a header")]
    Password,
}

/// The rule, and the networks and hosts that are excepted from it.
pub struct Guard {
    pub private_networks: Vec<IpNet>,
    pub plain_hosts: Vec<String>,
    pub lookup: Arc<dyn Lookup>,
}

impl Guard {
    /// Whether a URL may be called. The addresses behind a name are judged when it is connected to.
    pub fn check(&self, url: &Url) -> Result<(), Forbidden> {
        let host = url.host().ok_or(Forbidden::Scheme)?;
        let name = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        match url.scheme() {
            "https" => {}
            "http" if self.plain_hosts.iter().any(|plain| plain.eq_ignore_ascii_case(name)) => {}
            "http" => return Err(Forbidden::Plain(name.to_owned())),
            _ => return Err(Forbidden::Scheme),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Forbidden::Password);
        }
        // The parser has turned 0x7f.1, 2130706433 and the like into the address that they mean.
        let literal = match host {
            Host::Domain(_) => return Ok(()),
            Host::Ipv4(address) => IpAddr::V4(address),
            Host::Ipv6(address) => IpAddr::V6(address),
        };
        if self.may_call(literal) { Ok(()) } else { Err(Forbidden::Address(literal)) }
    }

    /// Whether an address may be connected to.
    pub fn may_call(&self, address: IpAddr) -> bool {
        let meant = meant(address);
        self.private_networks.iter().any(|network| network.contains(&meant)) || is_public(meant)
    }
}

/// Hands the connector nothing but addresses that may be called: between check and use no name is looked up again.
pub struct GuardedResolver(pub Arc<Guard>);

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = Arc::clone(&self.0);
        let host = name.as_str().to_owned();
        Box::pin(async move {
            let mut found = guard.lookup.lookup(host.clone()).await?;
            found.retain(|address| guard.may_call(*address));
            if found.is_empty() {
                return Err(Forbidden::Name(host).into());
            }
            let addresses: Addrs = Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}

/// The address that packets go to in the end: that of IPv4 inside one of IPv6 (mapped, or behind NAT64).
fn meant(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address.to_canonical() else { return address.to_canonical() };
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            IpAddr::V4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
        }
        _ => IpAddr::V6(v6),
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

/// By the registry of special-purpose addresses (RFC 6890 and IANA's list after it).
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = matches!(
        (a, b, c),
        (0 | 10 | 127, _, _)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
            | (224..=255, _, _)
    );
    // A cloud gives its machines their secrets at this one, though it looks public.
    !special && address != Ipv4Addr::new(168, 63, 129, 16)
}

/// What is handed out to the Internet (2000::/3), without what of it is set apart or wraps addresses of IPv4.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let global = a & 0xe000 == 0x2000;
    let special = matches!((a, b), (0x2001, 0..=0x1ff | 0xdb8) | (0x2002, _) | (0x3fff, 0..=0xfff));
    global && !special
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::parse_networks;

    fn guard(networks: &str, hosts: &[&str]) -> Guard {
        Guard {
            private_networks: parse_networks(networks).unwrap(),
            plain_hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            lookup: Arc::new(SystemLookup),
        }
    }

    fn check(guard: &Guard, url: &str) -> Result<(), Forbidden> {
        guard.check(&Url::parse(url).unwrap())
    }

    #[test]
    fn addresses_that_are_not_the_internet_are_refused() {
        let guard = guard("", &[]);
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.170",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "168.63.129.16",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "100::1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:808:808::",
            "3fff::1",
            "5f00::1",
        ] {
            assert!(!guard.may_call(address.parse().unwrap()), "{address}");
        }
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.0.1",
            "100.128.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2400:3200::1",
            "2001:4860:4860::8888",
            "64:ff9b::808:808",
            "::ffff:8.8.8.8",
        ] {
            assert!(guard.may_call(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn every_way_to_write_an_address_means_that_address() {
        let guard = guard("", &[]);
        for host in [
            "127.0.0.1",
            "127.1",
            "0x7f.0.0.1",
            "0x7f000001",
            "2130706433",
            "0177.0.0.1",
            "017700000001",
            "127.0.0.1.",
            "%31%32%37.0.0.1",
            "１２７.0.0.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[0:0:0:0:0:ffff:7f00:1]",
            "0",
            "0x0",
            "169.254.169.254",
            "2852039166",
            "0xa9fea9fe",
            "[64:ff9b::169.254.169.254]",
            "[fd00:ec2::254]",
        ] {
            let refused = check(&guard, &format!("https://{host}/latest/meta-data"));
            assert!(matches!(refused, Err(Forbidden::Address(_))), "{host}: {refused:?}");
        }
        assert_eq!(check(&guard, "https://8.8.8.8/"), Ok(()));
        assert_eq!(check(&guard, "https://localhost/"), Ok(()), "a name is judged by the addresses it has");
    }

    #[test]
    fn only_https_without_a_password_and_http_where_it_is_allowed() {
        let guard = guard("127.0.0.0/8", &["SMS.example", "127.0.0.1"]);
        assert_eq!(check(&guard, "http://sms.example/send"), Ok(()));
        assert_eq!(check(&guard, "http://127.0.0.1:4000/send"), Ok(()));
        assert_eq!(check(&guard, "http://other.example/"), Err(Forbidden::Plain("other.example".into())));
        assert_eq!(
            check(&guard, "http://sms.example.evil.example/"),
            Err(Forbidden::Plain("sms.example.evil.example".into()))
        );
        assert_eq!(check(&guard, "https://ann:secret@sms.example/"), Err(Forbidden::Password));
        for url in ["ftp://sms.example/", "file:///etc/passwd", "gopher://sms.example/", "data:text/plain,x"] {
            assert_eq!(check(&guard, url), Err(Forbidden::Scheme), "{url}");
        }
    }

    #[test]
    fn allowed_networks_are_allowed_however_they_are_written() {
        let guard = guard("10.1.2.0/24,fd12::/16", &[]);
        for address in ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "fd12::1"] {
            assert!(guard.may_call(address.parse().unwrap()), "{address}");
        }
        assert!(!guard.may_call("10.1.3.3".parse().unwrap()));
    }
}
