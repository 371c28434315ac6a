//! Calls to other servers — SMS gateways, identity providers — guarded against being talked into calling this network.

mod guard;

use std::error::Error as _;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{Request, Response};
use ipnet::IpNet;
use openidconnect::AsyncHttpClient;
use url::Url;

use guard::{Guard, GuardedResolver};

pub use guard::{Forbidden, Found, Lookup, SystemLookup};

/// Longest time to connect, TLS included.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// Longest time of a call.
const CALL_TIME: Duration = Duration::from_secs(15);
/// Largest answer that is read, in bytes.
const ANSWER_BYTES: usize = 1 << 20;
/// Largest body that is sent, in bytes.
const BODY_BYTES: usize = 1 << 20;

/// What may be called besides the Internet by https.
pub struct OutboundOptions {
    /// Networks that are not public, and may be called all the same.
    pub private_networks: Vec<IpNet>,
    /// Hosts that may be called without TLS.
    pub plain_hosts: Vec<String>,
    /// How names are looked up.
    pub lookup: Arc<dyn Lookup>,
    /// Longest time of a call.
    pub call_time: Duration,
}

impl Default for OutboundOptions {
    fn default() -> Self {
        Self {
            private_networks: Vec::new(),
            plain_hosts: Vec::new(),
            lookup: Arc::new(SystemLookup),
            call_time: CALL_TIME,
        }
    }
}

/// Why a call failed. Addresses in it are without their query, which may hold secrets.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// It was not made, because it may not be.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The address cannot be read.
    #[error("the address cannot be called: {0}")]
    InvalidUrl(#[from] url::ParseError),
    /// What was to be sent, or what was answered, is larger than 1 MiB.
    #[error("the {0} is larger than 1 MiB")]
    TooLarge(&'static str),
    /// It took too long.
    #[error("{0} did not answer in time")]
    TimedOut(String),
    /// It could not be made, or broke off.
    #[error("{host} could not be called: {reason}")]
    Failed {
        /// Who was called.
        host: String,
        /// What happened.
        reason: String,
    },
}

/// The client for calls to others; cheap to clone. Follows no redirects: their targets would be the callee's choice.
#[derive(Clone)]
pub struct Outbound {
    /// Or why there is none: a server that calls nobody starts all the same.
    client: Result<reqwest::Client, String>,
    guard: Arc<Guard>,
}

impl Outbound {
    /// A client.
    pub fn new(options: OutboundOptions) -> Self {
        // Another part of the program may have installed the same one already.
        drop(rustls::crypto::ring::default_provider().install_default());
        let OutboundOptions { private_networks, plain_hosts, lookup, call_time } = options;
        let guard = Arc::new(Guard { private_networks, plain_hosts, lookup });
        let client = reqwest::Client::builder()
            .user_agent(concat!("guerdon/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(GuardedResolver(Arc::clone(&guard))))
            // A proxy would look names up itself, past the guard.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(CONNECT_TIME.min(call_time))
            .timeout(call_time)
            .build()
            .map_err(|error| format!("this machine may have no certificates to trust: {error:?}"));
        Self { client, guard }
    }

    /// Whether an address may be called, as far as it can be told before it is connected to.
    pub fn check(&self, url: &Url) -> Result<(), Forbidden> {
        self.guard.check(url)
    }

    /// Makes a call and reads the answer in full.
    pub async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, OutboundError> {
        let (parts, body) = request.into_parts();
        let url = Url::parse(&parts.uri.to_string())?;
        self.guard.check(&url)?;
        if body.len() > BODY_BYTES {
            return Err(OutboundError::TooLarge("body"));
        }
        let host = url.host_str().unwrap_or_default().to_owned();
        let client = self.client.as_ref();
        let client = client.map_err(|reason| OutboundError::Failed { host: host.clone(), reason: reason.clone() })?;
        let sent = client.request(parts.method, url).headers(parts.headers).body(body).send().await;
        let mut answer = sent.map_err(|error| failed(&host, &error))?;
        let mut response = Response::new(Vec::new());
        *response.status_mut() = answer.status();
        *response.headers_mut() = std::mem::take(answer.headers_mut());
        let bytes = response.body_mut();
        while let Some(chunk) = answer.chunk().await.map_err(|error| failed(&host, &error))? {
            if bytes.len() + chunk.len() > ANSWER_BYTES {
                return Err(OutboundError::TooLarge("answer"));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(response)
    }
}

/// So that sign-in by others is guarded like every other call.
impl<'c> AsyncHttpClient<'c> for Outbound {
    type Error = OutboundError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Vec<u8>>, OutboundError>> + Send + 'c>>;

    fn call(&'c self, request: Request<Vec<u8>>) -> Self::Future {
        Box::pin(self.send(request))
    }
}

/// The innermost reason of a failure; the outer ones repeat the address.
fn failed(host: &str, error: &reqwest::Error) -> OutboundError {
    if error.is_timeout() {
        return OutboundError::TimedOut(host.to_owned());
    }
    let mut source = error.source();
    let mut reason = None;
    while let Some(inner) = source {
        if let Some(forbidden) = inner.downcast_ref::<Forbidden>() {
            return OutboundError::Forbidden(forbidden.clone());
        }
        reason = Some(inner.to_string());
        source = inner.source();
    }
    let reason = reason.unwrap_or_else(|| "the call broke off".to_owned());
    OutboundError::Failed { host: host.to_owned(), reason }
}

#[cfg(test)]
mod tests;
