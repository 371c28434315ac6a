//! Which operator someone is whom a provider vouches for, and what they may do from now on.

use guerdon_core::audit::AuditEvent;
use guerdon_core::hex;
use guerdon_core::identity::Grant;
use guerdon_store::{Record, RecordChange};
use serde_json::{Map, Value};

use super::Refusal;
use super::provider::Proved;
use super::settings::ProviderSettings;
use crate::AppState;
use crate::identity::actor::Actor;
use crate::identity::operator::{ExternalIdentity, OPERATOR, OPERATOR_EMAIL, Operator, OperatorState};
use crate::identity::operators::{self, MOST_OPERATORS, check_person, email_id, new_id, permissions_of};
use crate::identity::session;
use crate::identity::sign_in::Visitor;

/// The kind of the records that lead from a person at a provider to an operator; the id is a keyed digest.
pub const OPERATOR_EXTERNAL: &str = "operator_external";

/// An operator who may come in.
pub struct Admitted {
    /// `opr_…`
    pub id: String,
    /// The e-mail address.
    pub email: String,
}

/// Finds, links or creates the operator, and makes their roles what the claims say. All of it is in the audit log.
pub async fn admit(
    state: &AppState,
    visitor: &Visitor<'_>,
    provider: &ProviderSettings,
    proved: &Proved,
) -> Result<Admitted, Refusal> {
    let this = Person { state, visitor, provider, proved };
    let grants = this.grants().await?;
    let index = this.index().await?;
    let known = this.known(index.as_ref()).await?;
    if grants.is_empty() {
        this.take_away(known).await?;
        return Err(Refusal::NoAccess("no claim gives a role"));
    }
    if let Some((record, operator)) = known {
        if operator.state != OperatorState::Active {
            return Err(Refusal::NoAccess("the operator is suspended"));
        }
        return this.welcome_back(record, operator, grants).await;
    }
    this.welcome_anew(index, grants).await
}

struct Person<'a> {
    state: &'a AppState,
    visitor: &'a Visitor<'a>,
    provider: &'a ProviderSettings,
    proved: &'a Proved,
}

impl Person<'_> {
    fn is_this(&self, identity: &ExternalIdentity) -> bool {
        identity.issuer == self.proved.issuer && identity.subject == self.proved.subject
    }

    fn index_id(&self) -> String {
        // Neither a URL nor a subject holds a zero byte, so that no two pairs are one.
        let pair = format!("{}\0{}", self.proved.issuer, self.proved.subject);
        hex::encode(&self.state.keys().digest("operator external", pair.as_bytes()))
    }

    async fn index(&self) -> Result<Option<Record>, Refusal> {
        Ok(self.state.reader.record(OPERATOR_EXTERNAL, &self.index_id(), self.state.clock()).await?)
    }

    /// The operator whom the index leads to, unless their sign-in was reset since.
    async fn known(&self, index: Option<&Record>) -> Result<Option<(Record, Operator)>, Refusal> {
        let Some(index) = index else { return Ok(None) };
        let found = self.state.reader.record(OPERATOR, &index.subject, self.state.clock()).await?;
        let Some(record) = found else { return Ok(None) };
        let operator: Operator = record.read()?;
        let linked = operator.external.iter().any(|identity| self.is_this(identity));
        Ok(linked.then_some((record, operator)))
    }

    /// What the claims give, of the roles that there are.
    async fn grants(&self) -> Result<Vec<Grant>, Refusal> {
        let mut grants = Vec::new();
        for grant in self.provider.grants(&self.proved.claims) {
            if permissions_of(self.state, &grant.role).await?.is_some() {
                grants.push(grant);
            } else {
                tracing::warn!(
                    provider = self.provider.id,
                    role = grant.role,
                    "a claim gives a role that does not exist"
                );
            }
        }
        Ok(grants)
    }

    fn event(&self, action: &str, id: &str) -> AuditEvent {
        let mut event = Actor::anonymous(self.visitor.address).event(self.state.clock(), action, id);
        event.reason = format!("single sign-on by {}", self.provider.id);
        event
    }

    /// Puts the roles that claims give now in the place of those that they gave before.
    fn regrant(&self, operator: &mut Operator, grants: Vec<Grant>) {
        let Some(identity) = operator.external.iter_mut().find(|identity| self.is_this(identity)) else { return };
        operator.grants.retain(|grant| !identity.grants.contains(grant));
        // A role that people have given too stays theirs to take away.
        identity.grants = grants.into_iter().filter(|grant| !operator.grants.contains(grant)).collect();
        operator.grants.extend(identity.grants.iter().cloned());
    }

    async fn write(&self, changes: Vec<RecordChange>, event: AuditEvent) -> Result<(), Refusal> {
        self.state.engine.write_records(changes, vec![event]).await?;
        self.state.directory.forget_operators();
        Ok(())
    }

    /// Nothing gives the person a role any more: what claims gave before is gone, and so are the sessions.
    async fn take_away(&self, known: Option<(Record, Operator)>) -> Result<(), Refusal> {
        let Some((record, before)) = known else { return Ok(()) };
        let id = record.id.clone();
        let mut after = before.clone();
        self.regrant(&mut after, Vec::new());
        let mut event = self.event("sign_in.refuse", &id);
        let mut changes = Vec::new();
        if after.grants != before.grants {
            (event.before, event.after) = (before.facts(), after.facts());
            changes.push(RecordChange::Put(record.with(&after)?));
            let sessions = session::list(self.state, &id).await?;
            changes.extend(sessions.into_iter().map(|(session, _)| RecordChange::Delete(session)));
        }
        self.write(changes, event).await
    }

    async fn welcome_back(&self, record: Record, before: Operator, grants: Vec<Grant>) -> Result<Admitted, Refusal> {
        let mut after = before.clone();
        self.regrant(&mut after, grants);
        let admitted = Admitted { id: record.id.clone(), email: after.email.clone() };
        if after.grants != before.grants || after.external != before.external {
            let mut event = self.event("operator.grant", &record.id);
            (event.before, event.after) = (before.facts(), after.facts());
            self.write(vec![RecordChange::Put(record.with(&after)?)], event).await?;
        }
        Ok(admitted)
    }

    /// Someone who comes by this provider for the first time. `stale` leads to an operator who has been reset.
    async fn welcome_anew(&self, stale: Option<Record>, grants: Vec<Grant>) -> Result<Admitted, Refusal> {
        let email = verified_email(&self.proved.claims, self.provider.trust_email)
            .ok_or(Refusal::NoAccess("the provider gives no verified e-mail address"))?;
        let identity = ExternalIdentity {
            issuer: self.proved.issuer.clone(),
            subject: self.proved.subject.clone(),
            grants: Vec::new(),
        };
        let leads_to = |id: &str| match stale {
            Some(record) => Record { subject: id.to_owned(), ..record },
            None => Record { subject: id.to_owned(), ..new_index(self.index_id()) },
        };
        if let Some((record, before)) = operators::find_by_email(self.state, &email).await? {
            self.may_link(&before)?;
            let mut after = before.clone();
            after.state = OperatorState::Active;
            after.external.push(identity);
            self.regrant(&mut after, grants);
            let admitted = Admitted { id: record.id.clone(), email };
            let mut event = self.event("operator.link", &record.id);
            (event.before, event.after) = (before.facts(), after.facts());
            let index = leads_to(&record.id);
            self.write(vec![RecordChange::Put(record.with(&after)?), RecordChange::Put(index)], event).await?;
            return Ok(admitted);
        }
        if !self.provider.create_operators {
            return Err(Refusal::NoAccess("the person is unknown, and `create_operators` is off"));
        }
        if operators::list(self.state).await?.len() as i64 >= MOST_OPERATORS {
            return Err(Refusal::NoAccess("there are as many operators as there may be"));
        }
        let name = text(&self.proved.claims, "name").unwrap_or(&email);
        check_person(&email, name)?;
        let id = new_id("opr");
        let mut operator = Operator::invited(&email, name, Vec::new(), self.state.clock());
        operator.state = OperatorState::Active;
        operator.external.push(identity);
        self.regrant(&mut operator, grants);
        let mut event = self.event("operator.create", &id);
        event.after = operator.facts();
        let changes = vec![
            RecordChange::Put(Record::new(OPERATOR, &id, "", &operator)?),
            RecordChange::Put(Record::new(OPERATOR_EMAIL, &email_id(self.state, &email), &id, &Value::Null)?),
            RecordChange::Put(leads_to(&id)),
        ];
        self.write(changes, event).await?;
        Ok(Admitted { id, email })
    }

    fn may_link(&self, operator: &Operator) -> Result<(), Refusal> {
        if !self.provider.link_by_email {
            return Err(Refusal::NoAccess("the address is an operator's, and `link_by_email` is off"));
        }
        if operator.state == OperatorState::Suspended {
            return Err(Refusal::NoAccess("the operator is suspended"));
        }
        // Or whoever runs the provider could make themselves an owner.
        if operator.is_owner() {
            return Err(Refusal::NoAccess("the address is an owner's, and owners are not linked"));
        }
        Ok(())
    }
}

fn new_index(id: String) -> Record {
    let (kind, subject, body) = (OPERATOR_EXTERNAL.to_owned(), String::new(), "null".to_owned());
    Record { kind, id, version: 0, subject, expires_at: None, body }
}

pub(super) fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    claims.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty())
}

/// The e-mail address that the provider has verified.
fn verified_email(claims: &Map<String, Value>, trusted: bool) -> Option<String> {
    let verified = match claims.get("email_verified") {
        None | Some(Value::Null) => trusted,
        Some(Value::Bool(verified)) => *verified,
        // Some providers send it as a text.
        Some(value) => value.as_str() == Some("true"),
    };
    let email = text(claims, "email").filter(|_| verified)?;
    Some(email.to_lowercase())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::verified_email;

    #[test]
    fn only_a_verified_address_says_who_someone_is() {
        let verified = |claims: serde_json::Value, trusted| verified_email(claims.as_object().unwrap(), trusted);
        let ann = Some("ann@example.org".to_owned());
        assert_eq!(verified(json!({ "email": "Ann@example.org", "email_verified": true }), false), ann);
        assert_eq!(verified(json!({ "email": "ann@example.org", "email_verified": "true" }), false), ann);
        assert_eq!(verified(json!({ "email": "ann@example.org" }), true), ann);
        assert_eq!(verified(json!({ "email": "ann@example.org" }), false), None);
        assert_eq!(verified(json!({ "email": "ann@example.org", "email_verified": false }), true), None);
        assert_eq!(verified(json!({ "email": "ann@example.org", "email_verified": 1 }), true), None);
        assert_eq!(verified(json!({ "email_verified": true }), true), None);
    }
}
