//! Changes of a member's profile: the one way that the API, the portal and the console take to the kernel's command.

use axum::http::StatusCode;
use guerdon_core::id::MemberId;
use guerdon_core::kernel::{Command, Receipt, RefusalCode, Reply};
use guerdon_core::members::Profile;
use guerdon_core::privacy::mask;
use guerdon_store::CommandError;
use serde_json::{Map, Value, json};

use super::{invalid, member};
use crate::AppState;
use crate::console::Frame;
use crate::identity::actor::Actor;
use crate::identity::token::random_bytes;
use crate::language::Language;
use crate::messages::{Address, Channel, Notice};
use crate::problem::Problem;

/// How often a change is made anew over a profile that somebody has changed meanwhile.
const TRIES: usize = 5;
/// The version of no profile: a change over it is answered where it was made before, and refused otherwise.
const NO_VERSION: [u8; 32] = [0; 32];

/// What is to be changed.
#[derive(Clone, Copy)]
pub struct Wish<'a> {
    /// Whose profile.
    pub member: MemberId,
    /// The idempotency key.
    pub key: &'a str,
    /// Where it comes from.
    pub channel: &'a str,
    /// A JSON merge patch.
    pub patch: &'a Map<String, Value>,
    /// The version that the caller has seen, and means; `None`: the patch holds for any.
    pub seen: Option<[u8; 32]>,
    /// Why, for the audit log; empty: not said.
    pub reason: &'a str,
}

/// What was changed.
pub struct Changed {
    /// The receipt.
    pub reply: Reply,
    /// The profile as it was.
    pub before: Profile,
    /// The names of the fields that differ since.
    pub fields: Vec<String>,
}

/// Changes a profile, and writes down in the audit log who has changed which fields.
pub async fn change(state: &AppState, actor: &Actor, wish: Wish<'_>) -> Result<Changed, Problem> {
    refuse_masks(wish.patch)?;
    let mut tries = 0;
    loop {
        let row = member(state, wish.member).await?;
        let erased = || Problem::new(StatusCode::CONFLICT, "member_erased", "this member was erased");
        let sealed = row.stored.sealed.as_ref().ok_or_else(erased)?;
        let before = state.profile(&row)?.ok_or_else(erased)?;
        let (keys, now) = (state.keys(), state.engine.now());
        let command = Command::change_profile(&keys, random_bytes(), wish.member, wish.key, now, sealed, wish.patch)?;
        let stale = wish.seen.is_some_and(|seen| seen != sealed.version());
        let command = if stale { command.over(NO_VERSION) } else { command };
        match state.engine.submit_one(command.from_channel(wish.channel)).await {
            Err(CommandError::Refused(refusal))
                if refusal.code == RefusalCode::ProfileChanged && wish.seen.is_none() && tries < TRIES =>
            {
                tries += 1;
            }
            outcome => return done(state, actor, wish, before, outcome?).await,
        }
    }
}

async fn done(
    state: &AppState,
    actor: &Actor,
    wish: Wish<'_>,
    before: Profile,
    reply: Reply,
) -> Result<Changed, Problem> {
    let receipt: Receipt = serde_json::from_str(&reply.receipt)
        .map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "the receipt cannot be read"))?;
    if !reply.replayed {
        let mut event = actor.event(state.clock(), "member.profile", &wish.member.to_string());
        wish.reason.clone_into(&mut event.reason);
        event.after = json!({ "transaction_id": receipt.transaction_id, "fields": receipt.fields });
        if let Err(error) = state.engine.write_records(Vec::new(), vec![event]).await {
            // The change stands in the journal; who made it is in this line at least.
            tracing::error!(%error, actor = actor.name(), "a profile was changed, but the audit log does not say so");
        }
    }
    Ok(Changed { reply, before, fields: receipt.fields })
}

/// Refuses what a mask has left of a value: who sees no more than that must not write it back.
fn refuse_masks(patch: &Map<String, Value>) -> Result<(), Problem> {
    for (field, value) in patch {
        let masked = match value {
            Value::String(text) => mask::is_masked(text),
            Value::Object(fields) => fields.values().filter_map(Value::as_str).any(mask::is_masked),
            Value::Array(all) => {
                let fields = all.iter().filter_map(Value::as_object).flat_map(Map::values);
                fields.filter_map(Value::as_str).any(mask::is_masked)
            }
            _ => false,
        };
        if masked {
            let shown: String = field.chars().take(32).collect();
            return Err(invalid(format!("`{shown}` is masked; leave out what is to stay as it is")));
        }
    }
    Ok(())
}

/// Tells every address that the member had before that one of them was changed, in the member's language where that is
/// known: whoever did it, the member hears of it.
pub fn tell(state: &AppState, frame: &Frame, changed: &Changed) {
    let spoken = |one: &Language| changed.before.language.as_deref() == Some(one.tag());
    let language = [Language::English, Language::Chinese].into_iter().find(spoken).unwrap_or(frame.language);
    let (program, time) = (state.program(), frame.clock_time(state.clock()));
    let link = state.people.link("/portal/profile");
    for field in changed.fields.iter().filter(|field| matches!(field.as_str(), "email" | "phone")) {
        let notice = Notice::AddressChanged { field, time: &time, link: &link };
        for to in addresses(&changed.before).filter(|to| state.post.takes(to.channel())) {
            let message = notice.compose(language, program.settings.name.get(language.tag()), to);
            let sent = message.map_err(|error| error.to_string()).map(|message| state.post.send(message));
            if !matches!(sent, Ok(Ok(()))) {
                tracing::warn!("a member could not be told that an address was changed");
            }
        }
    }
}

fn addresses(profile: &Profile) -> impl Iterator<Item = Address> {
    let known = [(Channel::Email, &profile.email), (Channel::Phone, &profile.phone)];
    known.into_iter().filter_map(|(channel, text)| Address::of(channel, text.as_deref()?).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_mask_has_left_is_not_written_back() {
        let refused = |patch: Value| refuse_masks(patch.as_object().unwrap()).is_err();
        for masked in [
            json!({ "phone": "138****8000" }),
            json!({ "email": "a****@example.org" }),
            json!({ "birth_date": "1990-**-**" }),
            json!({ "attributes": { "shoe": "****" } }),
        ] {
            assert!(refused(masked.clone()), "{masked}");
        }
        assert!(!refused(json!({ "phone": "13800138000", "email": null, "attributes": { "shoe": null } })));
    }
}
