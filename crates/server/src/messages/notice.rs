//! What messages say, in both languages, as text and as HTML.

use askama::Template;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Address, Channel, Message};
use crate::language::{Argument, Language};

/// What a one-time code is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CodePurpose {
    /// To sign in.
    SignIn,
    /// To join the program.
    Join,
    /// To use another address.
    ChangeAddress,
    /// To get back into an account.
    Recovery,
}

impl CodePurpose {
    fn key(self) -> &'static str {
        match self {
            Self::SignIn => "message-code-sign-in",
            Self::Join => "message-code-join",
            Self::ChangeAddress => "message-code-change-address",
            Self::Recovery => "message-code-recovery",
        }
    }
}

/// What there is to say. Times arrive as they are to be shown, links in full.
#[derive(Clone, Copy)]
pub enum Notice<'a> {
    /// A one-time code.
    Code {
        /// What for.
        purpose: CodePurpose,
        /// The six digits.
        code: &'a str,
        /// How long it is good for.
        minutes: i64,
    },
    /// An operator is invited.
    Invitation {
        /// By whom.
        inviter: &'a str,
        /// As what.
        role: &'a str,
        /// Where to accept.
        link: &'a str,
        /// Until when.
        until: &'a str,
    },
    /// What an operator signs in with was reset.
    Reset {
        /// Where to choose it anew.
        link: &'a str,
        /// Until when.
        until: &'a str,
    },
    /// An account was used from a device that was not seen before.
    SignInAlert {
        /// When.
        time: &'a str,
        /// The device, as far as it can be told.
        device: &'a str,
        /// Its network address.
        address: &'a str,
        /// Where the devices are listed.
        link: &'a str,
    },
    /// The e-mail address or phone number of an account is another one.
    AddressChanged {
        /// Which: `email` or `phone`.
        field: &'a str,
        /// When.
        time: &'a str,
        /// Where it stands now.
        link: &'a str,
    },
    /// An order could not be fulfilled, or was refunded: its points are back.
    OrderGivenBack {
        /// What was redeemed.
        reward: &'a str,
        /// How many points.
        points: &'a str,
        /// Why.
        reason: &'a str,
    },
    /// The data of a member will be erased.
    ErasureScheduled {
        /// When.
        at: &'a str,
        /// Where to call it off.
        link: &'a str,
    },
    /// Something has happened in the dispute of an order.
    Dispute {
        /// What: `answered`, `refunded` or `declined`.
        news: &'a str,
        /// Where it stands.
        link: &'a str,
    },
}

/// The parts of which every message is made.
struct Parts {
    title: String,
    /// Above the code or link.
    before: Vec<String>,
    code: Option<String>,
    /// Label and address.
    link: Option<(String, String)>,
    /// Below the code or link.
    after: Vec<String>,
}

#[derive(Template)]
#[template(path = "messages/message.txt")]
struct TextMessage<'a> {
    parts: &'a Parts,
    footer: &'a str,
}

#[derive(Template)]
#[template(path = "messages/message.html")]
struct HtmlMessage<'a> {
    language: Language,
    program: &'a str,
    style: &'a str,
    parts: &'a Parts,
    footer: &'a str,
}

/// The look of HTML messages. Mail programs know no style sheets, and the preview allows this one by its digest.
pub(super) const STYLE: &str = include_str!("../../templates/messages/message.css");

impl Notice<'_> {
    /// What it is about.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Code { .. } => "code",
            Self::Invitation { .. } => "invitation",
            Self::Reset { .. } => "reset",
            Self::SignInAlert { .. } => "alert",
            Self::AddressChanged { .. } => "address",
            Self::OrderGivenBack { .. } => "given-back",
            Self::ErasureScheduled { .. } => "erasure",
            Self::Dispute { .. } => "dispute",
        }
    }

    /// The message to someone, in their language. `program` is the program's name in it.
    pub fn compose(&self, language: Language, program: &str, to: Address) -> Result<Message, askama::Error> {
        let words = Words { language, program };
        let kind = self.kind();
        if to.channel() == Channel::Phone {
            let text = self.say(&words, &format!("message-{kind}-phone"));
            return Ok(Message { kind, to, subject: String::new(), text, html: None });
        }
        let parts = self.parts(&words);
        let footer = words.say("message-automatic");
        let text = TextMessage { parts: &parts, footer: &footer }.render()?;
        let html = HtmlMessage { language, program, style: STYLE, parts: &parts, footer: &footer }.render()?;
        let subject = self.say(&words, &format!("message-{kind}-subject"));
        Ok(Message { kind, to, subject, text, html: Some(html) })
    }

    /// A sentence with everything that the notice knows; sentences use what they need of it.
    fn say(&self, words: &Words<'_>, key: &str) -> String {
        match *self {
            Self::Code { code, minutes, .. } => {
                words.say_with(key, [("code", code.into()), ("minutes", minutes.into())])
            }
            Self::Invitation { inviter, role, link, until } => words.say_with(
                key,
                [("inviter", inviter.into()), ("role", role.into()), ("link", link.into()), ("until", until.into())],
            ),
            Self::SignInAlert { time, device, address, link } => words.say_with(
                key,
                [("time", time.into()), ("device", device.into()), ("address", address.into()), ("link", link.into())],
            ),
            Self::AddressChanged { field, time, link } => {
                words.say_with(key, [("field", field.into()), ("time", time.into()), ("link", link.into())])
            }
            Self::Reset { link, until } => words.say_with(key, [("link", link.into()), ("until", until.into())]),
            Self::OrderGivenBack { reward, points, reason } => {
                words.say_with(key, [("reward", reward.into()), ("points", points.into()), ("reason", reason.into())])
            }
            Self::ErasureScheduled { at, link } => words.say_with(key, [("at", at.into()), ("link", link.into())]),
            Self::Dispute { news, link } => words.say_with(key, [("news", news.into()), ("link", link.into())]),
        }
    }

    fn parts(&self, words: &Words<'_>) -> Parts {
        let all = |keys: &[&str]| keys.iter().map(|key| self.say(words, key)).collect();
        let title = self.say(words, &format!("message-{}-title", self.kind()));
        let linked = |link: &str| Some((self.say(words, &format!("message-{}-link", self.kind())), link.to_owned()));
        match *self {
            Self::Code { purpose, code, .. } => Parts {
                title,
                before: all(&[purpose.key()]),
                code: Some(code.to_owned()),
                link: None,
                after: all(&["message-code-limits", "message-code-other"]),
            },
            Self::Invitation { link, .. } => Parts {
                title,
                before: all(&["message-invitation-text"]),
                code: None,
                link: linked(link),
                after: all(&["message-invitation-until"]),
            },
            Self::Reset { link, .. } => Parts {
                title,
                before: all(&["message-reset-text"]),
                code: None,
                link: linked(link),
                after: all(&["message-reset-until", "message-reset-other"]),
            },
            Self::SignInAlert { link, .. } => Parts {
                title,
                before: all(&["message-alert-text", "message-alert-when", "message-alert-other"]),
                code: None,
                link: linked(link),
                after: Vec::new(),
            },
            Self::AddressChanged { link, .. } => Parts {
                title,
                before: all(&["message-address-text", "message-address-other"]),
                code: None,
                link: linked(link),
                after: Vec::new(),
            },
            Self::Dispute { link, .. } => Parts {
                title,
                before: all(&["message-dispute-text"]),
                code: None,
                link: linked(link),
                after: Vec::new(),
            },
            Self::OrderGivenBack { .. } => Parts {
                title,
                before: all(&["message-given-back-text", "message-given-back-reason"]),
                code: None,
                link: None,
                after: all(&["message-given-back-other"]),
            },
            Self::ErasureScheduled { link, .. } => Parts {
                title,
                before: all(&["message-erasure-text", "message-erasure-other"]),
                code: None,
                link: linked(link),
                after: Vec::new(),
            },
        }
    }

    /// Every kind with sample values, for previews and tests.
    pub(super) fn samples() -> Vec<Notice<'static>> {
        let code = |purpose| Notice::Code { purpose, code: "048213", minutes: 10 };
        let link = "https://points.example.org/…";
        vec![
            code(CodePurpose::SignIn),
            code(CodePurpose::Join),
            code(CodePurpose::ChangeAddress),
            code(CodePurpose::Recovery),
            Notice::Invitation { inviter: "Ann", role: "service", link, until: "2026-03-12 09:30" },
            Notice::Reset { link, until: "2026-03-17 09:30" },
            Notice::SignInAlert { time: "2026-03-10 09:30", device: "Firefox, Android", address: "203.0.113.7", link },
            Notice::AddressChanged { field: "phone", time: "2026-03-10 09:30", link },
            Notice::OrderGivenBack { reward: "Cinema ticket", points: "1,200", reason: "There are no codes left." },
            Notice::ErasureScheduled { at: "2026-04-09 09:30", link },
            Notice::Dispute { news: "answered", link },
            Notice::Dispute { news: "refunded", link },
            Notice::Dispute { news: "declined", link },
        ]
    }
}

/// A language, and the name that stands in almost every sentence.
struct Words<'a> {
    language: Language,
    program: &'a str,
}

impl Words<'_> {
    fn say(&self, key: &str) -> String {
        self.say_with(key, [])
    }

    fn say_with<const N: usize>(&self, key: &str, arguments: [Argument<'_>; N]) -> String {
        let program: Argument<'_> = ("program", self.program.into());
        self.language.say_all(key, arguments.into_iter().chain([program]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_said_in_both_languages_on_both_channels() {
        for notice in Notice::samples() {
            for language in [Language::English, Language::Chinese] {
                for to in [Address::email("ann@example.org").unwrap(), Address::phone("+442079460000").unwrap()] {
                    let channel = to.channel();
                    let message = notice.compose(language, "Gift & Club", to).unwrap();
                    // A missing key or place would show itself.
                    for said in [&message.subject, &message.text].into_iter().chain(&message.html) {
                        assert!(
                            !said.contains("message-") && !said.contains("{$") && !said.contains("Unknown"),
                            "{said}"
                        );
                        assert!(!said.contains("{ $"), "{said}");
                    }
                    assert!(message.text.contains("Gift & Club"));
                    assert_eq!(message.html.is_some(), channel == Channel::Email);
                    // A text message of more than 160 letters, or 70 of Chinese, is paid for twice.
                    let limit = if language == Language::Chinese { 120 } else { 200 };
                    assert!(channel == Channel::Email || message.text.chars().count() < limit, "{}", message.text);
                }
            }
        }
    }

    #[test]
    fn a_code_stands_on_a_line_of_its_own_and_names_are_escaped() {
        let notice = Notice::Code { purpose: CodePurpose::Join, code: "048213", minutes: 10 };
        let to = Address::email("ann@example.org").unwrap();
        let message = notice.compose(Language::English, "<b>Gift</b> Club", to).unwrap();
        assert!(message.text.contains("\n\n    048213\n\n"), "{}", message.text);
        assert!(message.text.contains("Enter this code to join <b>Gift</b> Club."));
        let html = message.html.unwrap();
        assert!(html.contains("048213") && !html.contains("<b>"), "{html}");
        assert_eq!(message.subject, "048213 is your code for <b>Gift</b> Club");
    }

    #[test]
    fn a_message_shows_neither_address_nor_code_by_accident() {
        let notice = Notice::Code { purpose: CodePurpose::Join, code: "048213", minutes: 10 };
        let message = notice.compose(Language::English, "Club", Address::phone("+442079460000").unwrap()).unwrap();
        let shown = format!("{message:?}");
        assert!(!shown.contains("048213") && !shown.contains("7946"), "{shown}");
    }
}
