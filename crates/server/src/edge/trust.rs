//! Who is calling: the peer of the connection, or whom a trusted proxy names.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::http::header::FORWARDED;
use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

use super::PublicUrl;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Proxies in a row that are looked at.
const HOPS: usize = 16;

/// The address of the caller, never a trusted proxy's own unless it calls for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddress(pub IpAddr);

/// How the caller reaches the server from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct External {
    /// Whether the caller's connection is encrypted.
    pub https: bool,
    /// Scheme, host and port of the public address, such as `https://loyalty.example`; `None` when it was not set.
    pub origin: Option<Arc<str>>,
}

/// The header in which trusted proxies name the caller. Only one is read: a proxy that writes one passes the other on
/// as the caller sent it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For` and `X-Forwarded-Proto`.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// Whose word on the caller's address is taken.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// Networks of proxies.
    pub proxies: Vec<IpNet>,
    /// Where they name the caller.
    pub header: ForwardedHeader,
}

/// A network that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is neither an address such as 10.0.0.7 nor a network such as 10.0.0.0/8")]
pub struct InvalidNetwork(String);

/// Reads networks and single addresses, separated by commas.
pub fn parse_networks(text: &str) -> Result<Vec<IpNet>, InvalidNetwork> {
    let network = |part: &str| {
        let single = || part.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
        part.parse::<IpNet>().or_else(|_| single()).map_err(|_| InvalidNetwork(part.to_owned()))
    };
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(network).collect()
}

impl Trust {
    /// Whether an address is a trusted proxy's.
    pub fn is_proxy(&self, address: IpAddr) -> bool {
        self.proxies.iter().any(|network| network.contains(&address))
    }

    /// Who calls, and how.
    pub fn caller(
        &self,
        peer: IpAddr,
        tls: bool,
        public_url: Option<&PublicUrl>,
        headers: &HeaderMap,
    ) -> (ClientAddress, External) {
        let (address, said) =
            if self.proxies.is_empty() || !self.is_proxy(peer) { (peer, None) } else { self.forwarded(peer, headers) };
        let https = tls || said.unwrap_or(false) || public_url.is_some_and(PublicUrl::is_https);
        (ClientAddress(address), External { https, origin: public_url.map(PublicUrl::origin) })
    }

    /// The right-most address that is not a trusted proxy's, and whether it came by https.
    fn forwarded(&self, peer: IpAddr, headers: &HeaderMap) -> (IpAddr, Option<bool>) {
        match self.header {
            ForwardedHeader::XForwardedFor => {
                let proto = last(headers, &FORWARDED_PROTO).map(|proto| proto.eq_ignore_ascii_case("https"));
                let hops = elements(headers, &FORWARDED_FOR).map(|element| (address(element), None));
                let (address, _) = self.walk(peer, hops);
                (address, proto)
            }
            ForwardedHeader::Forwarded => {
                let hops = elements(headers, &FORWARDED).map(|element| {
                    let https = parameter(element, "proto").map(|proto| proto.eq_ignore_ascii_case("https"));
                    (parameter(element, "for").and_then(address), https)
                });
                self.walk(peer, hops)
            }
        }
    }

    /// Goes from the nearest hop outwards, as far as each is named by one that is trusted.
    fn walk(&self, peer: IpAddr, hops: impl Iterator<Item = (Option<IpAddr>, Option<bool>)>) -> (IpAddr, Option<bool>) {
        let mut known = (peer, None);
        for (address, https) in hops.take(HOPS) {
            // What cannot be read names nobody; the last one who was named stands for the caller.
            let Some(address) = address else { break };
            known = (address, https.or(known.1));
            if !self.is_proxy(address) {
                break;
            }
        }
        known
    }
}

/// The elements of a list header, the last first.
fn elements<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> + use<'a> {
    // A line that is not text names nobody, and hides what stands before it.
    let lines: Vec<&str> = headers.get_all(name).iter().map(|line| line.to_str().unwrap_or("")).collect();
    lines.into_iter().rev().flat_map(|line| line.rsplit(',')).map(str::trim)
}

fn last<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    elements(headers, name).next()
}

/// The value of a parameter of an element of `Forwarded`, without its quotes.
fn parameter<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    element.split(';').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        let value = value.trim();
        let bare = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        key.trim().eq_ignore_ascii_case(name).then_some(bare)
    })
}

/// An address with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(header: ForwardedHeader, peer: &str, lines: &[(&'static str, &str)]) -> (String, bool) {
        let trust = Trust { proxies: parse_networks("10.0.0.0/8, 2001:db8::/32,127.0.0.1").unwrap(), header };
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        let (ClientAddress(address), external) = trust.caller(peer.parse().unwrap(), false, None, &headers);
        (address.to_string(), external.https)
    }

    #[test]
    fn only_a_trusted_proxy_may_name_the_caller() {
        let lines = [("x-forwarded-for", "192.0.2.1"), ("x-forwarded-proto", "https"), ("forwarded", "for=192.0.2.2")];
        let x = ForwardedHeader::XForwardedFor;
        assert_eq!(caller(x, "203.0.113.5", &lines), ("203.0.113.5".into(), false));
        assert_eq!(caller(x, "10.1.2.3", &lines), ("192.0.2.1".into(), true));
        // The header that was not chosen may come from the caller.
        assert_eq!(caller(ForwardedHeader::Forwarded, "10.1.2.3", &lines), ("192.0.2.2".into(), false));
        assert_eq!(caller(x, "10.1.2.3", &[]), ("10.1.2.3".into(), false));
        let nobody = Trust::default();
        let mut headers = HeaderMap::new();
        headers.insert(FORWARDED_FOR, "192.0.2.1".parse().unwrap());
        let (address, _) = nobody.caller("127.0.0.1".parse().unwrap(), false, None, &headers);
        assert_eq!(address.0.to_string(), "127.0.0.1");
    }

    #[test]
    fn what_the_caller_wrote_itself_stands_left_of_what_proxies_add() {
        let x = |value: &str| caller(ForwardedHeader::XForwardedFor, "10.0.0.1", &[("x-forwarded-for", value)]).0;
        assert_eq!(x("1.1.1.1, 192.0.2.7"), "192.0.2.7");
        assert_eq!(x("1.1.1.1, 192.0.2.7, 10.0.0.9"), "192.0.2.7");
        assert_eq!(x("1.1.1.1, garbage, 10.0.0.9"), "10.0.0.9");
        assert_eq!(x("10.0.0.8, 10.0.0.9"), "10.0.0.8");
        assert_eq!(x(""), "10.0.0.1");
        assert_eq!(x("192.0.2.7:4711"), "192.0.2.7");
        assert_eq!(x("[2001:4860::1]:443"), "2001:4860::1");
        assert_eq!(x("::ffff:192.0.2.7"), "192.0.2.7");
        let two = [("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "192.0.2.7")];
        assert_eq!(caller(ForwardedHeader::XForwardedFor, "10.0.0.1", &two).0, "192.0.2.7");
    }

    #[test]
    fn forwarded_of_rfc_7239_is_read() {
        let rfc = |value: &str| caller(ForwardedHeader::Forwarded, "10.0.0.1", &[("forwarded", value)]);
        assert_eq!(rfc("for=192.0.2.43;proto=https;by=203.0.113.43"), ("192.0.2.43".into(), true));
        assert_eq!(rfc("For=\"[2001:4860::17]:4711\""), ("2001:4860::17".into(), false));
        assert_eq!(rfc("for=1.1.1.1, for=192.0.2.43;proto=http, for=10.0.0.2"), ("192.0.2.43".into(), false));
        assert_eq!(rfc("for=192.0.2.43, for=unknown"), ("10.0.0.1".into(), false));
    }

    #[test]
    fn networks_and_single_addresses_are_read() {
        assert_eq!(parse_networks("10.0.0.7,fd00::/8,").unwrap().len(), 2);
        assert!(parse_networks("10.0.0.0/33").unwrap_err().to_string().contains("10.0.0.0/33"));
    }
}
