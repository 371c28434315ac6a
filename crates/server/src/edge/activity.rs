//! Watches what moves on a connection, so that one that stalls can be cut.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Limits;

/// Idle connections are kept this long when there is hardly a seat left.
const CROWDED_IDLE_TIME: Duration = Duration::from_secs(2);

/// Reading the head of a request.
const HEAD: u64 = 0;
/// Between two requests, or writing what was answered.
const IDLE: u64 = 1;
/// A request is at work; its own time limit holds.
const SERVING: u64 = 2;
const PHASE_BITS: u32 = 2;

/// The phase of a connection and since when, in milliseconds after its start.
#[derive(Debug)]
pub struct Activity {
    started: Instant,
    mark: AtomicU64,
}

impl Activity {
    pub fn new() -> Self {
        Self { started: Instant::now(), mark: AtomicU64::new(HEAD) }
    }

    fn set(&self, phase: u64) {
        // The connection is one task: nothing needs an order, and 2⁶² milliseconds are enough.
        let millis = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX >> PHASE_BITS);
        self.mark.store(millis << PHASE_BITS | phase, Ordering::Relaxed);
    }

    fn phase(&self) -> u64 {
        self.mark.load(Ordering::Relaxed) & ((1 << PHASE_BITS) - 1)
    }

    /// A head was read in full.
    pub fn serving(&self) {
        self.set(SERVING);
    }

    /// The answer is ready to be written.
    pub fn answered(&self) {
        self.set(IDLE);
    }

    fn read(&self) {
        if self.phase() == IDLE {
            self.set(HEAD);
        }
    }

    fn wrote(&self) {
        if self.phase() == IDLE {
            self.set(IDLE);
        }
    }

    /// How long the connection may go on without a change; `None` when its time is over.
    pub fn remaining(&self, limits: &Limits, crowded: bool) -> Option<Duration> {
        let since = Duration::from_millis(self.mark.load(Ordering::Relaxed) >> PHASE_BITS);
        let limit = match self.phase() {
            HEAD => limits.head_time,
            IDLE if crowded => CROWDED_IDLE_TIME.min(limits.idle_time),
            IDLE => limits.idle_time,
            _ => return Some(limits.head_time),
        };
        let spent = self.started.elapsed().saturating_sub(since);
        limit.checked_sub(spent).filter(|left| !left.is_zero())
    }
}

/// A stream that tells its activity what moved.
pub struct Watched<S> {
    stream: S,
    activity: Arc<Activity>,
}

impl<S> Watched<S> {
    pub fn new(stream: S, activity: Arc<Activity>) -> Self {
        Self { stream, activity }
    }

    fn moved(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = result
            && bytes > 0
        {
            self.activity.wrote();
        }
        result
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.activity.read();
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.moved(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.moved(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
