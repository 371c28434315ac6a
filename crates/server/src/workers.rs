//! Keeps the workers of a node at work: one that panics is begun anew after a wait, and said in the log and the metrics.
//!
//! Each goes through what it finds stored, so that one that is begun anew goes on where the other was cut off. A node that ended
//! instead would take the till's requests with it for a defect in one job.

use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How long to wait before a worker is begun anew: at first, then twice as long each time, and at the most.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// A worker that was at work for as long has recovered.
const RECOVERED: Duration = Duration::from_secs(600);

/// The workers of a node. They end with it.
pub struct Workers {
    tasks: JoinSet<()>,
    stop: watch::Receiver<bool>,
    first_wait: Duration,
}

impl Workers {
    /// None yet; they are to end when `stop` says true.
    pub fn new(stop: watch::Receiver<bool>) -> Self {
        Self { tasks: JoinSet::new(), stop, first_wait: FIRST_WAIT }
    }

    /// Starts a worker over what it shares with others.
    pub fn start<S, W>(
        &mut self,
        name: &'static str,
        shared: &S,
        work: impl Fn(S, watch::Receiver<bool>) -> W + Send + 'static,
    ) where
        S: Clone + Send + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        metrics::counter!("guerdon_worker_restarts_total", "worker" => name).absolute(0);
        let (shared, stop, first_wait) = (shared.clone(), self.stop.clone(), self.first_wait);
        let begin = {
            let stop = stop.clone();
            move || work(shared.clone(), stop.clone())
        };
        self.tasks.spawn(keep_at_work(name, begin, stop, first_wait));
    }

    /// Waits until all have ended, for `time` at the most; those that go on then are cut off.
    pub async fn end(&mut self, time: Duration) {
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(time, ended).await.is_err() {
            self.tasks.shutdown().await;
        }
    }
}

fn is_to_stop(stop: &watch::Receiver<bool>) -> bool {
    // An error means that the sender is gone, which is a signal to stop as well.
    *stop.borrow() || stop.has_changed().is_err()
}

async fn keep_at_work<W: Future<Output = ()> + Send + 'static>(
    name: &'static str,
    begin: impl Fn() -> W,
    mut stop: watch::Receiver<bool>,
    first_wait: Duration,
) {
    let mut wait = first_wait;
    loop {
        // A set of one: it is cut off with this.
        let (mut work, begun) = (JoinSet::new(), Instant::now());
        work.spawn(begin());
        let ended = work.join_next().await;
        if is_to_stop(&stop) {
            return;
        }
        if begun.elapsed() >= RECOVERED {
            wait = first_wait;
        }
        let why = match ended {
            Some(Err(error)) => error.to_string(),
            _ => "it ended though nobody said so".to_owned(),
        };
        tracing::error!(worker = name, why, again_in = ?wait, "a worker has ended; it is begun anew");
        metrics::counter!("guerdon_worker_restarts_total", "worker" => name).increment(1);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        wait = wait.saturating_mul(2).min(LONGEST_WAIT);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_worker_that_panics_is_begun_anew_and_one_that_is_to_stop_is_not() {
        let (node, stop) = watch::channel(false);
        let mut workers = Workers { first_wait: Duration::from_millis(1), ..Workers::new(stop) };
        let (begun, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let shared = (begun.clone(), ended.clone());
        workers.start("test", &shared, |(begun, ended), mut stop| async move {
            assert!(begun.fetch_add(1, Ordering::SeqCst) >= 2, "it fails twice");
            drop(stop.wait_for(|stop| *stop).await);
            ended.fetch_add(1, Ordering::SeqCst);
        });
        workers.start("hangs", &(), |(), _| std::future::pending());
        let third = async {
            while begun.load(Ordering::SeqCst) < 3 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), third).await.unwrap();
        node.send_replace(true);
        workers.end(Duration::from_millis(500)).await;
        assert_eq!((begun.load(Ordering::SeqCst), ended.load(Ordering::SeqCst)), (3, 1));
        assert!(workers.tasks.is_empty(), "what does not end is cut off");
    }
}
