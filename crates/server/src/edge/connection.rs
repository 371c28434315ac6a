//! One connection: its handshake, its requests, and the watch over its time.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tower::Service;

use super::activity::{Activity, Watched};
use super::addresses::Addresses;
use super::headers::surround;
use super::{Edge, HEAD_BYTES};
use crate::problem::Problem;

/// A share of the seats, one in so many: when no more are free, idle connections go sooner.
const CROWDED: usize = 20;
/// What says nothing of anybody, and may be asked by whoever watches the server.
const HEALTH: [&str; 2] = ["/livez", "/readyz"];

/// What all connections share.
pub struct Shared {
    pub app: Router,
    pub edge: Arc<Edge>,
    pub seats: Arc<Semaphore>,
    pub handshakes: Arc<Addresses>,
}

impl Shared {
    fn crowded(&self) -> bool {
        self.seats.available_permits() < self.edge.limits.connections.div_ceil(CROWDED)
    }
}

/// Serves a connection to its end.
pub async fn serve(shared: Arc<Shared>, stream: TcpStream, peer: SocketAddr, mut stop: watch::Receiver<bool>) {
    // Without it small answers wait for the acknowledgement of those before.
    drop(stream.set_nodelay(true));
    let peer = peer.ip().to_canonical();
    let Some(tls) = &shared.edge.tls else { return requests(&shared, stream, peer, stop).await };
    let limits = &shared.edge.limits;
    let most = if peer.is_loopback() { usize::MAX } else { limits.handshakes_per_address };
    let Some(held) = shared.handshakes.take(peer, most) else {
        metrics::counter!("guerdon_connections_refused_total").increment(1);
        return;
    };
    let handshake = tokio::time::timeout(limits.handshake_time, tls.acceptor().accept(stream));
    let secured = tokio::select! {
        secured = handshake => secured,
        _ = stop.wait_for(|stop| *stop) => return,
    };
    drop(held);
    match secured {
        Ok(Ok(stream)) => requests(&shared, stream, peer, stop).await,
        Ok(Err(error)) => {
            metrics::counter!("guerdon_tls_handshakes_failed_total").increment(1);
            tracing::debug!(%error, "a TLS handshake failed");
        }
        Err(_) => {
            metrics::counter!("guerdon_tls_handshakes_failed_total").increment(1);
            tracing::debug!("a TLS handshake took too long");
        }
    }
}

async fn requests<S>(shared: &Arc<Shared>, stream: S, peer: IpAddr, mut stop: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::new(Activity::new());
    let watched = TokioIo::new(Watched::new(stream, Arc::clone(&activity)));
    let service = service_fn(|request: Request<Incoming>| {
        activity.serving();
        let answer = answer(shared, peer, request.map(Body::new));
        let activity = Arc::clone(&activity);
        async move {
            let answer = answer.await;
            activity.answered();
            answer
        }
    });
    let mut builder = http1::Builder::new();
    // The library's own timer would hold idle connections and slow heads to the same time.
    builder.max_header_size(HEAD_BYTES).header_read_timeout(None);
    let mut connection = pin!(builder.serve_connection(watched, service));
    let limits = &shared.edge.limits;
    let watch_every = limits.head_time.min(limits.idle_time) / 4;
    let mut watch = pin!(tokio::time::sleep(watch_every));
    let mut stopping = false;
    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended early");
                }
                return;
            }
            _ = stop.wait_for(|stop| *stop), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            () = watch.as_mut() => {
                let Some(left) = activity.remaining(limits, shared.crowded()) else {
                    metrics::counter!("guerdon_connections_cut_total").increment(1);
                    tracing::debug!("a connection stood still for too long");
                    return;
                };
                watch.as_mut().reset(tokio::time::Instant::now() + left.min(watch_every));
            }
        }
    }
}

/// Tells the application who asks, lets it answer, and sets what every answer has.
fn answer(
    shared: &Arc<Shared>,
    peer: IpAddr,
    mut request: Request<Body>,
) -> impl Future<Output = Result<Response, Infallible>> + use<> {
    let edge = &shared.edge;
    let welcome =
        !edge.proxies_only || peer.is_loopback() || edge.trust.is_proxy(peer) || HEALTH.contains(&request.uri().path());
    let (client, external) = edge.trust.caller(peer, edge.tls.is_some(), edge.public_url.as_ref(), request.headers());
    let https = external.https;
    let extensions = request.extensions_mut();
    extensions.insert(client);
    extensions.insert(external);
    let answered = welcome.then(|| shared.app.clone().call(request));
    async move {
        let mut response = match answered {
            Some(answer) => answer.await?,
            None => not_through_a_proxy().into_response(),
        };
        surround(&mut response, https);
        Ok(response)
    }
}

fn not_through_a_proxy() -> Problem {
    let detail = "this server is called through its proxy; add the caller's network to --trusted-proxy if it is one";
    Problem::new(StatusCode::FORBIDDEN, "not_through_proxy", detail)
}
