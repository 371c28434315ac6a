//! How the server meets the network: the settings of `serve` and `demo`.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use guerdon_server::edge::{Edge, ForwardedHeader, Limits, PublicUrl, SecurityContact, Tls, Trust, parse_networks};
use guerdon_server::outbound::{Outbound, OutboundOptions};

/// TLS, proxies, limits, and calls to others.
#[derive(Args, Clone)]
pub struct EdgeArgs {
    /// The certificate chain, PEM. It and the key are looked at every two seconds: new ones need no restart.
    #[arg(long, env = "GUERDON_TLS_CERTIFICATE", value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// The private key of the certificate, PEM.
    #[arg(long, env = "GUERDON_TLS_KEY", value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// Networks of the proxies in front, such as 10.0.0.0/8,192.168.1.7: they terminate TLS and name the caller.
    #[arg(long, env = "GUERDON_TRUSTED_PROXY", value_name = "CIDR[,CIDR]", default_value = "")]
    trusted_proxy: String,
    /// The header in which they name the caller.
    #[arg(long, env = "GUERDON_FORWARDED_HEADER", value_enum, default_value = "x-forwarded-for")]
    forwarded_header: HeaderName,
    /// The address under which people reach the server, for links, cookies, passkeys and sign-in by others:
    /// https://loyalty.example. Left out on loopback: http://localhost and the port.
    #[arg(long, env = "GUERDON_PUBLIC_URL", value_name = "URL")]
    public_url: Option<PublicUrl>,
    /// Whom to tell of a weakness, in /.well-known/security.txt: mailto:… or https://…
    #[arg(long, env = "GUERDON_SECURITY_CONTACT", value_name = "URI")]
    security_contact: Option<SecurityContact>,
    /// Connections at once; more wait.
    #[arg(long, env = "GUERDON_MAX_CONNECTIONS", value_name = "COUNT", default_value = "4096")]
    max_connections: NonZeroUsize,
    /// Connections at once from one address; more are closed. Loopback and trusted proxies have no limit.
    #[arg(long, env = "GUERDON_MAX_CONNECTIONS_PER_ADDRESS", value_name = "COUNT", default_value = "1024")]
    max_connections_per_address: NonZeroUsize,
    /// Seconds in which the head of a request must have come.
    #[arg(long, env = "GUERDON_HEAD_TIME", value_name = "SECONDS", default_value = "15",
        value_parser = clap::value_parser!(u64).range(1..=300))]
    head_time: u64,
    /// Private networks that the server may call, such as 10.1.2.0/24 for an SMS gateway; left out: none.
    #[arg(long, env = "GUERDON_ALLOW_PRIVATE_OUTBOUND", value_name = "CIDR[,CIDR]", default_value = "")]
    allow_private_outbound: String,
    /// Hosts that the server may call without TLS; left out: none.
    #[arg(long, env = "GUERDON_ALLOW_HTTP_OUTBOUND", value_name = "HOST[,HOST]", value_delimiter = ',')]
    allow_http_outbound: Vec<String>,
}

/// The headers that proxies use.
#[derive(Clone, Copy, ValueEnum)]
enum HeaderName {
    /// X-Forwarded-For and X-Forwarded-Proto.
    XForwardedFor,
    /// Forwarded (RFC 7239).
    Forwarded,
}

impl EdgeArgs {
    /// The edge of a server on an address. Refuses to face a network in the clear.
    pub fn edge(&self, listen: SocketAddr) -> Result<Edge> {
        let trust = Trust {
            proxies: parse_networks(&self.trusted_proxy).context("--trusted-proxy")?,
            header: match self.forwarded_header {
                HeaderName::XForwardedFor => ForwardedHeader::XForwardedFor,
                HeaderName::Forwarded => ForwardedHeader::Forwarded,
            },
        };
        let tls = match (&self.tls_certificate, &self.tls_key) {
            (Some(certificate), Some(key)) => Some(Arc::new(Tls::open(certificate, key)?)),
            _ => None,
        };
        let faces_network = !listen.ip().to_canonical().is_loopback();
        if faces_network && tls.is_none() && trust.proxies.is_empty() {
            bail!(
                "{listen} faces a network, and everything would travel in the clear: give a certificate with \
                 --tls-certificate and --tls-key, or name the proxy in front that terminates TLS with --trusted-proxy, \
                 or listen on 127.0.0.1"
            );
        }
        Ok(Edge {
            proxies_only: faces_network && tls.is_none(),
            tls,
            trust,
            public_url: self.public_url.clone(),
            limits: Limits {
                connections: self.max_connections.get(),
                connections_per_address: self.max_connections_per_address.get(),
                head_time: Duration::from_secs(self.head_time),
                ..Limits::default()
            },
        })
    }

    /// Whom to tell of a weakness.
    pub fn security_contact(&self) -> Option<SecurityContact> {
        self.security_contact.clone()
    }

    /// The client for calls to others.
    pub fn outbound(&self) -> Result<Outbound> {
        let options = OutboundOptions {
            private_networks: parse_networks(&self.allow_private_outbound).context("--allow-private-outbound")?,
            plain_hosts: self.allow_http_outbound.clone(),
            ..OutboundOptions::default()
        };
        Ok(Outbound::new(options))
    }
}

/// The public address of a server that has none set: its own, on this machine.
pub fn default_public_url(edge: &Edge, address: SocketAddr) -> Result<Option<PublicUrl>> {
    if edge.public_url.is_some() || !address.ip().is_loopback() || !edge.trust.proxies.is_empty() {
        return Ok(edge.public_url.clone());
    }
    Ok(Some(PublicUrl::local(edge.tls.is_some(), address.port())?))
}
