//! What surrounds every page: the program's name, the language, and the pages for what went wrong.

use std::convert::Infallible;
use std::sync::Arc;

use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use guerdon_core::identity::{Grant, Permission, RoleName};
use guerdon_core::ledger::CurrencyId;
use guerdon_core::program::Program;
use guerdon_core::time::Timestamp;
use guerdon_store::StoreError;

use super::format;
use crate::AppState;
use crate::identity::actor::Actor;
use crate::language::{Argument, Language};
use crate::problem::Problem;

/// The place in the navigation where a page belongs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The program at a glance.
    Overview,
    /// Members.
    Members,
    /// The transparency log.
    Proofs,
    /// Operators.
    Operators,
    /// What waits for another operator.
    Approvals,
    /// Files of purchases or members.
    Imports,
    /// The audit log.
    Audit,
    /// Programs that call.
    Keys,
    /// One's own account.
    Account,
}

/// The pages under “Settings”: place, address, the key of the words, and the permission that opens them.
const SETTINGS: &[(Place, &str, &str, Permission)] = &[
    (Place::Approvals, "/console/approvals", "nav-approvals", Permission::ApprovalsRead),
    (Place::Imports, "/console/imports", "nav-imports", Permission::ImportsWrite),
    (Place::Operators, "/console/operators", "nav-operators", Permission::OperatorsRead),
    (Place::Keys, "/console/keys", "nav-keys", Permission::ClientsRead),
    (Place::Audit, "/console/audit", "nav-audit", Permission::AuditRead),
];

/// A link in the navigation.
pub struct SettingsLink {
    /// Where it leads.
    pub address: &'static str,
    /// What it says.
    pub words: String,
    /// Whether it is this page.
    pub current: bool,
}

/// What a page needs besides its own content. Templates read it.
#[derive(Clone)]
pub struct Frame {
    /// The program in force.
    pub program: Arc<Program>,
    /// The language of the page.
    pub language: Language,
    /// Who looks at it: what they may not see or do is not offered.
    pub actor: Actor,
    place: Option<Place>,
}

impl Frame {
    /// A frame around a program, in a language, for somebody.
    pub fn new(program: Arc<Program>, language: Language, actor: Actor) -> Self {
        Self { program, language, actor, place: None }
    }

    /// The frame of a page that belongs to a place.
    pub fn at(self, place: Place) -> Self {
        Self { place: Some(place), ..self }
    }

    /// The pages under “Settings” that who looks may open.
    pub fn settings(&self) -> Vec<SettingsLink> {
        let open = SETTINGS.iter().filter(|(_, _, _, permission)| self.actor.may(*permission));
        let link = |(place, address, key, _): &(Place, &'static str, &str, Permission)| SettingsLink {
            address,
            words: self.t(key),
            current: self.place == Some(*place),
        };
        open.map(link).collect()
    }

    /// Whether the page is one of those under “Settings”.
    pub fn in_settings(&self) -> bool {
        SETTINGS.iter().any(|(place, ..)| self.place == Some(*place))
    }

    /// The words of a key.
    pub fn t(&self, key: &str) -> String {
        self.language.say(key)
    }

    /// The sentence of a key with its places filled.
    pub fn say<const N: usize>(&self, key: &str, arguments: [Argument<'_>; N]) -> String {
        self.language.say_with(key, arguments)
    }

    /// The sentence of a key with one text in it, for templates.
    pub fn say_text(&self, key: &str, name: &'static str, text: &str) -> String {
        self.say(key, [(name, text.into())])
    }

    /// The sentence of a key with a `count` in it, for templates.
    pub fn say_count(&self, key: &str, count: &usize) -> String {
        self.say(key, [("count", (*count).into())])
    }

    /// The program's name.
    pub fn name(&self) -> &str {
        self.program.settings.name.get(self.language.tag())
    }

    /// The address of a static file.
    pub fn asset(&self, path: &str) -> String {
        crate::assets::address(path)
    }

    /// The version of Guerdon.
    pub fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    /// Which time zone the page's times are in.
    pub fn zone_note(&self) -> String {
        self.say("colophon", [("zone", self.program.settings.time_zone.as_str().into())])
    }

    /// Whether the page belongs to the overview.
    pub fn in_overview(&self) -> bool {
        self.place == Some(Place::Overview)
    }

    /// Whether the page belongs to the members.
    pub fn in_members(&self) -> bool {
        self.place == Some(Place::Members)
    }

    /// For the navigation.
    pub fn in_proofs(&self) -> bool {
        self.place == Some(Place::Proofs)
    }

    /// Whether the page is in Chinese.
    pub fn is_chinese(&self) -> bool {
        self.language == Language::Chinese
    }

    /// Digits after the decimal point of a currency.
    pub fn decimals(&self, currency: CurrencyId) -> u32 {
        self.program.currency(currency).map_or(0, |currency| u32::from(currency.decimals))
    }

    /// Points as a number.
    pub fn number(&self, currency: CurrencyId, points: i64) -> String {
        format::decimal(points, self.decimals(currency))
    }

    /// Points in words: `132 points`; of a further currency with its name.
    pub fn points(&self, currency: CurrencyId, points: i64) -> String {
        let shown = self.number(currency, points);
        match self.program.currencies.first() {
            Some(first) if first.id != currency => {
                let name = self.program.currency(currency).map_or("", |known| known.name.get(self.language.tag()));
                self.say("points-of-currency", [("points", shown.into()), ("currency", name.into())])
            }
            _ => self.say("points", [("points", shown.into()), ("count", points.into())]),
        }
    }

    /// Money from its minor units.
    pub fn money(&self, minor: i64) -> String {
        format::money(&self.program.settings.money, self.program.money_digits, minor)
    }

    /// A local date and time; a dash for "never happened".
    pub fn time(&self, at: Timestamp) -> String {
        if at == Timestamp::ZERO { self.t("none") } else { self.program.calendar.show(at) }
    }

    /// A moment by the machine's clock, in the program's time zone.
    pub fn clock_time(&self, at: Timestamp) -> String {
        self.program.calendar.show(at)
    }

    /// The name of a role: of one that ships in the page's language, else its own.
    pub fn role(&self, name: &str) -> String {
        match RoleName::from_name(name) {
            Some(role) => self.t(&format!("role-{}", role.name())),
            None => name.to_owned(),
        }
    }

    /// A grant in words: `Service in North, South`.
    pub fn grant(&self, grant: &Grant) -> String {
        let role = self.role(&grant.role);
        if grant.stores.is_empty() {
            return role;
        }
        self.say("grant-in-stores", [("role", role.into()), ("stores", grant.stores.join(", ").into())])
    }

    /// A problem in the page's language, where there are words for its code; else as the API says it.
    pub fn problem(&self, problem: &Problem) -> String {
        let key = format!("problem-{}", problem.code);
        self.language.say_if_known(&key).unwrap_or_else(|| problem.detail.clone())
    }

    /// Whether a signed-in operator looks at the page.
    pub fn is_signed_in(&self) -> bool {
        self.actor.operator().is_some()
    }

    /// Whether the dashboards are open to who looks.
    pub fn may_see_reports(&self) -> bool {
        self.actor.may(Permission::ReportsRead)
    }

    /// Whether members are open to who looks.
    pub fn may_see_members(&self) -> bool {
        self.actor.access.somewhere().has(Permission::MembersRead)
    }

    /// Whether the page is one's own account.
    pub fn in_account(&self) -> bool {
        self.place == Some(Place::Account)
    }

    /// The name of an earning rule in its latest version, or its id when there is no such rule any more.
    pub fn rule_name(&self, id: &str) -> String {
        let rule = self.program.rules.iter().rfind(|rule| rule.rule.id == id);
        rule.map_or(id, |rule| rule.rule.name.get(self.language.tag())).to_owned()
    }

    /// The name of a reward, or its id when it is no longer in the catalogue.
    pub fn reward_name(&self, id: &str) -> String {
        self.program.reward(id).map_or(id, |reward| reward.name.get(self.language.tag())).to_owned()
    }
}

impl FromRequestParts<AppState> for Frame {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Infallible> {
        let language = Language::from_request_parts(parts, state).await?;
        Ok(Self::new(state.program(), language, Actor::from_request_parts(parts, state).await?))
    }
}

/// Something that went wrong, as a page in the frame. What the store says goes to the log, never to the page.
pub struct PageError {
    frame: Frame,
    status: StatusCode,
    key: &'static str,
}

impl PageError {
    /// There is no such page.
    pub fn not_found(frame: &Frame) -> Self {
        Self { frame: frame.clone(), status: StatusCode::NOT_FOUND, key: "trouble-no-page" }
    }

    /// A link that was used or is too old.
    pub fn link_over(frame: &Frame) -> Self {
        Self { frame: frame.clone(), status: StatusCode::GONE, key: "trouble-link" }
    }

    /// A page that the roles of who looks do not open.
    pub fn forbidden(frame: &Frame) -> Self {
        Self { frame: frame.clone(), status: StatusCode::FORBIDDEN, key: "trouble-forbidden" }
    }

    /// The store cannot be read.
    pub fn store(frame: &Frame) -> Self {
        Self { frame: frame.clone(), status: StatusCode::SERVICE_UNAVAILABLE, key: "trouble-store" }
    }

    /// There is no such member.
    pub fn unknown_member(frame: &Frame) -> Self {
        Self { frame: frame.clone(), status: StatusCode::NOT_FOUND, key: "trouble-no-member" }
    }
}

/// Turns a failed query into a page.
pub trait OrPage<T> {
    /// The value, or the page that says that the store cannot be read.
    fn or_page(self, frame: &Frame) -> Result<T, PageError>;
}

impl<T> OrPage<T> for Result<T, StoreError> {
    fn or_page(self, frame: &Frame) -> Result<T, PageError> {
        self.map_err(|error| {
            tracing::error!(%error, "a query of the console failed");
            PageError::store(frame)
        })
    }
}

#[derive(Template)]
#[template(path = "console/trouble.html")]
struct TroublePage {
    frame: Frame,
    status: u16,
    title: String,
    message: String,
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let message = self.frame.t(&format!("{}-message", self.key));
        let page =
            TroublePage { title: self.frame.t(self.key), status: self.status.as_u16(), message, frame: self.frame };
        let mut response = (self.status, render(&page)).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// Renders a page. A template can only fail where its data cannot be written, which would be a defect.
pub fn render(page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => Html(text).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
