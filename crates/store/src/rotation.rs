//! Rotation of the master key, beside everything else: the new key is in use for new members at once, the keys of the
//! others are wrapped anew in slices, and the old key is retired when none is left. Every step is durable and says what
//! is still to do, so a rotation that was interrupted goes on wherever it is taken up again.

use std::sync::Arc;

use guerdon_core::id::MemberId;
use guerdon_core::privacy::{KeyWrap, Keyring, NONCE};

use crate::privacy::KEYRING;
use crate::{Store, StoreError, StoredKeyring};

/// The lease of the node that rotates.
const LEASE: &str = "job rotate";

/// What a round of a rotation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotated {
    /// The keys of so many members were wrapped anew; there may be more.
    Members(usize),
    /// No key is wrapped by an old master key any more, and none can be from now on.
    All,
    /// Another node does it.
    Elsewhere,
}

fn stored(store: &mut dyn Store) -> Result<(String, StoredKeyring), StoreError> {
    let text = store.meta(KEYRING)?;
    let text = text.ok_or_else(|| StoreError::Unusable("the database has no keys of personal data yet".to_owned()))?;
    let decoded = StoredKeyring::decode(&text)?;
    Ok((text, decoded))
}

/// Takes a new master key into use. The program's own secrets are under it from then on, and so are new members. Returns
/// the keyring to go on with.
pub fn begin_rotation(
    store: &mut dyn Store,
    keyring: &Keyring,
    new: Arc<dyn KeyWrap>,
    nonce: [u8; NONCE],
) -> Result<Keyring, StoreError> {
    let keyring = keyring.with_current(new)?;
    let (from, mut known) = stored(store)?;
    if known.current() == keyring.current_id() {
        return Ok(keyring);
    }
    if known.master_keys.len() > 1 {
        let problem = "a rotation of the master key is on its way; let it end before another begins";
        return Err(StoreError::Unusable(problem.to_owned()));
    }
    known.secrets = keyring.wrapped_secrets(nonce)?;
    known.master_keys.push(keyring.current_id().to_owned());
    if store.set_keyring(Some(&from), &known.encode()?, None)? { Ok(keyring) } else { Err(StoreError::Conflict) }
}

/// Wraps the keys of at most `limit` members anew, in one transaction, and retires a master key that wraps none.
pub fn rotate(
    store: &mut dyn Store,
    keyring: &Keyring,
    limit: usize,
    nonce: &mut dyn FnMut() -> [u8; NONCE],
) -> Result<Rotated, StoreError> {
    if !store.lease(LEASE)? {
        return Ok(Rotated::Elsewhere);
    }
    let (from, mut known) = stored(store)?;
    if known.current() != keyring.current_id() {
        let problem = format!("the master key in use is {}, not {}", known.current(), keyring.current_id());
        return Err(StoreError::Unusable(problem));
    }
    if known.master_keys.len() < 2 {
        return Ok(Rotated::All);
    }
    let old = known.master_keys.remove(0);
    let members = store.members_under(&old, limit)?;
    if members.is_empty() {
        // What a writer was about to commit under the old key is waited for, and looked for once more.
        store.set_keyring(Some(&from), &known.encode()?, Some(&old))?;
        return Ok(Rotated::Members(0));
    }
    let anew: Vec<(MemberId, Vec<u8>)> = members
        .iter()
        .map(|(member, wrapped)| Ok((*member, keyring.rewrap(*member, &old, wrapped, nonce())?)))
        .collect::<Result<_, StoreError>>()?;
    store.rewrap_members(&old, keyring.current_id(), &anew)?;
    Ok(Rotated::Members(anew.len()))
}
