//! `/demo/mailbox`: what `demo` would have sent, and previews of every message. Mounted only where the mailbox is the
//! sender, which nothing but `demo` makes it.

use std::sync::LazyLock;

use askama::Template;
use axum::extract::Path;
use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::mailbox::KEPT;
use super::notice::STYLE;
use super::{Address, Channel, Kept, Mailbox, Message, Notice};
use crate::console::{Frame, render};
use crate::identity::access::{Needs, Pages};
use crate::problem::Problem;

/// An HTML message runs nothing and loads nothing; its style is allowed by its digest.
static MESSAGE_POLICY: LazyLock<Option<HeaderValue>> = LazyLock::new(|| {
    let digest = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).ok()
});

#[derive(Template)]
#[template(path = "messages/mailbox.html")]
struct MailboxPage {
    frame: Frame,
    messages: Vec<Kept>,
    /// Number and subject.
    previews: Vec<(usize, String)>,
}

impl MailboxPage {
    fn channel(&self, kept: &Kept) -> String {
        self.frame.t(match kept.message.to.channel() {
            Channel::Email => "mailbox-email",
            Channel::Phone => "mailbox-phone",
        })
    }

    fn to(&self, kept: &Kept) -> String {
        self.frame.say("mailbox-to", [("address", kept.message.to.as_str().into())])
    }

    fn at(&self, kept: &Kept) -> String {
        self.frame.program.calendar.show(kept.at)
    }

    fn limit(&self) -> String {
        self.frame.say("mailbox-limit", [("count", KEPT.into())])
    }
}

/// The pages of a mailbox.
pub(crate) fn pages(mailbox: Mailbox) -> Pages {
    let shown = mailbox.clone();
    Pages::default()
        .get("/demo/mailbox", Needs::Nothing, async move |frame: Frame| list(frame, &shown))
        .get("/demo/mailbox/{number}", Needs::Nothing, async move |Path(number): Path<u64>| {
            html(mailbox.message(number).map(|kept| kept.message))
        })
        .get("/demo/mailbox/preview/{number}", Needs::Nothing, async |frame: Frame, Path(number): Path<usize>| {
            html(previews(&frame).into_iter().nth(number))
        })
}

fn list(frame: Frame, mailbox: &Mailbox) -> Response {
    let previews = previews(&frame).into_iter().map(|message| message.subject).enumerate().collect();
    render(&MailboxPage { messages: mailbox.messages(), previews, frame })
}

/// Every kind of message in the language of the page.
fn previews(frame: &Frame) -> Vec<Message> {
    let compose = |notice: Notice<'_>| {
        let to = Address::email("ann@example.org").ok()?;
        notice.compose(frame.language, frame.name(), to).ok()
    };
    Notice::samples().into_iter().filter_map(compose).collect()
}

fn html(message: Option<Message>) -> Response {
    let Some(html) = message.and_then(|message| message.html) else {
        return Problem::not_found("not_found", "there is no such message; /demo/mailbox lists them").into_response();
    };
    let mut response = Html(html).into_response();
    if let Some(policy) = MESSAGE_POLICY.clone() {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_message_is_shown_with_its_own_style_and_nothing_else() {
        let notice = Notice::samples()[0];
        let to = Address::email("ann@example.org").unwrap();
        let message = notice.compose(crate::language::Language::English, "Club", to).unwrap();
        let response = html(Some(message.clone()));
        let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
        let text = message.html.as_ref().unwrap();
        let style = text.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
        assert!(policy.contains(&STANDARD.encode(Sha256::digest(style))), "{policy}");
        assert!(!policy.contains("unsafe") && policy.starts_with("default-src 'none'"));
        assert!(!text.contains(" style=") && !text.contains("<script"));
        assert_eq!(html(None).status(), 404);
        assert_eq!(html(Some(Message { html: None, ..message })).status(), 404);
    }
}
