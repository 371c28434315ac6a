//! The language of a page, and its words from the Fluent files.

use std::borrow::Cow;
use std::collections::HashMap;
use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};
use fluent_templates::fluent_bundle::FluentValue;
use fluent_templates::{LanguageIdentifier, Loader, langid};
use guerdon_core::identity::RoleName;

use crate::identity::guard::cookie;
use crate::identity::session::{Https, set_cookie};

fluent_templates::static_loader! {
    static LOCALES = {
        locales: "./locales",
        fallback_language: "en",
        // Marks around inserted text would be read aloud and copied along.
        customise: |bundle| bundle.set_use_isolating(false),
    };
}

const COOKIE: &str = "guerdon_language";
const YEAR_S: i64 = 31_536_000;
static ENGLISH: LanguageIdentifier = langid!("en");
static CHINESE: LanguageIdentifier = langid!("zh-CN");

/// A language in which pages and messages speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Chinese in simplified characters.
    Chinese,
}

/// A value for a place in a sentence: a text, or a number that chooses between singular and plural.
pub type Argument<'a> = (&'static str, FluentValue<'a>);

impl Language {
    /// Its BCP 47 tag.
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-CN",
        }
    }

    /// The language of a BCP 47 tag, when it is one of ours.
    pub fn from_tag(tag: &str) -> Option<Self> {
        match tag.trim().split('-').next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "en" => Some(Self::English),
            "zh" => Some(Self::Chinese),
            _ => None,
        }
    }

    /// The language that a query string asks for: `lang=zh-CN`.
    pub fn in_query(query: &str) -> Option<Self> {
        query.split('&').find_map(|pair| pair.strip_prefix("lang=")).and_then(Self::from_tag)
    }

    /// The language that a browser asks for without an address: by its cookie, else by its own words.
    pub fn of_headers(headers: &HeaderMap, https: bool) -> Option<Self> {
        cookie(headers, COOKIE, https).and_then(Self::from_tag).or_else(|| Self::in_accept_language(headers))
    }

    /// The first language of the highest weight that the console speaks.
    fn in_accept_language(headers: &HeaderMap) -> Option<Self> {
        let mut best: Option<(u32, Self)> = None;
        for wish in texts(headers, header::ACCEPT_LANGUAGE).flat_map(|wishes| wishes.split(',')) {
            let (tag, weight) = wish.split_once(";q=").unwrap_or((wish, "1"));
            let (Some(language), weight) = (Self::from_tag(tag), thousandths(weight)) else { continue };
            if weight > best.map_or(0, |(weight, _)| weight) {
                best = Some((weight, language));
            }
        }
        best.map(|(_, language)| language)
    }

    /// What makes the browser remember it for a year.
    pub fn cookie(self, https: bool) -> String {
        set_cookie(COOKIE, self.tag(), https, Some(YEAR_S))
    }

    fn locale(self) -> &'static LanguageIdentifier {
        match self {
            Self::English => &ENGLISH,
            Self::Chinese => &CHINESE,
        }
    }

    /// The words of a key.
    pub fn say(self, key: &str) -> String {
        LOCALES.lookup(self.locale(), key)
    }

    /// The words of a key, when there are any in this language.
    pub fn say_if_known(self, key: &str) -> Option<String> {
        LOCALES.try_lookup(self.locale(), key)
    }

    /// The name of a role: of one that ships in this language, else its own.
    pub fn role(self, name: &str) -> String {
        match RoleName::from_name(name) {
            Some(role) => self.say(&format!("role-{}", role.name())),
            None => name.to_owned(),
        }
    }

    /// The sentence of a key with its places filled.
    pub fn say_with<const N: usize>(self, key: &str, arguments: [Argument<'_>; N]) -> String {
        self.say_all(key, arguments)
    }

    /// The sentence of a key with its places filled, where how many there are is not known before.
    pub fn say_all<'a>(self, key: &str, arguments: impl IntoIterator<Item = Argument<'a>>) -> String {
        let arguments: HashMap<Cow<'static, str>, FluentValue<'_>> =
            arguments.into_iter().map(|(name, value)| (Cow::Borrowed(name), value)).collect();
        LOCALES.lookup_with_args(self.locale(), key, &arguments)
    }
}

fn texts(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok())
}

/// `0.85` as 850; what is not a weight counts as none.
fn thousandths(weight: &str) -> u32 {
    let (whole, fraction) = weight.trim().split_once('.').unwrap_or((weight.trim(), ""));
    let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
    format!("{whole}{digits}").parse().unwrap_or(0)
}

impl<S: Sync> FromRequestParts<S> for Language {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let https = parts.extensions.get().is_some_and(|Https(https)| *https);
        Ok(Self::in_query(parts.uri.query().unwrap_or_default())
            .or_else(|| Self::of_headers(&parts.headers, https))
            .unwrap_or(Self::English))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    async fn language(uri: &str, headers: &[(&str, &str)]) -> Language {
        let mut request = axum::http::Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        Language::from_request_parts(&mut parts, &()).await.unwrap()
    }

    #[tokio::test]
    async fn the_query_goes_before_the_cookie_and_the_cookie_before_the_browser() {
        let browser = ("accept-language", "fr, en;q=0.8, zh-CN;q=0.9");
        let cookie = ("cookie", "other=1; guerdon_language=en");
        assert_eq!(language("/console", &[]).await, Language::English);
        assert_eq!(language("/console", &[browser]).await, Language::Chinese);
        assert_eq!(language("/console", &[browser, cookie]).await, Language::English);
        assert_eq!(language("/console?after=x&lang=zh-CN", &[browser, cookie]).await, Language::Chinese);
        assert_eq!(language("/console?lang=tlh", &[("accept-language", "tlh;q=1, zh;q=0")]).await, Language::English);
    }

    #[tokio::test]
    async fn over_https_the_choice_is_kept_where_no_neighbour_can_set_it() {
        let kept = Language::Chinese.cookie(true);
        assert!(kept.starts_with("__Host-guerdon_language=zh-CN; Path=/; HttpOnly; SameSite=Lax; Secure"), "{kept}");
        assert!(Language::English.cookie(false).starts_with("guerdon_language=en; Path=/; "));
        let both = "guerdon_language=en; __Host-guerdon_language=zh-CN";
        for (https, expected) in [(true, Language::Chinese), (false, Language::English)] {
            let request = axum::http::Request::builder().header("cookie", both).extension(Https(https));
            let (mut parts, ()) = request.body(()).unwrap().into_parts();
            assert_eq!(Language::from_request_parts(&mut parts, &()).await.unwrap(), expected);
        }
    }

    fn folder(name: &str) -> std::path::PathBuf {
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
    }

    /// The files below a folder, with their texts.
    fn texts_below(folder: &std::path::Path) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.extend(texts_below(&path));
            } else {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                found.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
        found.sort();
        found
    }

    fn keys(file: &str) -> BTreeSet<String> {
        let lines = file.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase()));
        lines.filter_map(|line| line.split_once(" =").map(|(key, _)| key.to_owned())).collect()
    }

    #[test]
    fn both_languages_have_the_same_keys() {
        let (english, chinese) = (texts_below(&folder("locales/en")), texts_below(&folder("locales/zh-CN")));
        assert!(english.len() > 1);
        assert_eq!(english.len(), chinese.len());
        let mut all = BTreeSet::new();
        for ((name, english), (other, chinese)) in english.iter().zip(&chinese) {
            assert_eq!(name, other);
            let (english, chinese) = (keys(english), keys(chinese));
            assert_eq!(english.difference(&chinese).collect::<Vec<_>>(), Vec::<&String>::new(), "{name}");
            assert_eq!(chinese.difference(&english).collect::<Vec<_>>(), Vec::<&String>::new(), "{name}");
            for key in english {
                assert!(all.insert(key.clone()), "`{key}` stands in two files; the loader joins them");
            }
        }
    }

    /// Codes of problems for which pages need no words in their language, and why.
    const WITHOUT_WORDS: &[(&str, &[&str])] = &[
        (
            "they name the field that is wrong, as it is typed",
            &["invalid_request", "invalid_program", "invalid_value", "invalid_body", "invalid_picture"],
        ),
        (
            "only a program can send such a request",
            &[
                "idempotency_key_required",
                "invalid_header",
                "invalid_json",
                "invalid_path",
                "invalid_query",
                "method_not_allowed",
                "not_through_proxy",
                "code_given_before",
                "cross_site_request",
                "quota_exceeded",
                "ticket_altered",
            ],
        ),
        (
            "it stands for a page of its own",
            &["forbidden", "forbidden_store", "unknown_member", "unknown_order", "unknown_reward", "unknown_pool"],
        ),
        (
            "no form of a page does what is refused so: activities, extensions, checkouts, allowances, batches",
            &[
                "already_referred",
                "cap_reached",
                "checkout_ambiguous",
                "checkout_not_offered",
                "extension_not_offered",
                "nothing_due",
                "nothing_to_extend",
                "no_voucher",
                "occurred_in_future",
                "occurred_too_long_ago",
                "out_of_order",
                "not_active",
                "unknown_purchase",
            ],
        ),
        (
            "the page has words of its own for it, or shows itself anew",
            &[
                "already_enrolled",
                "body_too_large",
                "no_passkeys",
                "no_reward",
                "order_not_completed",
                "payment_declined",
                "profile_changed",
                "proof_needed",
                "quote_altered",
                "quote_expired",
                "registration_over",
                "reviews_not_taken",
                "sign_in_over",
                "task_taken",
                "too_many_changes",
                "too_many_reviews",
                "waiting_room_closed",
                "waiting_room_required",
                "work_not_done",
            ],
        ),
        ("the store is not there, which has a page of its own", &["keys_unavailable"]),
    ];

    /// The first text in quotation marks that is the code of a problem.
    fn code_in(text: &str) -> Option<&str> {
        let code = text.split('"').nth(1)?;
        let fits = code.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_') && !code.is_empty();
        fits.then_some(code)
    }

    /// The codes of the problems that the server and the kernel tell, but for those that are not there and those that are no
    /// fault of whoever asked: they have pages of their own.
    fn codes() -> BTreeSet<String> {
        const PAGES: [&str; 5] =
            ["NOT_FOUND", "INTERNAL_SERVER_ERROR", "SERVICE_UNAVAILABLE", "BAD_GATEWAY", "UNAUTHORIZED"];
        let refusals = include_str!("../../core/src/kernel/refusal.rs");
        let of_kernel = refusals.lines().filter(|line| line.contains("=> \"")).filter_map(code_in);
        let mut found: BTreeSet<String> = of_kernel.map(str::to_owned).collect();
        assert!(found.len() > 40, "{found:?}");
        let of_kernel = found.len();
        for (_, text) in texts_below(&folder("src")).into_iter().chain(texts_below(&folder("../fulfilment/src"))) {
            let text = text.split("#[cfg(test)]").next().unwrap();
            for call in ["Problem::new(", "Problem::bad_request(", "conflict(", "Taken::Refused("] {
                for rest in text.split(call).skip(1) {
                    let arguments: String = rest.chars().take_while(|letter| *letter != ';').take(200).collect();
                    let before = arguments.split('"').next().unwrap();
                    let has_page = PAGES.iter().any(|status| before.contains(status));
                    // What is not said by a text is said by somebody else, who is found as well.
                    let at = before.trim_end();
                    let is_text = at.is_empty() || at.ends_with(',') && at.matches(',').count() == 1;
                    found.extend(code_in(&arguments).filter(|_| !has_page && is_text).map(str::to_owned));
                }
            }
        }
        assert!(found.len() > of_kernel + 50, "{found:?}");
        found
    }

    #[test]
    fn every_problem_that_a_form_can_meet_has_words() {
        let english: BTreeSet<String> =
            texts_below(&folder("locales/en")).iter().flat_map(|(_, text)| keys(text)).collect();
        let known = |code: &str| english.contains(&format!("problem-{code}"));
        let without: BTreeSet<&str> = WITHOUT_WORDS.iter().flat_map(|(_, codes)| codes.iter().copied()).collect();
        let codes = codes();
        let missing: Vec<&String> =
            codes.iter().filter(|code| !known(code) && !without.contains(code.as_str())).collect();
        assert_eq!(missing, Vec::<&String>::new(), "give them words in both languages, or say why they need none");
        let stale: Vec<&&str> = without.iter().filter(|code| known(code) || !codes.contains(**code)).collect();
        assert_eq!(stale, Vec::<&&str>::new(), "they have words, or nobody tells them any more");
    }

    #[test]
    fn every_key_of_the_templates_is_there() {
        let english: BTreeSet<String> =
            texts_below(&folder("locales/en")).iter().flat_map(|(_, text)| keys(text)).collect();
        let mut found = 0;
        for (name, text) in texts_below(&folder("templates")) {
            for rest in text.split("frame.t(\"").skip(1) {
                let key = rest.split('"').next().unwrap();
                assert!(english.contains(key), "no words for `{key}` of {name}");
                found += 1;
            }
        }
        assert!(found > 50);
    }
}
