//! The sender of `demo`: keeps the last messages in memory, for the developer's mailbox page.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use guerdon_core::time::Timestamp;

use super::{Message, Sender, Sending};

/// Messages that are kept.
pub(super) const KEPT: usize = 200;

/// A message that was kept.
#[derive(Clone)]
pub struct Kept {
    /// Counts from 1.
    pub number: u64,
    /// When it was sent.
    pub at: Timestamp,
    /// The message.
    pub message: Message,
}

/// Keeps messages instead of sending them; cheap to clone.
#[derive(Clone, Default)]
pub struct Mailbox(Arc<Mutex<(u64, VecDeque<Kept>)>>);

impl Mailbox {
    /// What is kept, the newest first.
    pub fn messages(&self) -> Vec<Kept> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.1.iter().rev().cloned().collect()
    }

    /// One message.
    pub fn message(&self, number: u64) -> Option<Kept> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.1.iter().find(|kept| kept.number == number).cloned()
    }

    fn keep(&self, message: Message) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, messages) = &mut *kept;
        *last += 1;
        messages.push_back(Kept { number: *last, at: now(), message });
        if messages.len() > KEPT {
            messages.pop_front();
        }
    }
}

fn now() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}

impl Sender for Mailbox {
    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a> {
        self.keep(message.clone());
        Box::pin(std::future::ready(Ok(())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::Address;

    #[test]
    fn the_last_two_hundred_are_kept_the_newest_first() {
        let mailbox = Mailbox::default();
        for number in 0..250 {
            let to = Address::phone("+442079460000").unwrap();
            mailbox.keep(Message { kind: "code", to, subject: String::new(), text: number.to_string(), html: None });
        }
        let kept = mailbox.messages();
        assert_eq!((kept.len(), kept[0].message.text.as_str(), kept[199].message.text.as_str()), (200, "249", "50"));
        assert_eq!(mailbox.message(250).unwrap().message.text, "249");
        assert!(mailbox.message(50).is_none() && mailbox.message(0).is_none());
    }
}
