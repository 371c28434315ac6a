//! How messages are sent, as the command line says.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use guerdon_server::messages::{Mailbox, Post, Sender, Smtp, SmtpSettings};

use crate::secret::secret;

/// How e-mail and text messages are sent.
#[derive(Args, Clone)]
#[command(next_help_heading = "Messages")]
pub struct MessageArgs {
    /// The mail server: smtps://user@host:465, or smtp://user@host:587 for STARTTLS. The password comes from
    /// GUERDON_SMTP_PASSWORD or the file that GUERDON_SMTP_PASSWORD_FILE names.
    #[arg(long, env = "GUERDON_SMTP_URL", requires = "mail_from")]
    smtp_url: Option<String>,
    /// Whom e-mail comes from, such as "Gift Club <points@example.org>".
    #[arg(long, env = "GUERDON_MAIL_FROM")]
    mail_from: Option<String>,
    /// Trust the mail server's certificate by this authority as well; a PEM file.
    #[arg(long, env = "GUERDON_SMTP_CA", requires = "smtp_url")]
    smtp_ca: Option<PathBuf>,
}

/// The way of messages, and the mailbox of the demo.
pub struct Messages {
    /// The queue.
    pub post: Post,
    /// Where the demo keeps what it would have sent.
    pub mailbox: Option<Mailbox>,
}

impl MessageArgs {
    /// The senders that are set up.
    pub fn open(&self) -> Result<Messages> {
        Ok(Messages { post: Post::new(self.smtp()?, None), mailbox: None })
    }

    fn smtp(&self) -> Result<Option<Arc<dyn Sender>>> {
        let password = secret("GUERDON_SMTP_PASSWORD")?;
        let Some((url, from)) = self.smtp_url.as_ref().zip(self.mail_from.as_ref()) else {
            if password.is_some() {
                bail!("there is an SMTP password, and no server: give --smtp-url and --mail-from");
            }
            return Ok(None);
        };
        let mut settings = SmtpSettings::parse(url, from)
            .and_then(|settings| settings.with_password(password))
            .map_err(anyhow::Error::msg)?;
        if let Some(file) = &self.smtp_ca {
            settings = settings.with_authority(std::fs::read(file).with_context(|| file.display().to_string())?);
        }
        Ok(Some(Arc::new(Smtp::new(settings).map_err(anyhow::Error::msg)?)))
    }
}

/// A mailbox in place of senders: nothing leaves the machine.
pub fn mailbox() -> Messages {
    let mailbox = Mailbox::default();
    let sender: Arc<dyn Sender> = Arc::new(mailbox.clone());
    Messages { post: Post::new(Some(Arc::clone(&sender)), Some(sender)), mailbox: Some(mailbox) }
}
