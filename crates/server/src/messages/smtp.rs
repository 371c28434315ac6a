//! E-mail by SMTP.

use std::time::Duration;

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use percent_encoding::percent_decode_str;
use url::{Host, Url};
use zeroize::Zeroizing;

use super::{Message, SendError, Sender, Sending};
use crate::identity::token::random_bytes;

/// Longest time for one message, from the connection on.
const SEND_TIME: Duration = Duration::from_secs(15);
/// How long a server may take to say good-bye.
const GOODBYE_TIME: Duration = Duration::from_secs(2);

/// How the connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protection {
    /// TLS from the first byte.
    Tls,
    /// TLS after STARTTLS, or not at all: a server that does not offer it is not spoken to.
    StartTls,
    /// None; only to this machine.
    None,
}

/// Where and as whom e-mail is sent.
pub struct SmtpSettings {
    host: String,
    port: u16,
    protection: Protection,
    user: Option<String>,
    password: Option<Zeroizing<String>>,
    from: Mailbox,
    authority: Option<Vec<u8>>,
    time: Duration,
}

impl SmtpSettings {
    /// Reads `smtps://user@host:465` (TLS), `smtp://user@host:587` (STARTTLS) or, to this machine only,
    /// `smtp://localhost:25?tls=none`, and the sender, such as `Gift Club <points@example.org>`. A `@` within the user is
    /// written `%40`.
    pub fn parse(url: &str, from: &str) -> Result<Self, String> {
        let form = "expected smtps://user@host:465, or smtp://user@host:587 for STARTTLS";
        let parsed = Url::parse(url).map_err(|error| format!("the SMTP server cannot be read ({error}): {form}"))?;
        if parsed.password().is_some() {
            return Err("the SMTP server holds a password: give it as GUERDON_SMTP_PASSWORD or in the file that \
                        GUERDON_SMTP_PASSWORD_FILE names"
                .to_owned());
        }
        let (protection, port) = match (parsed.scheme(), parsed.query()) {
            ("smtps", None) => (Protection::Tls, 465),
            ("smtp", None) => (Protection::StartTls, 587),
            ("smtp", Some("tls=none")) => (Protection::None, 25),
            _ => return Err(format!("the SMTP server has an unknown form: {form}")),
        };
        // The parser of `url` only understands hosts of schemes that it knows.
        let host = parsed.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let known = Host::parse(parsed.host_str().unwrap_or_default());
        let loopback = match known.map_err(|_| format!("the SMTP server names no host: {form}"))? {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        };
        if protection == Protection::None && !loopback {
            return Err(format!("`tls=none` sends messages and password in the clear, and {host} is another machine"));
        }
        let user = percent_decode_str(parsed.username()).decode_utf8();
        let user = user.map_err(|_| format!("the user of the SMTP server is no UTF-8: {form}"))?;
        let sender = || "the sender must be an address such as Gift Club <points@example.org>".to_owned();
        let from: Mailbox = from.parse().map_err(|_| sender())?;
        if from.name.as_ref().is_some_and(|name| name.chars().any(char::is_control)) {
            return Err(sender());
        }
        Ok(Self {
            host,
            port: parsed.port().unwrap_or(port),
            protection,
            user: (!user.is_empty()).then(|| user.into_owned()),
            password: None,
            from,
            authority: None,
            time: SEND_TIME,
        })
    }

    /// With the password of the user.
    pub fn with_password(self, password: Option<Zeroizing<String>>) -> Result<Self, String> {
        match (&self.user, &password) {
            (Some(_), None) => {
                Err("the SMTP server has a user: give the password as GUERDON_SMTP_PASSWORD or in the file that \
                     GUERDON_SMTP_PASSWORD_FILE names"
                    .to_owned())
            }
            (None, Some(_)) => {
                Err("there is an SMTP password, and the SMTP server names no user: smtps://user@host".to_owned())
            }
            _ => Ok(Self { password, ..self }),
        }
    }

    /// Trusts certificates of another authority besides those that this machine trusts; PEM.
    pub fn with_authority(self, pem: Vec<u8>) -> Self {
        Self { authority: Some(pem), ..self }
    }

    /// Gives each message another longest time.
    pub fn within(self, time: Duration) -> Self {
        Self { time, ..self }
    }
}

/// Sends e-mail by SMTP, each over a connection of its own: messages are few, and a connection that was given up half-way
/// must never answer for the next one.
pub struct Smtp {
    host: String,
    port: u16,
    protection: Protection,
    parameters: Option<TlsParameters>,
    credentials: Option<Credentials>,
    hello: ClientId,
    from: Mailbox,
    time: Duration,
}

impl Smtp {
    /// A sender; connects when a message goes out.
    pub fn new(settings: SmtpSettings) -> Result<Self, String> {
        let SmtpSettings { host, port, protection, user, password, from, authority, time } = settings;
        let tls = |problem: Error| format!("TLS to the SMTP server cannot be set up: {problem}");
        let parameters = if protection == Protection::None {
            None
        } else {
            let mut builder = TlsParameters::builder(host.clone());
            if let Some(pem) = &authority {
                builder = builder.add_root_certificate(Certificate::from_pem(pem).map_err(tls)?);
            }
            Some(builder.build().map_err(tls)?)
        };
        let credentials = user.zip(password).map(|(user, password)| Credentials::new(user, password.to_string()));
        let hello = ClientId::Domain(from.email.domain().to_owned());
        Ok(Self { host, port, protection, parameters, credentials, hello, from, time })
    }

    /// A connection, protected and signed in as asked.
    async fn connect(&self) -> Result<AsyncSmtpConnection, Error> {
        let (at_once, later) = match self.protection {
            Protection::StartTls => (None, self.parameters.clone()),
            _ => (self.parameters.clone(), None),
        };
        let server = (self.host.as_str(), self.port);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(server, Some(self.time), &self.hello, at_once, None).await?;
        if let Some(parameters) = later {
            connection.starttls(parameters, &self.hello).await?;
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(&[Mechanism::Plain, Mechanism::Login], credentials).await?;
        }
        Ok(connection)
    }

    async fn hand_over(&self, letter: &lettre::Message) -> Result<(), Error> {
        let mut connection = self.connect().await?;
        connection.send(letter.envelope(), &letter.formatted()).await?;
        // The server has taken it; how it says good-bye changes nothing.
        drop(tokio::time::timeout(GOODBYE_TIME, connection.quit()).await);
        Ok(())
    }

    /// The letter as it goes over the wire. Every header is encoded by its type; nothing of a message can end one early.
    fn letter(&self, message: &Message) -> Result<lettre::Message, SendError> {
        let unfit = || SendError::Permanent("the message cannot be put into the form of an e-mail".to_owned());
        let to = message.to.as_str().parse().map_err(|_| unfit())?;
        let id: String = random_bytes::<16>().iter().map(|byte| format!("{byte:02x}")).collect();
        let subject: String = message.subject.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let builder = lettre::Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(subject)
            .date_now()
            .message_id(Some(format!("<{id}@{}>", self.from.email.domain())))
            // RFC 3834: nobody's absence is to be answered to a machine.
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ));
        let letter = match &message.html {
            Some(html) => builder.multipart(MultiPart::alternative_plain_html(message.text.clone(), html.clone())),
            None => builder.singlepart(SinglePart::plain(message.text.clone())),
        };
        letter.map_err(|_| unfit())
    }
}

impl Sender for Smtp {
    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a> {
        Box::pin(async move {
            let letter = self.letter(message)?;
            let sent = tokio::time::timeout(self.time, self.hand_over(&letter)).await;
            sent.map_err(|_| late())?.map_err(|error| why(&error))
        })
    }
}

/// Whether TLS failed: what rustls says arrives as an error of the connection.
fn is_of_rustls(error: &Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        let io = inner.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if inner.is::<rustls::Error>() || io.is_some_and(|inner| inner.is::<rustls::Error>()) {
            return true;
        }
        source = inner.source();
    }
    false
}

fn late() -> SendError {
    SendError::Temporary("the mail server did not answer in time".to_owned())
}

/// Why it failed, without the server's own words, which may repeat the address.
fn why(error: &Error) -> SendError {
    if let Some(status) = error.status() {
        let number: String = status.to_string();
        return match number.as_str() {
            "530" | "534" | "535" | "538" => {
                SendError::Permanent(format!("the mail server does not accept the user and password (status {number})"))
            }
            _ if error.is_permanent() => SendError::Permanent(format!("the mail server refused it (status {number})")),
            _ => SendError::Temporary(format!("the mail server put it off (status {number})")),
        };
    }
    if error.is_timeout() {
        late()
    } else if error.is_tls() || is_of_rustls(error) {
        SendError::Temporary("TLS with the mail server failed: its certificate may not be trusted".to_owned())
    } else if error.is_client() {
        SendError::Permanent("the mail server offers no way to sign in, or no STARTTLS".to_owned())
    } else {
        SendError::Temporary("the mail server could not be reached, or broke off".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(url: &str, from: &str) -> String {
        SmtpSettings::parse(url, from).err().unwrap_or_default()
    }

    const FROM: &str = "Gift Club <points@example.org>";

    #[test]
    fn a_server_is_understood_and_the_clear_is_for_this_machine_alone() {
        let settings = SmtpSettings::parse("smtps://ann%40example.org@mail.example.org", FROM).unwrap();
        let (port, user) = (settings.port, settings.user.as_deref());
        assert_eq!((settings.host.as_str(), port, user), ("mail.example.org", 465, Some("ann@example.org")));
        assert_eq!(SmtpSettings::parse("smtp://mail.example.org", FROM).unwrap().port, 587);
        for host in ["localhost", "127.0.0.1", "127.8.8.8", "[::1]"] {
            let settings = SmtpSettings::parse(&format!("smtp://{host}:1025?tls=none"), FROM).unwrap();
            assert_eq!((settings.port, settings.protection), (1025, Protection::None), "{host}");
        }
        for host in ["mail.example.org", "10.0.0.1", "localhost.example.org", "[2001:db8::1]", "0.0.0.0"] {
            assert!(problem(&format!("smtp://{host}?tls=none"), FROM).contains("in the clear"), "{host}");
        }
    }

    #[test]
    fn settings_say_what_is_wrong_with_them() {
        assert!(problem("mail.example.org", FROM).contains("smtps://"));
        assert!(problem("https://mail.example.org", FROM).contains("unknown form"));
        assert!(problem("smtp://mail.example.org?tls=maybe", FROM).contains("unknown form"));
        let leaked = problem("smtps://ann:s3cret@mail.example.org", FROM);
        assert!(leaked.contains("GUERDON_SMTP_PASSWORD") && !leaked.contains("s3cret"));
        for from in ["", "points", "A <points@example.org>\r\nBcc: <eve@example.org>", "A\nB <points@example.org>"] {
            assert!(problem("smtps://mail.example.org", from).contains("sender"), "{from:?}");
        }
        let settings = |url: &str| SmtpSettings::parse(url, FROM).unwrap();
        let password = || Some(Zeroizing::new("pw".to_owned()));
        assert!(settings("smtps://ann@m.org").with_password(None).is_err());
        assert!(settings("smtps://m.org").with_password(password()).is_err());
        assert!(settings("smtps://ann@m.org").with_password(password()).is_ok());
    }
}
