//! The address under which people reach the server: links, cookies and redirects are made from it.

use std::str::FromStr;
use std::sync::Arc;

use url::{Host, Url};

/// A public address: `https://loyalty.example`, or plain `http` for this machine alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    url: Url,
    origin: Arc<str>,
}

/// An address that is no public address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{url}` cannot be the public address: {reason}; it looks like https://loyalty.example")]
pub struct InvalidPublicUrl {
    url: String,
    reason: String,
}

impl FromStr for PublicUrl {
    type Err = InvalidPublicUrl;

    fn from_str(text: &str) -> Result<Self, InvalidPublicUrl> {
        let invalid = |reason: &str| InvalidPublicUrl { url: text.to_owned(), reason: reason.to_owned() };
        let url = Url::parse(text).map_err(|error| invalid(&error.to_string()))?;
        let local = match url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => return Err(invalid("it has no host")),
        };
        match url.scheme() {
            "https" => {}
            "http" if local => {}
            "http" => return Err(invalid("plain http would send passwords in the clear")),
            _ => return Err(invalid("it is not an https address")),
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(invalid("it has a path, and the server stands at the root of its host"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("it holds a name or password"));
        }
        let origin = url.origin().ascii_serialization().into();
        Ok(Self { url, origin })
    }
}

impl PublicUrl {
    /// The address of a server on this machine.
    pub fn local(https: bool, port: u16) -> Result<Self, InvalidPublicUrl> {
        let scheme = if https { "https" } else { "http" };
        format!("{scheme}://localhost:{port}").parse()
    }

    /// Scheme, host and port, without a slash at the end.
    pub fn origin(&self) -> Arc<str> {
        Arc::clone(&self.origin)
    }

    /// Whether connections to it are encrypted.
    pub fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// The host without the port, which passkeys are bound to.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// The address in full.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The address of a page: `path` begins with a slash.
    pub fn page(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_address_is_https_and_a_root() {
        let url: PublicUrl = "https://Loyalty.Example:8443/".parse().unwrap();
        assert_eq!(&*url.origin(), "https://loyalty.example:8443");
        assert_eq!((url.host(), url.is_https()), ("loyalty.example", true));
        assert_eq!(url.page("/console"), "https://loyalty.example:8443/console");
        assert_eq!(&*PublicUrl::local(false, 8080).unwrap().origin(), "http://localhost:8080");
        assert!("http://127.0.0.1:1".parse::<PublicUrl>().is_ok());
    }

    #[test]
    fn others_are_refused_with_a_reason() {
        for (text, reason) in [
            ("loyalty.example", "relative URL"),
            ("http://loyalty.example", "in the clear"),
            ("ftp://loyalty.example", "not an https address"),
            ("https://loyalty.example/shop", "has a path"),
            ("https://loyalty.example/?a", "has a path"),
            ("https://ann:secret@loyalty.example", "name or password"),
            ("data:x", "no host"),
        ] {
            let error = text.parse::<PublicUrl>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
