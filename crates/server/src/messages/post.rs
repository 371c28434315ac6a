//! The queue of messages: bounded, tried again when it may help, silent about whom and what.
//!
//! It lies in memory. What is in it when the process dies is lost, and asked for again: a code by whoever waits for it,
//! an invitation by whoever sent it.

use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Address, Channel, Message, Notice, SendError, Sender};
use crate::identity::token::random_bytes;
use crate::language::Language;

/// Messages that may wait.
const PLACES: usize = 1_000;
/// Messages on their way at once.
const LANES: usize = 8;
/// Longest time of one try.
const TRY_TIME: Duration = Duration::from_secs(20);
/// Text messages with codes in an hour, of all nodes together, unless the command line says otherwise: each costs money.
pub const TEXTS_PER_HOUR: u32 = 1_000;
/// How long to wait before each further try. All of it is less than a one-time code is good for.
const WAITS: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(120)];

/// Why a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// Nothing sends on this channel.
    #[error("messages by {} are not set up on this server", .0.name())]
    NoSender(Channel),
    /// Too many wait.
    #[error("too many messages wait to be sent; try again in a minute")]
    Full,
}

/// Takes messages and sees to their sending; cheap to clone. One without senders takes none.
#[derive(Clone)]
pub struct Post {
    inner: Arc<Inner>,
    texts_per_hour: u32,
}

struct Inner {
    email: Option<Arc<dyn Sender>>,
    phone: Option<Arc<dyn Sender>>,
    places: Arc<Semaphore>,
    lanes: Semaphore,
    /// Makes the digests of addresses in the log useless to whoever has the log alone.
    digest_key: [u8; 32],
    waits: [Duration; 4],
    try_time: Duration,
}

impl Default for Post {
    fn default() -> Self {
        Self::new(None, None)
    }
}

impl Post {
    /// A queue in front of senders.
    pub fn new(email: Option<Arc<dyn Sender>>, phone: Option<Arc<dyn Sender>>) -> Self {
        Self::with_times(email, phone, WAITS, TRY_TIME)
    }

    fn with_times(
        email: Option<Arc<dyn Sender>>,
        phone: Option<Arc<dyn Sender>>,
        waits: [Duration; 4],
        try_time: Duration,
    ) -> Self {
        let (places, lanes) = (Arc::new(Semaphore::new(PLACES)), Semaphore::new(LANES));
        let inner = Arc::new(Inner { email, phone, places, lanes, digest_key: random_bytes(), waits, try_time });
        Self { inner, texts_per_hour: TEXTS_PER_HOUR }
    }

    /// With another ceiling on text messages.
    pub fn with_texts_per_hour(self, texts_per_hour: u32) -> Self {
        Self { texts_per_hour, ..self }
    }

    /// How many text messages with codes may be sent in an hour.
    pub fn texts_per_hour(&self) -> u32 {
        self.texts_per_hour
    }

    /// Whether messages of a channel can be sent.
    pub fn takes(&self, channel: Channel) -> bool {
        self.inner.sender(channel).is_some()
    }

    /// Takes a message; it is sent beside the caller. Must be called within a runtime.
    pub fn send(&self, message: Message) -> Result<(), PostError> {
        let channel = message.to.channel();
        let sender = self.inner.sender(channel).cloned().ok_or(PostError::NoSender(channel))?;
        let Ok(place) = Arc::clone(&self.inner.places).try_acquire_owned() else {
            count(message.kind, "full");
            return Err(PostError::Full);
        };
        tokio::spawn(deliver(Arc::clone(&self.inner), sender, message, place));
        Ok(())
    }

    /// Sends a message and waits for what becomes of it. True: it was taken at the other end.
    pub async fn deliver(&self, message: Message) -> bool {
        let Some(sender) = self.inner.sender(message.to.channel()).cloned() else { return false };
        let Ok(place) = Arc::clone(&self.inner.places).acquire_owned().await else { return false };
        deliver(Arc::clone(&self.inner), sender, message, place).await
    }

    /// Tells someone something, where that can be done. Whoever tells it goes on in any case: the same stands on a page.
    pub fn notify(&self, notice: &Notice<'_>, language: Language, program: &str, to: Address) -> bool {
        if !self.takes(to.channel()) {
            return false;
        }
        let kind = notice.kind();
        let message = notice.compose(language, program, to).map_err(|error| error.to_string());
        let sent = message.and_then(|message| self.send(message).map_err(|error| error.to_string()));
        if let Err(error) = &sent {
            tracing::warn!(kind, error, "a notice was not sent");
        }
        sent.is_ok()
    }

    /// Waits until every message is on its way or given up, but not longer than `time`.
    pub async fn drain(&self, time: Duration) {
        let all = u32::try_from(PLACES).unwrap_or(u32::MAX);
        // Whether it was in time makes no difference to who stops.
        drop(tokio::time::timeout(time, self.inner.places.acquire_many(all)).await);
    }
}

impl Inner {
    fn sender(&self, channel: Channel) -> Option<&Arc<dyn Sender>> {
        match channel {
            Channel::Email => self.email.as_ref(),
            Channel::Phone => self.phone.as_ref(),
        }
    }

    /// The same for the same address until the process ends, and nothing to anyone else.
    fn digest(&self, message: &Message) -> String {
        let Ok(mac) = Hmac::<Sha256>::new_from_slice(&self.digest_key) else { return String::new() };
        let digest = mac.chain_update(message.to.normal()).finalize().into_bytes();
        digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
    }

    async fn try_once(&self, sender: &dyn Sender, message: &Message) -> Result<(), SendError> {
        let _lane = self.lanes.acquire().await;
        let sent = tokio::time::timeout(self.try_time, sender.send(message)).await;
        sent.unwrap_or_else(|_| Err(SendError::Temporary("no answer in time".to_owned())))
    }
}

async fn deliver(inner: Arc<Inner>, sender: Arc<dyn Sender>, message: Message, place: OwnedSemaphorePermit) -> bool {
    let (kind, to) = (message.kind, inner.digest(&message));
    let mut waits = inner.waits.iter();
    let sent = loop {
        let error = match inner.try_once(sender.as_ref(), &message).await {
            Ok(()) => {
                tracing::debug!(kind, to, "a message was sent");
                count(kind, "sent");
                break true;
            }
            Err(error) => error,
        };
        match (&error, waits.next()) {
            (SendError::Temporary(_), Some(wait)) => {
                tracing::warn!(kind, to, %error, "a message could not be sent; trying again");
                count(kind, "again");
                tokio::time::sleep(*wait).await;
            }
            _ => {
                tracing::error!(kind, to, %error, "a message was given up");
                count(kind, "failed");
                break false;
            }
        }
    };
    drop(place);
    sent
}

fn count(kind: &'static str, outcome: &'static str) {
    metrics::counter!("guerdon_messages_total", "kind" => kind, "outcome" => outcome).increment(1);
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::messages::{Address, Sending};

    /// Answers as told, one answer a try; hangs when there is none left.
    #[derive(Default)]
    struct Scripted {
        answers: Mutex<Vec<Result<(), SendError>>>,
        tries: AtomicUsize,
        at_once: AtomicUsize,
        most_at_once: AtomicUsize,
    }

    impl Sender for Scripted {
        fn send<'a>(&'a self, _: &'a Message) -> Sending<'a> {
            Box::pin(async {
                self.tries.fetch_add(1, Ordering::SeqCst);
                let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
                self.most_at_once.fetch_max(now, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(1)).await;
                self.at_once.fetch_sub(1, Ordering::SeqCst);
                let answer = self.answers.lock().unwrap().pop();
                match answer {
                    Some(answer) => answer,
                    None => std::future::pending().await,
                }
            })
        }
    }

    fn post(answers: Vec<Result<(), SendError>>, try_time: Duration) -> (Post, Arc<Scripted>) {
        let sender = Arc::new(Scripted { answers: Mutex::new(answers), ..Scripted::default() });
        let waits = [Duration::from_millis(1); 4];
        (Post::with_times(Some(sender.clone()), None, waits, try_time), sender)
    }

    fn message() -> Message {
        let to = Address::email("ann@example.org").unwrap();
        Message { kind: "code", to, subject: "s".into(), text: "t".into(), html: None }
    }

    const LONG: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn what_may_help_is_tried_again_and_what_cannot_is_not() {
        let later = Err(SendError::Temporary("later".into()));
        let (post, sender) = post(vec![Ok(()), later.clone(), later.clone()], LONG);
        post.send(message()).unwrap();
        post.drain(LONG).await;
        assert_eq!(sender.tries.load(Ordering::SeqCst), 3);
        *sender.answers.lock().unwrap() = vec![Ok(()), Err(SendError::Permanent("never".into()))];
        post.send(message()).unwrap();
        post.drain(LONG).await;
        assert_eq!(sender.tries.load(Ordering::SeqCst), 4);
        // Five tries, and then it is given up.
        *sender.answers.lock().unwrap() = vec![later; 9];
        post.send(message()).unwrap();
        post.drain(LONG).await;
        assert_eq!(sender.tries.load(Ordering::SeqCst), 9);
    }

    #[tokio::test]
    async fn a_sender_that_hangs_is_given_up_and_frees_its_place() {
        let (post, sender) = post(Vec::new(), Duration::from_millis(5));
        post.send(message()).unwrap();
        post.drain(LONG).await;
        assert_eq!(sender.tries.load(Ordering::SeqCst), 5);
        assert_eq!(post.inner.places.available_permits(), PLACES);
    }

    #[tokio::test]
    async fn the_queue_is_bounded_and_few_are_on_their_way_at_once() {
        let (post, sender) = post(vec![Ok(()); PLACES], LONG);
        for _ in 0..PLACES {
            post.send(message()).unwrap();
        }
        assert_eq!(post.send(message()), Err(PostError::Full));
        post.drain(LONG).await;
        assert_eq!(sender.tries.load(Ordering::SeqCst), PLACES);
        assert_eq!(sender.most_at_once.load(Ordering::SeqCst), LANES);
    }

    #[tokio::test]
    async fn a_channel_without_a_sender_says_so() {
        let (post, _) = post(Vec::new(), LONG);
        assert!(post.takes(Channel::Email) && !post.takes(Channel::Phone));
        let to = Address::phone("+442079460000").unwrap();
        let refused = post.send(Message { to, ..message() });
        assert_eq!(refused, Err(PostError::NoSender(Channel::Phone)));
        assert!(!Post::default().takes(Channel::Email));
    }

    #[test]
    fn the_log_tells_addresses_apart_and_nothing_else_of_them() {
        let (first, second) = (Post::default(), Post::default());
        assert_eq!(first.inner.digest(&message()), first.inner.digest(&message()));
        assert_ne!(first.inner.digest(&message()), second.inner.digest(&message()));
    }
}
