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
    use std::sync::Arc;

    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use guerdon_core::privacy::{KeyWrap, Keyring, MasterKey, SECRETS_RANDOM};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;
    use crate::AppOptions;
    use crate::identity::testing::{scratch, state};
    use crate::language::Language;
    use crate::messages::{CodePurpose, Post, Sender};

    async fn page(mailbox: Option<Mailbox>, path: &str) -> (StatusCode, String) {
        let scratch = scratch().await;
        let master: Arc<dyn KeyWrap> = Arc::new(MasterKey::new([3; 32]));
        let keyring = Keyring::generate(master, [5; SECRETS_RANDOM]).unwrap().0;
        let state = state(&scratch, keyring, Post::default());
        let app = crate::app(state, AppOptions { mailbox, ..AppOptions::default() });
        let response = app.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        let (status, body) = (response.status(), response.into_body().collect().await.unwrap().to_bytes());
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn the_page_shows_what_was_sent_and_says_that_it_is_the_demo() {
        let mailbox = Mailbox::default();
        let code = Notice::Code { purpose: CodePurpose::Join, code: "048213", minutes: 10 };
        let ann = Address::email("ann@example.org").unwrap();
        mailbox.send(&code.compose(Language::English, "<script>alert(1)</script>", ann).unwrap()).await.unwrap();
        let phone = Address::phone("+442079460000").unwrap();
        mailbox.send(&code.compose(Language::English, "Club", phone).unwrap()).await.unwrap();
        let (status, text) = page(Some(mailbox.clone()), "/demo/mailbox").await;
        assert_eq!(status, StatusCode::OK);
        assert!(text.contains("This is the demo.") && text.contains("048213") && text.contains("to ann@example.org"));
        assert!(text.contains("+442079460000") && text.contains("Text message"));
        assert!(!text.contains("<script>alert") && !text.contains(" style="), "{text}");
        let (_, text) = page(Some(mailbox.clone()), "/demo/mailbox?lang=zh-CN").await;
        assert!(text.contains("这是演示环境") && text.contains("lang=\"zh-CN\""));
        let (status, text) = page(Some(mailbox.clone()), "/demo/mailbox/1").await;
        assert!(status == StatusCode::OK && text.contains("048213") && !text.contains("<script>"));
        for number in 0..Notice::samples().len() {
            let (status, text) =
                page(Some(mailbox.clone()), &format!("/demo/mailbox/preview/{number}?lang=zh-CN")).await;
            assert!(status == StatusCode::OK && text.contains("<html lang=\"zh-CN\">"), "{text}");
        }
        for path in ["/demo/mailbox/2", "/demo/mailbox/9", "/demo/mailbox/preview/99"] {
            assert_eq!(page(Some(mailbox.clone()), path).await.0, StatusCode::NOT_FOUND, "{path}");
        }
    }

    #[tokio::test]
    async fn there_is_no_mailbox_where_messages_are_sent() {
        for path in ["/demo/mailbox", "/demo/mailbox/1", "/demo/mailbox/preview/0"] {
            assert_eq!(page(None, path).await.0, StatusCode::NOT_FOUND, "{path}");
        }
    }

    #[tokio::test]
    async fn a_message_is_shown_with_its_own_style_and_nothing_else() {
        let notice = Notice::samples()[0];
        let to = Address::email("ann@example.org").unwrap();
        let message = notice.compose(Language::English, "Club", to).unwrap();
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
