//! The keys of personal data beside the rows: how a keyring is opened, and how plain rows of older versions are sealed.

use std::sync::Arc;

use guerdon_core::id::MemberId;
use guerdon_core::members::{MemberRef, Profile};
use guerdon_core::privacy::{KeyWrap, Keyring, PrivacyError, SEAL_RANDOM, SECRETS_RANDOM, SealedProfile};
use guerdon_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Store, StoreError};

/// Where the database keeps its [`StoredKeyring`].
pub(crate) const KEYRING: &str = "keyring";
/// Plain members that are sealed in one transaction.
const SLICE: usize = 1_000;

/// What the database knows of its keys: nothing of it is of use without a master key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredKeyring {
    /// The program's secrets, wrapped.
    pub secrets: String,
    /// The master keys that may wrap members' keys: the one in use is the last.
    pub master_keys: Vec<String>,
}

/// A member as an older version stored one, with digests that are not keyed.
#[derive(Debug, Clone)]
pub struct PlainMember {
    /// The member.
    pub member_id: MemberId,
    /// JSON of the profile.
    pub profile: String,
    /// The references.
    pub references: Vec<MemberRef>,
}

/// A plain member as it is to be from now on.
#[derive(Debug, Clone)]
pub struct NowSealed {
    /// The member.
    pub member_id: MemberId,
    /// The profile.
    pub sealed: SealedProfile,
    /// Each reference as it was, and keyed.
    pub references: Vec<(MemberRef, MemberRef)>,
}

impl From<PrivacyError> for StoreError {
    fn from(error: PrivacyError) -> Self {
        match error {
            PrivacyError::Unavailable(_) => Self::Unavailable(error.to_string()),
            _ => Self::Unusable(error.to_string()),
        }
    }
}

impl StoredKeyring {
    /// From the stored text.
    pub fn decode(text: &str) -> Result<Self, StoreError> {
        let problem = |error| StoreError::Unusable(format!("the database's keyring cannot be read: {error}"));
        serde_json::from_str(text).map_err(problem)
    }

    /// The text to store.
    pub fn encode(&self) -> Result<String, StoreError> {
        serde_json::to_string(self).map_err(|error| StoreError::Unusable(error.to_string()))
    }

    /// The id of the master key in use.
    pub fn current(&self) -> &str {
        self.master_keys.last().map_or("", String::as_str)
    }
}

/// Refuses to write keys that a master key has wrapped which is being retired: nobody could open them later. `stored` is
/// what the database knows of its keys, read in the transaction that writes.
pub(crate) fn check_wrapped<'a>(
    stored: Option<&str>,
    mut key_ids: impl Iterator<Item = &'a str>,
) -> Result<(), StoreError> {
    let Some(stored) = stored else { return Ok(()) };
    let stored = StoredKeyring::decode(stored)?;
    if key_ids.all(|id| stored.master_keys.iter().any(|known| known == id)) {
        return Ok(());
    }
    Err(StoreError::Unavailable("the master key was changed meanwhile; ask again".to_owned()))
}

/// What the database knows of its keys; `None`: it has none yet.
pub fn stored_keyring(store: &mut dyn Store) -> Result<Option<StoredKeyring>, StoreError> {
    store.meta(KEYRING)?.as_deref().map(StoredKeyring::decode).transpose()
}

/// Opens the keyring of a database with the master keys at hand. `None`: it has no keys yet. Changes nothing.
pub fn open_keyring(store: &mut dyn Store, masters: &[Arc<dyn KeyWrap>]) -> Result<Option<Keyring>, StoreError> {
    let Some(stored) = stored_keyring(store)? else { return Ok(None) };
    for id in &stored.master_keys {
        if !masters.iter().any(|master| master.id() == id) {
            return Err(PrivacyError::UnknownMasterKey(id.clone()).into());
        }
    }
    Ok(Some(Keyring::open(masters.to_vec(), stored.current(), &stored.secrets)?))
}

/// Gives a database its keyring, under a master key; a conflict when another process was faster.
pub fn start_keyring(
    store: &mut dyn Store,
    master: Arc<dyn KeyWrap>,
    random: [u8; SECRETS_RANDOM],
) -> Result<Keyring, StoreError> {
    let (keyring, secrets) = Keyring::generate(master, random)?;
    let stored = StoredKeyring { secrets, master_keys: vec![keyring.current_id().to_owned()] };
    if store.set_keyring(None, &stored.encode()?, None)? { Ok(keyring) } else { Err(StoreError::Conflict) }
}

/// Seals the members that an older version has stored, in slices, each a transaction: it may be stopped at any moment and
/// goes on where it was. `progress` hears how many are done. Returns that number.
pub fn seal_plain_members(
    store: &mut dyn Store,
    keyring: &Keyring,
    random: &mut dyn FnMut() -> [u8; SEAL_RANDOM],
    progress: &dyn Fn(usize),
) -> Result<usize, StoreError> {
    let mut done = 0;
    loop {
        let plain = store.plain_members(SLICE)?;
        if plain.is_empty() {
            store.drop_plain_members()?;
            return Ok(done);
        }
        let sealed: Vec<NowSealed> =
            plain.iter().map(|member| seal(keyring, member, random())).collect::<Result<_, _>>()?;
        store.seal_plain_members(&sealed)?;
        done += sealed.len();
        progress(done);
    }
}

fn seal(keyring: &Keyring, plain: &PlainMember, random: [u8; SEAL_RANDOM]) -> Result<NowSealed, StoreError> {
    let member_id = plain.member_id;
    // The error of the parser may repeat what it cannot read, so it is not shown.
    let profile: Profile = serde_json::from_str(&plain.profile)
        .map_err(|_| StoreError::Unusable(format!("the profile of member {member_id} cannot be read")))?;
    let keyed = |old: &MemberRef| (old.clone(), keyring.keyed(old.kind, &old.digest));
    Ok(NowSealed {
        member_id,
        sealed: keyring.seal_profile(member_id, &profile, random)?,
        references: plain.references.iter().map(keyed).collect(),
    })
}

/// A member's row as read: sealed, or erased.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredMember {
    /// The profile; `None`: its key was destroyed.
    pub sealed: Option<SealedProfile>,
    /// When the member was erased.
    pub erased_at: Option<Timestamp>,
}
