//! Properties of changed profiles: what is accepted is what a plain list of addresses would accept, the references that are
//! to be written lead where that list says, and nothing personal is in what the kernel keeps.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use guerdon_core::id::{IdGenerator, MemberId};
use guerdon_core::kernel::{Batch, Changes, Command, Loaded, RefusalCode};
use guerdon_core::ledger::{Account, CurrencyId, TransactionKind};
use guerdon_core::members::{MemberRef, Profile, RefKind};
use guerdon_core::privacy::{Keyring, MasterKey, NONCE, SEAL_RANDOM, SECRETS_RANDOM, SealedProfile};
use guerdon_core::program::{Bundle, Program};
use guerdon_core::time::Timestamp;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const MEMBERS: i64 = 3;

fn program() -> Program {
    let text = r#"
        program = { id = "p", name = "P", money = "GBP", time_zone = "Europe/London" }
        currencies = [{ id = 1, code = "points", name = "Points", per_money_unit = 100 }]
    "#;
    let mut documents = Bundle::parse(text).unwrap().documents().unwrap();
    documents.iter_mut().for_each(|document| document.version = 1);
    Program::from_documents(&documents).unwrap()
}

fn now() -> Timestamp {
    Timestamp::parse_rfc3339("2026-03-10T09:00:00Z").unwrap()
}

fn keyring() -> &'static Keyring {
    static KEYRING: LazyLock<Keyring> =
        LazyLock::new(|| Keyring::generate(Arc::new(MasterKey::new([1; 32])), [2; SECRETS_RANDOM]).unwrap().0);
    &KEYRING
}

fn email(number: u8) -> String {
    format!("personal-{number}@example.org")
}

/// A member as a client knows one.
#[derive(Debug, Clone)]
struct Known {
    profile: Profile,
    sealed: SealedProfile,
}

fn known(member: MemberId) -> Known {
    let number = u8::try_from(member.0).unwrap();
    let profile = Profile { email: Some(email(number)), name: Some("Personal Name".to_owned()), ..Profile::default() };
    let sealed = keyring().seal_profile(member, &profile, [number; SEAL_RANDOM]).unwrap();
    Known { profile, sealed }
}

/// One wish: whose, which address (none: it is removed), and whether it is made over a profile from before.
type Wish = (i64, Option<u8>, bool);

fn command(member: MemberId, number: usize, read: &Known, patch: Value) -> Command {
    let (nonce, patch): ([u8; NONCE], Map<String, Value>) =
        ([u8::try_from(number + 100).unwrap(); NONCE], patch.as_object().unwrap().clone());
    let key = format!("key-{number}");
    Command::change_profile(keyring(), nonce, member, &key, now(), &read.sealed, &patch).unwrap()
}

fn reference(number: u8) -> MemberRef {
    keyring().reference(RefKind::Email, &email(number))
}

fn loaded(members: &BTreeMap<MemberId, Known>) -> Loaded {
    let account = || {
        let mut account = Account { version: 1, ..Account::default() };
        account.wallet_mut(CurrencyId(1));
        account
    };
    Loaded {
        accounts: members.keys().map(|member| (*member, account())).collect(),
        references: members.keys().map(|member| (reference(u8::try_from(member.0).unwrap()), *member)).collect(),
        profiles: members.iter().map(|(member, known)| (*member, known.sealed.version())).collect(),
        ..Loaded::default()
    }
}

/// Applies what a store is told to write, in order; whatever is inserted must not be there.
fn written(changes: &Changes) -> BTreeMap<MemberRef, MemberId> {
    let mut references: BTreeMap<MemberRef, MemberId> =
        (0..MEMBERS).map(|number| (reference(u8::try_from(number).unwrap()), MemberId(number))).collect();
    for decision in &changes.decisions {
        let member = decision.transaction.member_id;
        let new = decision.profile.as_ref().unwrap();
        for removed in &new.removed {
            assert_eq!(references.remove(removed), Some(member));
        }
        for added in &new.added {
            assert_eq!(references.insert(added.clone(), member), None, "taken from somebody");
        }
    }
    references
}

proptest! {
    #[test]
    fn addresses_lead_where_a_plain_list_says(wishes in prop::collection::vec(
        (0..MEMBERS, prop::option::of(0_u8..6), prop::bool::weighted(0.2)), 1..25)) {
        check(&wishes);
    }
}

fn check(wishes: &[Wish]) {
    let program = program();
    let first: BTreeMap<MemberId, Known> =
        (0..MEMBERS).map(|number| (MemberId(number), known(MemberId(number)))).collect();
    let (mut current, mut ids) = (first.clone(), IdGenerator::new(1));
    let mut batch = Batch::new(&program, loaded(&first), &mut ids, now());
    for (number, (member, address, stale)) in wishes.iter().enumerate() {
        let member = MemberId(*member);
        let read = if *stale { &first[&member] } else { &current[&member] };
        let patch = json!({ "email": address.map(email) });
        let outcome = batch.decide(&command(member, number, read, patch.clone()));
        let is_current = read.sealed == current[&member].sealed;
        let wanted = address.map(email);
        let taken =
            current.iter().any(|(other, known)| *other != member && wanted.is_some() && known.profile.email == wanted);
        match outcome {
            Err(refusal) if !is_current => assert_eq!(refusal.code, RefusalCode::ProfileChanged),
            Err(refusal) => assert!(taken && refusal.code == RefusalCode::AlreadyEnrolled, "{refusal}"),
            Ok(reply) => {
                assert!(is_current && !taken, "{reply:?}");
                let profile = read.profile.patched(patch.as_object().unwrap()).unwrap();
                let nonce = [u8::try_from(number + 100).unwrap(); NONCE];
                let ciphertext = keyring().reseal_profile(member, &read.sealed, &profile, nonce).unwrap();
                let sealed = SealedProfile { ciphertext, ..read.sealed.clone() };
                current.insert(member, Known { profile, sealed });
            }
        }
    }
    let changes = batch.finish();
    let expected: BTreeMap<MemberRef, MemberId> = current
        .iter()
        .filter_map(|(member, known)| {
            Some((keyring().reference(RefKind::Email, known.profile.email.as_deref()?), *member))
        })
        .collect();
    assert_eq!(written(&changes), expected);
    for decision in &changes.decisions {
        assert_eq!((decision.transaction.kind, decision.transaction.transfers.len()), (TransactionKind::Profile, 0));
        let kept = serde_json::to_string(&decision.transaction).unwrap();
        assert!(!kept.contains("ersonal") && !kept.contains("example"), "{kept}");
    }
    // The journal alone leads to the account.
    for change in &changes.accounts {
        let mut account = loaded(&first).accounts.remove(&change.member_id).unwrap();
        let own = changes.decisions.iter().filter(|decision| decision.transaction.member_id == change.member_id);
        own.for_each(|decision| account.follow(&decision.transaction).unwrap());
        assert_eq!(account, change.account);
    }
}

#[test]
fn the_digest_of_a_request_is_keyed_and_tells_two_requests_apart() {
    let ann = known(MemberId(1));
    let one = |patch: Value| command(MemberId(1), 1, &ann, patch).request_digest;
    let (first, second) = (json!({ "phone": "12345" }), json!({ "phone": "12346" }));
    assert_eq!(one(first.clone()), one(first.clone()));
    assert_ne!(one(first.clone()), one(second));
    let other = Keyring::generate(Arc::new(MasterKey::new([1; 32])), [3; SECRETS_RANDOM]).unwrap().0;
    let sealed = other.seal_profile(MemberId(1), &ann.profile, [1; SEAL_RANDOM]).unwrap();
    let patch = first.as_object().unwrap().clone();
    let elsewhere = Command::change_profile(&other, [1; NONCE], MemberId(1), "key", now(), &sealed, &patch).unwrap();
    assert_ne!(elsewhere.request_digest, one(first), "without the key nobody guesses the number from it");
}
