//! Through whose hands the secret of a program or the link of an account went. Two who could each act as the other are one
//! pair of eyes, however many accounts they have.

use std::collections::BTreeSet;

use guerdon_store::StoreError;

use super::actor::{Actor, Who};
use super::api_key::ApiKey;
use super::client::{CLIENT, Client};
use super::keys;
use super::operator::{OPERATOR, Operator};
use crate::AppState;

/// The people behind an actor: the operator, or everybody who was ever given a secret of the program that acts. What leads
/// to no person, such as the server's own key, stands for itself.
pub async fn behind(state: &AppState, actor: &Actor) -> Result<Vec<String>, StoreError> {
    match &actor.who {
        Who::Key { id } | Who::Client { id } => of_program(state, id).await,
        _ => Ok(vec![actor.name()]),
    }
}

/// The same of a program by its id.
pub async fn of_program(state: &AppState, id: &str) -> Result<Vec<String>, StoreError> {
    let (mut people, mut programs, mut open) = (BTreeSet::new(), BTreeSet::new(), vec![id.to_owned()]);
    while let Some(one) = open.pop() {
        if !programs.insert(one.clone()) {
            continue;
        }
        let holders = holders(state, &one).await?;
        if holders.is_empty() {
            people.insert(one);
        }
        open.extend(holders);
    }
    Ok(people.into_iter().collect())
}

/// Who was given a secret of a program; nobody where it is none, or gone.
async fn holders(state: &AppState, id: &str) -> Result<Vec<String>, StoreError> {
    let now = state.clock();
    let known = |holders: Vec<String>, by: String| if holders.is_empty() { vec![by] } else { holders };
    if id.starts_with("cli_") {
        let Some(record) = state.reader.record(CLIENT, id, now).await? else { return Ok(Vec::new()) };
        let client: Client = record.read()?;
        return Ok(known(client.holders, client.created_by));
    }
    if !id.starts_with("key_") {
        return Ok(Vec::new());
    }
    let mut all = Vec::new();
    for record in state.reader.records(&keys::query(Some(id)), now).await? {
        let key: ApiKey = record.read()?;
        all.extend(known(key.holders, key.created_by));
    }
    Ok(all)
}

/// Those who have held the secrets of a program so far, and whoever gets its next one.
pub async fn joined(state: &AppState, id: &str, actor: &Actor) -> Result<Vec<String>, StoreError> {
    let people: BTreeSet<String> =
        of_program(state, id).await?.into_iter().chain(behind(state, actor).await?).collect();
    Ok(people.into_iter().collect())
}

/// Whether one of two operators has had the way into the other's account in hand: has invited or reset them, or somebody
/// who has.
pub async fn could_be_one(state: &AppState, one: &str, other: &str) -> Result<bool, StoreError> {
    Ok(one == other || above(state, one).await?.contains(other) || above(state, other).await?.contains(one))
}

/// Whoever has invited or reset an operator, and those who have invited or reset them.
async fn above(state: &AppState, operator: &str) -> Result<BTreeSet<String>, StoreError> {
    let (mut above, mut open) = (BTreeSet::new(), vec![operator.to_owned()]);
    while let Some(one) = open.pop() {
        let Some(record) = state.reader.record(OPERATOR, &one, state.clock()).await? else { continue };
        let known: Operator = record.read()?;
        open.extend(known.invited_by.into_iter().filter(|by| above.insert(by.clone())));
    }
    Ok(above)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use guerdon_core::identity::{Access, Permissions};
    use guerdon_core::privacy::{Keyring, MasterKey, SECRETS_RANDOM};
    use guerdon_store::{Record, RecordChange};

    use super::*;
    use crate::identity::allowance::Allowance;
    use crate::identity::clients::{self, ClientTerms};
    use crate::identity::keys::NewKey;
    use crate::identity::testing::{NOW, scratch, state};
    use crate::identity::usage::UsageQuota;
    use crate::messages::Post;

    fn actor(who: Who) -> Actor {
        Actor { who, access: Arc::new(Access::new(Permissions::all(), &[])), ..Actor::system() }
    }

    fn operator(id: &str) -> Actor {
        actor(Who::Operator { id: id.to_owned(), session: String::new() })
    }

    fn allowance() -> Allowance {
        Allowance::parse(&["members:read"], Vec::new(), &[], None).unwrap()
    }

    #[tokio::test]
    async fn behind_a_program_stands_everybody_who_ever_had_its_secret() {
        let scratch = scratch().await;
        let keyring = Keyring::generate(Arc::new(MasterKey::new([1; 32])), [2; SECRETS_RANDOM]).unwrap().0;
        let state = state(&scratch, keyring, Post::default());
        let new = NewKey { name: "Till".to_owned(), allowance: allowance(), expires_at: None, signed: false };
        let (key, _) = keys::issue(&state, &operator("opr_ann"), &new).await.unwrap();
        let as_key = actor(Who::Key { id: key.id.clone() });
        assert_eq!(behind(&state, &as_key).await.unwrap(), ["opr_ann"]);

        // A key that a key has issued, and a client that this one has registered, are hers as well, also when the key is gone.
        let (child, _) = keys::issue(&state, &as_key, &new).await.unwrap();
        let as_child = actor(Who::Key { id: child.id.clone() });
        let terms = ClientTerms { name: "Shop".to_owned(), allowance: allowance(), quota: UsageQuota::default() };
        let (client, _) = clients::register(&state, &as_child, &terms).await.unwrap();
        keys::revoke(&state, &operator("opr_ann"), &key.id).await.unwrap();
        let as_client = actor(Who::Client { id: client.id.clone() });
        assert_eq!(behind(&state, &as_client).await.unwrap(), ["opr_ann"]);

        // Whoever rotates a secret has it from then on, and whoever had it before is not forgotten.
        clients::rotate(&state, &operator("opr_ben"), &client.id, 60).await.unwrap();
        keys::rotate(&state, &operator("opr_cyd"), &child.id, 0, None).await.unwrap();
        assert_eq!(behind(&state, &as_client).await.unwrap(), ["opr_ann", "opr_ben"]);
        assert_eq!(behind(&state, &as_child).await.unwrap(), ["opr_ann", "opr_cyd"]);

        // A record of before, which says nothing of holders.
        let (_, record) = new.draft("key_old", "opr_dan", NOW, &state.keys()).unwrap();
        let old = ApiKey { holders: Vec::new(), ..record.read().unwrap() };
        state.engine.write_records(vec![RecordChange::Put(record.with(&old).unwrap())], Vec::new()).await.unwrap();
        keys::rotate(&state, &operator("opr_eve"), "key_old", 60, None).await.unwrap();
        let as_old = actor(Who::Key { id: "key_old".to_owned() });
        assert_eq!(behind(&state, &as_old).await.unwrap(), ["opr_dan", "opr_eve"]);
        let bootstrap = actor(Who::Key { id: "key_bootstrap".to_owned() });
        assert_eq!(behind(&state, &bootstrap).await.unwrap(), ["key_bootstrap"]);
    }

    #[tokio::test]
    async fn who_has_invited_or_reset_somebody_could_be_them() {
        let scratch = scratch().await;
        let keyring = Keyring::generate(Arc::new(MasterKey::new([1; 32])), [2; SECRETS_RANDOM]).unwrap().0;
        let state = state(&scratch, keyring, Post::default());
        for (id, by) in [("opr_a", vec!["key_bootstrap"]), ("opr_b", vec!["opr_a"]), ("opr_c", vec!["opr_b", "opr_c"])]
        {
            let mut operator = Operator::invited(&format!("{id}@example.org"), id, Vec::new(), NOW);
            operator.invited_by = by.into_iter().map(str::to_owned).collect();
            let record = Record::new(OPERATOR, id, "", &operator).unwrap();
            state.engine.write_records(vec![RecordChange::Put(record)], Vec::new()).await.unwrap();
        }
        for (one, other, expected) in
            [("opr_a", "opr_b", true), ("opr_c", "opr_a", true), ("opr_x", "opr_a", false), ("opr_x", "opr_x", true)]
        {
            assert_eq!(could_be_one(&state, one, other).await.unwrap(), expected, "{one} {other}");
            assert_eq!(could_be_one(&state, other, one).await.unwrap(), expected, "{other} {one}");
        }
    }
}
