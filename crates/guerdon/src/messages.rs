//! How messages are sent, as the command line says.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use guerdon_server::messages::{Mailbox, Post, Sender, SmsGateway, SmsSettings, Smtp, SmtpSettings, TEXTS_PER_HOUR};
use guerdon_server::outbound::Outbound;

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
    /// The HTTP gateway for text messages: it takes POST with a JSON body. Its secret comes from GUERDON_SMS_SECRET or the
    /// file that GUERDON_SMS_SECRET_FILE names.
    #[arg(long, env = "GUERDON_SMS_URL", value_name = "URL")]
    sms_url: Option<String>,
    /// The body for the gateway; {to} and {text} are replaced. Left out: {"to": "{to}", "text": "{text}"}.
    #[arg(long, env = "GUERDON_SMS_BODY", value_name = "JSON", requires = "sms_url")]
    sms_body: Option<String>,
    /// The header that takes the gateway's secret as it is; left out: Authorization, as a bearer token.
    #[arg(long, env = "GUERDON_SMS_HEADER", value_name = "NAME", requires = "sms_url")]
    sms_header: Option<String>,
    /// Text messages with codes in an hour, of all nodes together: what an attack may cost at the most.
    #[arg(long, env = "GUERDON_SMS_PER_HOUR", value_name = "COUNT", default_value_t = TEXTS_PER_HOUR)]
    sms_per_hour: u32,
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
    pub fn open(&self, outbound: Outbound) -> Result<Messages> {
        let post = Post::new(self.smtp()?, self.sms(outbound)?).with_texts_per_hour(self.sms_per_hour);
        Ok(Messages { post, mailbox: None })
    }

    fn sms(&self, outbound: Outbound) -> Result<Option<Arc<dyn Sender>>> {
        let secret = secret("GUERDON_SMS_SECRET")?;
        let Some(url) = &self.sms_url else {
            if secret.is_some() {
                bail!("there is a secret of an SMS gateway, and no gateway: give --sms-url");
            }
            return Ok(None);
        };
        let mut settings = SmsSettings::parse(url, self.sms_body.as_deref()).map_err(anyhow::Error::msg)?;
        if let Some(secret) = secret {
            settings = settings.with_secret(self.sms_header.as_deref(), &secret).map_err(anyhow::Error::msg)?;
        }
        Ok(Some(Arc::new(SmsGateway::new(settings, outbound))))
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
