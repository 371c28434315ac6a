//! What surrounds every page: the program's name, the language, who looks, and how figures and names are shown.

use std::convert::Infallible;
use std::sync::Arc;

use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use guerdon_core::identity::{Grant, Permission};
use guerdon_core::ledger::CurrencyId;
use guerdon_core::members::Address;
use guerdon_core::program::Program;
use guerdon_core::redemption::{ALLOWANCE, OrderState, TENDER};
use guerdon_core::tiers::FACTOR_PREFIX;
use guerdon_core::time::Timestamp;

use rust_decimal::Decimal;

use super::format;
use super::nav::Place;
use super::tier::tier_name;
use super::trouble::PageError;
use crate::AppState;
use crate::identity::actor::Actor;
use crate::language::{Argument, Language};
use crate::problem::Problem;

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

    /// Where the page belongs.
    pub fn place(&self) -> Option<Place> {
        self.place
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

    /// What an order is paid in money: how much, how, and where it stands.
    pub fn money_line(&self, payment: &guerdon_core::redemption::Payment) -> String {
        let words = |kind: &str, name: &str| self.t(&format!("{kind}-{name}"));
        let (tender, state) = (words("tender", payment.tender.name()), words("payment-state", payment.state().name()));
        let places = [("money", self.money(payment.amount).into()), ("tender", tender.into()), ("state", state.into())];
        self.say("order-money-line", places)
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
        self.points_as(currency, self.number(currency, points), points)
    }

    /// The same of a number that is written out already; `count` decides between one and many.
    pub fn points_as(&self, currency: CurrencyId, shown: String, count: i64) -> String {
        match self.program.currencies.first() {
            Some(first) if first.id != currency => {
                let name = self.program.currency(currency).map_or("", |known| known.name.get(self.language.tag()));
                self.say("points-of-currency", [("points", shown.into()), ("currency", name.into())])
            }
            _ => self.say("points", [("points", shown.into()), ("count", count.into())]),
        }
    }

    /// Money from its minor units.
    pub fn money(&self, minor: i64) -> String {
        format::money(&self.program.settings.money, self.program.money_digits, minor)
    }

    /// Money from its major units; `None`: it is beyond all limits.
    pub fn major_money(&self, major: Decimal) -> Option<String> {
        let minor = major.checked_mul(Decimal::from(self.program.minor_per_major()))?.round();
        minor.try_into().ok().map(|minor| self.money(minor))
    }

    /// The lines of an address in the order of the page's language.
    pub fn address_lines(&self, address: &Address) -> Vec<String> {
        if self.is_chinese() { address.lines_from_largest() } else { address.lines() }
    }

    /// Where an order stands, in words.
    pub fn order_state(&self, state: OrderState) -> String {
        self.t(&format!("order-{}", state.name()))
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
        self.language.role(name)
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
        let known = self.language.say_if_known(&format!("problem-{}", problem.code));
        known.unwrap_or_else(|| self.say_text("problem-as-said", "detail", &problem.detail))
    }

    /// What was wrong with a form, as a sentence of its page; a page of its own where it was not the form.
    pub fn trouble(&self, problem: &Problem) -> Result<String, PageError> {
        if problem.status >= 500 || problem.status == 404 {
            return Err(PageError::of(self, problem));
        }
        Ok(self.problem(problem))
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

    /// Whether orders are open to who looks.
    pub fn may_see_orders(&self) -> bool {
        self.actor.may(Permission::OrdersRead)
    }

    /// Whether the queue of approvals is open to who looks.
    pub fn may_see_approvals(&self) -> bool {
        self.actor.may(Permission::ApprovalsRead)
    }

    /// The name of an earning rule in its latest version, or its id when there is no such rule any more.
    pub fn rule_name(&self, id: &str) -> String {
        if let Some(tier) = id.strip_prefix(FACTOR_PREFIX) {
            return self.say_text("rule-of-tier", "tier", &tier_name(self, tier));
        }
        let rule = self.program.rules.iter().rfind(|rule| rule.rule.id == id);
        match id.split_once(':') {
            // No rule has a colon in its id: these are what the life of a currency gives and takes.
            Some(("interest", _)) => self.t("title-interest"),
            Some(("decay", _)) => self.t("rule-decay"),
            Some(("extension", _)) => self.t("title-extend"),
            _ => rule.map_or(id, |rule| rule.rule.name.get(self.language.tag())).to_owned(),
        }
    }

    /// The name of a reward, or its id when it is no longer in the catalogue.
    pub fn reward_name(&self, id: &str) -> String {
        match id {
            TENDER => return self.t("reward-checkout"),
            ALLOWANCE => return self.t("reward-allowance"),
            _ => {}
        }
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

/// A page that looks again by itself while something moves.
pub fn looking_again(mut page: Response, moves: bool) -> Response {
    if moves {
        page.headers_mut().insert("refresh", HeaderValue::from_static("2"));
    }
    page
}
