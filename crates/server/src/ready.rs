//! Whether this node can serve: `/readyz` asks the database, once a second at the most, however often it is asked itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::extract::{Query, State};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::AppState;
use crate::problem::Problem;

/// For how long an answer stands.
const STANDS: Duration = Duration::from_secs(1);

/// The last answer, and when it was had.
#[derive(Default)]
pub struct Ready(Mutex<Option<(Instant, Result<(), Problem>)>>);

impl Ready {
    /// The answer that stands, or a new one. One asks; the others wait for its answer.
    async fn answer(&self, ask: impl AsyncFnOnce() -> Result<(), Problem>) -> Result<(), Problem> {
        let mut last = self.0.lock().await;
        if let Some((at, answer)) = last.as_ref()
            && at.elapsed() < STANDS
        {
            return answer.clone();
        }
        let answer = ask().await;
        *last = Some((Instant::now(), answer.clone()));
        answer
    }
}

/// How is asked.
#[derive(Deserialize)]
pub struct Asked {
    /// `ready`: also a node counts that answers from what it knew last.
    degraded: Option<String>,
}

/// `/readyz`. A node whose database is away is not ready, unless `?degraded=ready` says that it is to be asked all the same.
pub async fn ready(
    State(state): State<AppState>,
    Query(asked): Query<Asked>,
    Extension(last): Extension<Arc<Ready>>,
) -> Result<&'static str, Problem> {
    if state.degraded.is_away() {
        return if asked.degraded.as_deref() == Some("ready") { Ok("degraded") } else { Err(state.degraded.refusal()) };
    }
    last.answer(async || Ok(state.reader.ping().await?)).await?;
    Ok("ready")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_flood_of_questions_is_one_question_a_second() {
        let (ready, asked) = (Ready::default(), AtomicUsize::new(0));
        let ask = async || {
            asked.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(20)).await;
            Err(Problem::bad_request("away", "the database is away"))
        };
        let answers = futures_of(&ready, &ask).await;
        assert!(answers.iter().all(Result::is_err));
        assert_eq!(asked.load(Ordering::SeqCst), 1, "what is wrong is remembered as well");
        tokio::time::sleep(STANDS).await;
        assert!(ready.answer(async || Ok(())).await.is_ok());
    }

    async fn futures_of(ready: &Ready, ask: &impl AsyncFn() -> Result<(), Problem>) -> [Result<(), Problem>; 4] {
        let one = || ready.answer(async || ask().await);
        tokio::join!(one(), one(), one(), one()).into()
    }
}
