//! Which member someone is whom a provider vouches for. A person is known by issuer and subject, of which a keyed digest is
//! kept; an address says who someone is only where the provider has verified it, or anyone could claim another's account.

use guerdon_core::audit::AuditEvent;
use guerdon_core::hex;
use guerdon_core::id::MemberId;
use guerdon_core::ledger::AccountStatus;
use guerdon_core::limits;
use guerdon_core::members::RefKind;
use guerdon_core::time::Timestamp;
use guerdon_store::{CommandError, Record, RecordChange, RecordQuery, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Refusal;
use super::person::text;
use super::provider::Proved;
use super::settings::{MemberSettings, ProviderSettings};
use crate::AppState;
use crate::identity::actor::{Actor, Who};
use crate::identity::sign_in::Visitor;
use crate::messages::{Address, Channel};

/// The kind of the records that lead from a person at a provider to a member; the subject is the member.
pub const MEMBER_EXTERNAL: &str = "member_external";
/// Links of one member at the most.
const MOST_LINKS: i64 = 100;

/// A link as stored. Its id is a keyed digest: from the record nobody learns who the person is at the provider.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Link {
    /// The provider's id.
    pub provider: String,
    /// When the member first came in by it.
    pub linked_at: Timestamp,
}

/// Someone who is to join, and whom the provider vouches for.
#[derive(Serialize, Deserialize)]
pub struct Newcomer {
    /// The id of the link to be made.
    pub link: String,
    /// The provider's id.
    pub provider: String,
    /// The name that the provider gives.
    pub name: Option<String>,
    /// The addresses that it has verified.
    pub email: Option<String>,
    /// See above.
    pub phone: Option<String>,
}

/// Who came.
pub enum Found {
    /// A member.
    Member(MemberId),
    /// Someone who may become one.
    Newcomer(Box<Newcomer>),
}

/// Finds the member, and links one whose verified address it is.
pub async fn find(
    state: &AppState,
    visitor: &Visitor<'_>,
    provider: &ProviderSettings,
    proved: &Proved,
) -> Result<Found, Refusal> {
    let MemberSettings { join, link } = provider.members.ok_or(Refusal::Unknown)?;
    let id = link_id(state, proved);
    if let Some(known) = state.reader.record(MEMBER_EXTERNAL, &id, state.clock()).await? {
        let member = known.subject.parse().map_err(|_| Refusal::Trouble("a link leads to no member".to_owned()))?;
        return active(state, member).await.map(Found::Member);
    }
    let (email, phone) = (verified(&proved.claims, Channel::Email), verified(&proved.claims, Channel::Phone));
    for address in [&email, &phone].into_iter().flatten() {
        if let Some(member) = owner(state, address).await? {
            if !link {
                return Err(Refusal::NoAccess("the address is a member's, and `link` is off"));
            }
            let member = active(state, member).await?;
            self::link(state, visitor, member, &id, &provider.id).await?;
            return Ok(Found::Member(member));
        }
    }
    if !join {
        return Err(Refusal::NoAccess("the person is unknown, and `join` is off"));
    }
    let address = |address: Option<Address>| address.map(|address| address.as_str().to_owned());
    let name = text(&proved.claims, "name").filter(|name| limits::check_text("name", name, limits::TEXT_CHARS).is_ok());
    Ok(Found::Newcomer(Box::new(Newcomer {
        link: id,
        provider: provider.id.clone(),
        name: name.map(str::to_owned),
        email: address(email),
        phone: address(phone),
    })))
}

/// Remembers that someone at a provider is a member.
pub async fn link(
    state: &AppState,
    visitor: &Visitor<'_>,
    member: MemberId,
    id: &str,
    provider: &str,
) -> Result<(), CommandError> {
    let unusable = |error: StoreError| CommandError::Unavailable(error.to_string());
    let link = Link { provider: provider.to_owned(), linked_at: state.clock() };
    let record = Record::new(MEMBER_EXTERNAL, id, &member.to_string(), &link).map_err(unusable)?;
    let who = Who::Member { id: member, session: String::new() };
    let event = event(state, &Actor { who, ..Actor::anonymous(visitor.address) }, "member.link", member, provider);
    state.engine.write_records(vec![RecordChange::Put(record)], vec![event]).await
}

/// The links of a member, the accounts that were merged into theirs among them.
pub async fn links(state: &AppState, members: &[MemberId]) -> Result<Vec<(Record, Link)>, StoreError> {
    let mut found = Vec::new();
    for member in members {
        let kind = MEMBER_EXTERNAL.to_owned();
        let query = RecordQuery { kind, subject: Some(member.to_string()), after: None, limit: MOST_LINKS };
        for record in state.reader.records(&query, state.clock()).await? {
            let link = record.read()?;
            found.push((record, link));
        }
    }
    Ok(found)
}

/// Takes a link away: who is at its other end does not come in by it any more.
pub async fn unlink(
    state: &AppState,
    actor: &Actor,
    member: MemberId,
    (record, link): (Record, Link),
) -> Result<(), CommandError> {
    let event = event(state, actor, "member.unlink", member, &link.provider);
    state.engine.write_records(vec![RecordChange::Delete(record)], vec![event]).await
}

fn event(state: &AppState, actor: &Actor, action: &str, member: MemberId, provider: &str) -> AuditEvent {
    let mut event = actor.event(state.clock(), action, &member.to_string());
    event.reason = format!("single sign-on by {provider}");
    event
}

fn link_id(state: &AppState, proved: &Proved) -> String {
    // Neither a URL nor a subject holds a zero byte, so that no two pairs are one.
    let pair = format!("{}\0{}", proved.issuer, proved.subject);
    hex::encode(&state.keys().digest("member external", pair.as_bytes()))
}

/// The member to whom an address leads.
async fn owner(state: &AppState, address: &Address) -> Result<Option<MemberId>, StoreError> {
    let kind = match address.channel() {
        Channel::Email => RefKind::Email,
        Channel::Phone => RefKind::Phone,
    };
    state.reader.member_by_reference(&state.keys().reference(kind, &address.normal())).await
}

/// The account in which a member goes on, when it is one that may be used.
async fn active(state: &AppState, member: MemberId) -> Result<MemberId, Refusal> {
    match state.reader.resolve(member).await? {
        Some((member, account)) if account.status == AccountStatus::Active => Ok(member),
        _ => Err(Refusal::NoAccess("the account is closed or erased")),
    }
}

/// The address of a kind that the provider says it has verified, in so many words. Silence is no word: an address that
/// nobody has looked at may be anyone's.
fn verified(claims: &Map<String, Value>, channel: Channel) -> Option<Address> {
    let (address, mark) = match channel {
        Channel::Email => ("email", "email_verified"),
        Channel::Phone => ("phone_number", "phone_number_verified"),
    };
    let marked = claims.get(mark).is_some_and(|mark| mark.as_bool() == Some(true) || mark.as_str() == Some("true"));
    Address::of(channel, text(claims, address).filter(|_| marked)?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_address_counts_only_where_the_provider_says_that_it_has_verified_it() {
        let email = |claims: Value| {
            verified(claims.as_object().unwrap(), Channel::Email).map(|address| address.as_str().to_owned())
        };
        let ann = Some("ann@example.org".to_owned());
        assert_eq!(email(json!({ "email": "ann@example.org", "email_verified": true })), ann);
        assert_eq!(email(json!({ "email": "ann@example.org", "email_verified": "true" })), ann);
        for unproved in [
            json!({ "email": "ann@example.org" }),
            json!({ "email": "ann@example.org", "email_verified": null }),
            json!({ "email": "ann@example.org", "email_verified": false }),
            json!({ "email": "ann@example.org", "email_verified": 1 }),
            json!({ "email": "ann@example.org", "phone_number_verified": true }),
            json!({ "email": "ann@example.org, bob@example.org", "email_verified": true }),
            json!({ "email_verified": true }),
        ] {
            assert_eq!(email(unproved.clone()), None, "{unproved}");
        }
        let phone = json!({ "phone_number": "+44 20 7946 0000", "phone_number_verified": true });
        let phone = verified(phone.as_object().unwrap(), Channel::Phone).unwrap();
        assert_eq!(phone.as_str(), "+442079460000");
    }
}
