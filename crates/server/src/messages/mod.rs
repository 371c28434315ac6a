//! Messages to members and operators: what is said ([`Notice`]), to whom ([`Address`]), how it is sent ([`Sender`]), and
//! the queue that sees to it ([`Post`]).

mod address;
mod mailbox;
mod mailbox_page;
mod notice;
mod post;
mod sms;
mod smtp;

use std::fmt;
use std::pin::Pin;

pub use address::{Address, Channel};
pub use mailbox::{Kept, Mailbox};
pub(crate) use mailbox_page::pages as mailbox_pages;
pub use notice::{CodePurpose, Notice};
pub use post::{Post, PostError, TEXTS_PER_HOUR};
pub use sms::{SmsGateway, SmsSettings};
pub use smtp::{Smtp, SmtpSettings};

/// A message as it is sent.
#[derive(Clone)]
pub struct Message {
    /// What it is about, such as `code`: for logs and metrics, which see nothing else of it.
    pub kind: &'static str,
    /// To whom.
    pub to: Address,
    /// Its subject; not shown on a phone.
    pub subject: String,
    /// Its text.
    pub text: String,
    /// The same as HTML; for e-mail only.
    pub html: Option<String>,
}

/// Without what may be personal or secret.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message").field("kind", &self.kind).field("channel", &self.to.channel()).finish_non_exhaustive()
    }
}

/// Why a message was not sent. The reason names neither address nor content: a server's own words may repeat both.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// It may go through later.
    #[error("{0}")]
    Temporary(String),
    /// It will never go through as it is.
    #[error("{0}")]
    Permanent(String),
}

/// What sending comes to.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Result<(), SendError>> + Send + 'a>>;

/// A way to send messages.
pub trait Sender: Send + Sync {
    /// Sends one message; the other side has taken it when this is done.
    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a>;
}
