//! Keys, seals and the blind index.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::sync::{Arc, Mutex};

use guerdon_core::id::MemberId;
use guerdon_core::kernel::{Action, Command};
use guerdon_core::members::{Profile, RefKind};
use guerdon_core::privacy::{
    KeyWrap, Keyring, MasterKey, NONCE, PrivacyError, SEAL_RANDOM, SECRETS_RANDOM, SealedProfile,
};
use guerdon_core::time::Timestamp;
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

const OLD: [u8; 32] = [1; 32];
const NEW: [u8; 32] = [2; 32];

fn keyring() -> (Keyring, String) {
    Keyring::generate(Arc::new(MasterKey::new(OLD)), [7; SECRETS_RANDOM]).unwrap()
}

fn ann() -> Profile {
    Profile {
        name: Some("Ann Example".into()),
        email: Some("ann@example.org".into()),
        phone: Some("+44 20 7946 0000".into()),
        ..Profile::default()
    }
}

fn text() -> impl Strategy<Value = Option<String>> {
    proptest::option::of("\\PC{1,40}")
}

fn profiles() -> impl Strategy<Value = Profile> {
    let attributes = proptest::collection::btree_map("[a-z]{1,8}", "\\PC{0,60}", 0..6);
    (text(), text(), text(), text(), attributes).prop_map(|(external_id, name, email, phone, attributes)| Profile {
        external_id,
        name,
        email,
        phone,
        attributes,
        ..Profile::default()
    })
}

proptest! {
    #[test]
    fn what_is_sealed_opens_for_its_member_alone(
        profile in profiles(), member in 0_i64..i64::MAX, other in 0_i64..i64::MAX, random: [u8; 28],
        at in 0_usize..2_000, flip in 1_u8..,
    ) {
        let (keyring, _) = keyring();
        let random: [u8; SEAL_RANDOM] = [random, random].concat().try_into().unwrap();
        let member = MemberId(member);
        let sealed = keyring.seal_profile(member, &profile, random).unwrap();
        prop_assert_eq!(&keyring.open_profile(member, &sealed).unwrap(), &profile);
        prop_assume!(MemberId(other) != member);
        prop_assert!(keyring.open_profile(MemberId(other), &sealed).is_err());

        // Any altered byte is noticed, in the profile and in the key.
        let mut altered = sealed.clone();
        let place = at % altered.ciphertext.len();
        altered.ciphertext[place] ^= flip;
        prop_assert!(keyring.open_profile(member, &altered).is_err());
        let mut altered = sealed.clone();
        let place = at % altered.wrapped_key.len();
        altered.wrapped_key[place] ^= flip;
        prop_assert!(keyring.open_profile(member, &altered).is_err());
        let end = at % sealed.ciphertext.len();
        let cut = SealedProfile { ciphertext: sealed.ciphertext[..end].to_vec(), ..sealed };
        prop_assert!(keyring.open_profile(member, &cut).is_err());
    }

    #[test]
    fn master_keys_are_read_or_refused_without_a_panic(text in "\\PC{0,200}") {
        drop(MasterKey::parse_all(&text));
        let keys: Vec<Arc<dyn KeyWrap>> = vec![Arc::new(MasterKey::new(OLD))];
        prop_assert!(Keyring::open(keys, "x", &text).is_err());
    }
}

#[test]
fn a_changed_profile_keeps_its_key_and_a_new_master_key_takes_over() {
    let (keyring, stored) = keyring();
    let member = MemberId(5);
    let mut sealed = keyring.seal_profile(member, &ann(), [9; SEAL_RANDOM]).unwrap();
    let moved = Profile { phone: Some("+44 20 7946 9999".into()), ..ann() };
    sealed.ciphertext = keyring.reseal_profile(member, &sealed, &moved, [4; NONCE]).unwrap();
    assert_eq!(keyring.open_profile(member, &sealed).unwrap(), moved);

    let new: Arc<dyn KeyWrap> = Arc::new(MasterKey::new(NEW));
    let turned = keyring.with_current(Arc::clone(&new)).unwrap();
    assert_eq!(turned.open_profile(member, &sealed).unwrap(), moved, "the old key is still at hand");
    let wrapped_key = turned.rewrap(member, &sealed.key_id, &sealed.wrapped_key, [5; NONCE]).unwrap();
    let rewrapped = SealedProfile { key_id: turned.current_id().to_owned(), wrapped_key, ..sealed.clone() };
    let secrets = turned.wrapped_secrets([6; NONCE]).unwrap();
    let alone = Keyring::open(vec![new], turned.current_id(), &secrets).unwrap();
    assert_eq!(alone.open_profile(member, &rewrapped).unwrap(), moved);
    let missing = PrivacyError::UnknownMasterKey(keyring.current_id().to_owned());
    assert_eq!(alone.open_profile(member, &sealed).unwrap_err(), missing);
    // The index does not turn with the master key: every reference still leads to its member.
    assert_eq!(alone.reference(RefKind::Phone, "+442079469999"), keyring.reference(RefKind::Phone, "+44 20 7946 9999"));
    assert_eq!(alone.card_key().to_bytes(), keyring.card_key().to_bytes());

    let wrong: Arc<dyn KeyWrap> = Arc::new(MasterKey::new(NEW));
    assert!(Keyring::open(vec![wrong], turned.current_id(), &stored).is_err(), "the secrets are under the old key");
}

#[test]
fn the_index_cannot_be_guessed_and_takes_over_plain_digests() {
    let (keyring, _) = keyring();
    let plain: [u8; 32] = Sha256::digest(b"+442079460000").into();
    let reference = keyring.reference(RefKind::Phone, "+44 (20) 7946-0000");
    assert_ne!(reference.digest, plain);
    assert_eq!(reference, keyring.keyed(RefKind::Phone, &plain));
    assert_ne!(reference.digest, keyring.reference(RefKind::ExternalId, "+442079460000").digest);
    let (other, _) = Keyring::generate(Arc::new(MasterKey::new(OLD)), [8; SECRETS_RANDOM]).unwrap();
    assert_ne!(reference, other.reference(RefKind::Phone, "+442079460000"));
    assert_ne!(keyring.digest("request", b"x"), keyring.digest("import", b"x"));
}

#[test]
fn nothing_that_is_printed_holds_a_key_or_a_name() {
    let (keyring, stored) = keyring();
    let master = MasterKey::new(OLD);
    let command = Command::enrol(&keyring, [9; SEAL_RANDOM], MemberId(5), "e-1", Timestamp::ZERO, &ann()).unwrap();
    let printed = format!("{keyring:?} {master:?} {command:?} {stored}");
    let bytes = format!("{:?}", [1_u8; 8]).replace(['[', ']'], "");
    for secret in ["Ann", "ann@", "7946", &*master.secret_text(), bytes.as_str(), "010101", "070707"] {
        assert!(!printed.contains(secret), "{secret} in {printed}");
    }
    assert!(printed.contains(master.id()));
    let Action::Enrol(enrolment) = &command.action else { panic!("an enrolment") };
    assert!(enrolment.references.iter().all(|one| one.digest != enrolment.former_digest));
    assert_ne!(command.request_digest, enrolment.former_digest, "a guess at the request can be checked");
}

#[test]
fn the_text_of_master_keys() {
    let (old, new) = (MasterKey::new(OLD), MasterKey::new(NEW));
    let text = format!("# kept in the vault\n{}\n\n{}\n", *old.secret_text(), *new.secret_text());
    let ids =
        |text: &str| MasterKey::parse_all(text).unwrap().iter().map(|key| key.id().to_owned()).collect::<Vec<_>>();
    assert_eq!(ids(&text), [old.id(), new.id()]);
    assert_eq!(ids(&format!("{},{}", *old.secret_text(), *new.secret_text())), [old.id(), new.id()]);
    for wrong in ["", "# nothing", "c2hvcnQ=", "not base64!"] {
        assert_eq!(MasterKey::parse_all(wrong).unwrap_err(), PrivacyError::InvalidMasterKey);
    }
}

/// A key service that counts what it is asked for, and may be away.
struct Service {
    inner: MasterKey,
    asked: Mutex<Vec<&'static str>>,
    away: bool,
}

impl KeyWrap for Service {
    fn id(&self) -> &str {
        "kms/loyalty-1"
    }
    fn wrap(&self, key: &[u8], context: &[u8], nonce: [u8; NONCE]) -> Result<Vec<u8>, PrivacyError> {
        if self.away {
            return Err(PrivacyError::Unavailable("no answer within 2 s".into()));
        }
        self.asked.lock().unwrap().push("wrap");
        self.inner.wrap(key, context, nonce)
    }
    fn unwrap(&self, wrapped: &[u8], context: &[u8]) -> Result<Zeroizing<Vec<u8>>, PrivacyError> {
        self.asked.lock().unwrap().push("unwrap");
        self.inner.unwrap(wrapped, context)
    }
}

#[test]
fn a_key_service_takes_the_place_of_the_master_key() {
    let service = |away| Arc::new(Service { inner: MasterKey::new(OLD), asked: Mutex::default(), away });
    let there = service(false);
    let (keyring, stored) = Keyring::generate(Arc::clone(&there) as Arc<dyn KeyWrap>, [7; SECRETS_RANDOM]).unwrap();
    let sealed = keyring.seal_profile(MemberId(5), &ann(), [9; SEAL_RANDOM]).unwrap();
    assert_eq!(sealed.key_id, "kms/loyalty-1");
    let again = Keyring::open(vec![Arc::clone(&there) as Arc<dyn KeyWrap>], "kms/loyalty-1", &stored).unwrap();
    assert_eq!(again.open_profile(MemberId(5), &sealed).unwrap(), ann());
    assert_eq!(*there.asked.lock().unwrap(), ["wrap", "wrap", "unwrap", "unwrap"]);

    let away = again.with_current(service(true)).unwrap();
    // The same name, so the one at hand stays: what is away is asked for new keys only.
    let problem = away.seal_profile(MemberId(6), &ann(), [9; SEAL_RANDOM]).unwrap_err();
    assert!(problem.to_string().contains("no answer within 2 s"));
    let refused = Command::enrol(&away, [9; SEAL_RANDOM], MemberId(6), "e", Timestamp::ZERO, &ann()).unwrap_err();
    assert_eq!(refused.code.name(), "keys_unavailable");
}
