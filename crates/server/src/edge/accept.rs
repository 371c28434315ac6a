//! Accepts connections while there are seats, and lets them end when the server stops.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::addresses::{Addresses, Held};
use super::connection::{self, Shared};
use super::{Edge, tls};

/// How long to wait when the machine has no more files to open.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Serves connections until `stop` says true, then until the open requests have been answered.
pub async fn accept(listener: TcpListener, app: Router, edge: Arc<Edge>, stop: watch::Receiver<bool>) {
    let reload = edge.tls.clone().map(|tls| tokio::spawn(tls::reload(tls, stop.clone())));
    let seats = Arc::new(Semaphore::new(edge.limits.connections));
    let (addresses, handshakes) = (Arc::<Addresses>::default(), Arc::<Addresses>::default());
    let shared = Arc::new(Shared { app, edge, seats: Arc::clone(&seats), handshakes });
    // Every connection holds a receiver: when the last is gone, all have ended.
    let (alive, ended) = watch::channel(());
    let mut asked = stop.clone();
    loop {
        let accepted = tokio::select! {
            accepted = next(&listener, &seats) => accepted,
            // An error means that the sender is gone, which is a signal to stop as well.
            _ = asked.wait_for(|stop| *stop) => break,
        };
        let Some((stream, peer, seat)) = accepted else { continue };
        let Some(held) = held(&addresses, &shared.edge, peer) else {
            metrics::counter!("guerdon_connections_refused_total").increment(1);
            tracing::debug!("an address has too many connections");
            continue;
        };
        let (shared, stop, ended) = (Arc::clone(&shared), stop.clone(), ended.clone());
        tokio::spawn(async move {
            connection::serve(shared, stream, peer, stop).await;
            drop((seat, held, ended));
        });
    }
    drop((listener, ended));
    alive.closed().await;
    reload.inspect(tokio::task::JoinHandle::abort);
}

/// The next connection, once there is a seat for it.
async fn next(listener: &TcpListener, seats: &Arc<Semaphore>) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let seat = Arc::clone(seats).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, seat)),
        Err(error) => {
            use ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
            if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
                tracing::error!(%error, "a connection could not be accepted");
                tokio::time::sleep(AFTER_FAILURE).await;
            }
            None
        }
    }
}

/// The share of an address in the connections. The outer `None`: it has had it all; the inner: it has no limit.
#[allow(clippy::option_option, reason = "refused, without limit, or counted are three answers")]
fn held(addresses: &Arc<Addresses>, edge: &Edge, peer: SocketAddr) -> Option<Option<Held>> {
    let address = peer.ip().to_canonical();
    if address.is_loopback() || edge.trust.is_proxy(address) {
        return Some(None);
    }
    addresses.take(address, edge.limits.connections_per_address).map(Some)
}
