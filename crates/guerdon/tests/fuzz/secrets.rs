//! What people and programs prove themselves with: cards, tokens, codes, cookies; and sealed data that were tampered with.

use std::sync::Arc;

use guerdon_core::audit::{AuditColumns, AuditEntry, ChainVerifier};
use guerdon_core::id::{MemberId, OrderId, TransactionId};
use guerdon_core::identity::Permission;
use guerdon_core::members::{CardKey, CardPublicKey, Profile, card_number, parse_card_number, verify_card};
use guerdon_core::privacy::{Keyring, MasterKey, SEAL_RANDOM, SECRETS_RANDOM, SealedProfile};
use guerdon_core::redemption::{AllowanceText, Paid, Voucher, VoucherCode};
use guerdon_core::time::Timestamp;
use guerdon_server::identity::device::DeviceCookies;
use guerdon_server::identity::recovery::RecoveryCodes;
use guerdon_server::identity::token::{Token, TokenKind};
use guerdon_server::identity::totp::TotpSecret;

use crate::{behaviour, text};

const MEMBER: MemberId = MemberId(7_112_233_445_566);
const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

pub const WORDS: &[&str] =
    &["GD1.", "GV1.", "GA1.", ".", " ", "-", "=", "A", "0", "gdn_", "_", "\n", "#", ",", "Bearer ", "é"];

pub fn cards() -> Vec<String> {
    let key = CardKey::new(&[7; 32]);
    let early = key.show(MEMBER, NOW.plus_millis(90_000));
    vec![key.show(MEMBER, NOW), early, key.public().to_string(), card_number(MEMBER)]
}

fn voucher() -> Voucher {
    Voucher { order: OrderId(7), reward_id: "tea-set".to_owned(), quantity: 2, expires_at: NOW }
}

fn allowance() -> AllowanceText {
    let granted = Paid { points: 500, money: 480 };
    let (store, terminal) = ("North".to_owned(), "till 3".to_owned());
    AllowanceText { member: MEMBER, order: OrderId(7), granted, ends_at: NOW, store, terminal }
}

pub fn vouchers() -> Vec<String> {
    let key = CardKey::new(&[7; 32]);
    vec![voucher().sign(&key), allowance().sign(&key), "22222-22222".to_owned(), key.show(MEMBER, NOW)]
}

/// A voucher or an allowance as it is scanned or typed. Nothing but what was signed comes of it, however it is altered.
pub fn signed(input: &[u8]) -> String {
    let (text, key) = (text(input), CardKey::new(&[7; 32]).public());
    let shown = behaviour(Voucher::open(&key, &text), |opened| {
        assert_eq!(opened, voucher(), "another voucher was accepted");
        "the voucher".to_owned()
    });
    let granted = behaviour(AllowanceText::open(&key, &text), |opened| {
        assert_eq!(opened, allowance(), "another allowance was accepted");
        "the allowance".to_owned()
    });
    let typed = behaviour(VoucherCode::parse(&text), |code| {
        assert_eq!(VoucherCode::parse(&code.to_string()).as_ref(), Ok(&code));
        "a code".to_owned()
    });
    format!("{shown}; {granted}; {typed}")
}

/// A card as it is scanned. Nobody but its member comes of it, however it is altered.
pub fn card(input: &[u8]) -> String {
    let (text, key) = (text(input), CardKey::new(&[7; 32]).public());
    let shown = behaviour(verify_card(&key, &text, NOW), |member| {
        assert_eq!(member, MEMBER, "a card of somebody else was accepted");
        "the member".to_owned()
    });
    let number = behaviour(parse_card_number(&text), |member| {
        assert_eq!(parse_card_number(&card_number(member)).ok(), Some(member));
        "a number".to_owned()
    });
    let key = behaviour(CardPublicKey::parse(&text), |key| {
        behaviour(verify_card(&key, &text, NOW), |_| panic!("a text is no card under itself as a key"))
    });
    format!("{shown}; {number}; {key}")
}

pub fn credentials() -> Vec<String> {
    let codes = RecoveryCodes::generate().codes;
    let mut all: Vec<String> = TokenKind::ALL.map(|kind| Token::generate(kind).reveal().to_owned()).to_vec();
    all.extend(codes.first().map(|code| code.to_string()));
    all.push(TotpSecret::generate().to_base32().to_string());
    all.push(DeviceCookies::new([5; 32]).renew(None, "ann", NOW));
    all.push("members:read".to_owned());
    all
}

pub fn credential(input: &[u8]) -> String {
    let text = text(input);
    let token = behaviour(Token::parse(&text), |token| {
        assert_eq!(token.reveal(), text);
        format!("{:?} {}", token.kind(), token.has_digest(&token.digest()))
    });
    let mut stored = RecoveryCodes::generate().stored;
    assert!(!stored.redeem(&text), "a code was guessed");
    let totp = behaviour(TotpSecret::from_base32(&text), |secret| format!("{:?}", secret.check(&text, NOW, None)));
    let guess = TotpSecret::generate().check(&text, NOW, Some(i64::MIN)).is_some() && text.len() != 6;
    assert!(!guess, "a code of another length was accepted");
    let cookies = DeviceCookies::new([5; 32]);
    let known = cookies.recognise(&text, "eve", NOW).is_some();
    assert!(!known, "a device was recognised that never signed in");
    let renewed = cookies.renew(Some(&text), "eve", NOW);
    assert!(cookies.recognise(&renewed, "eve", NOW).is_some() && renewed.len() < 4_096);
    let permission = behaviour(text.parse::<Permission>(), |permission| permission.to_string());
    format!("{token}; {totp}; {permission}")
}

pub fn keyring() -> (Keyring, String) {
    Keyring::generate(Arc::new(MasterKey::new([1; 32])), [2; SECRETS_RANDOM]).unwrap()
}

fn ann() -> Profile {
    Profile { name: Some("Ann".to_owned()), ..Profile::default() }
}

/// A profile as three parts: the length of the wrapped key, it, and the ciphertext; secrets; and key files.
pub fn sealed() -> Vec<Vec<u8>> {
    let (keyring, stored) = keyring();
    let sealed = keyring.seal_profile(MEMBER, &ann(), [3; SEAL_RANDOM]).unwrap();
    let profile = [&[sealed.wrapped_key.len() as u8], &sealed.wrapped_key[..], &sealed.ciphertext].concat();
    let secret = keyring.seal_secret("totp", "opr_1", b"secret", [4; 12]).unwrap();
    vec![profile, stored.into_bytes(), secret.into_bytes(), MasterKey::new([1; 32]).secret_text().as_bytes().to_vec()]
}

/// Whatever is altered does not open; the only thing that opens is what was sealed.
pub fn open(input: &[u8]) -> String {
    let (keyring, _) = keyring();
    let text = text(input);
    let (length, rest) = input.split_first().map_or((0, input), |(length, rest)| (usize::from(*length), rest));
    let (wrapped_key, ciphertext) = rest.split_at(length.min(rest.len()));
    let sealed = SealedProfile {
        key_id: keyring.current_id().to_owned(),
        wrapped_key: wrapped_key.to_vec(),
        ciphertext: ciphertext.to_vec(),
    };
    let profile = behaviour(keyring.open_profile(MEMBER, &sealed), |profile| {
        assert_eq!(profile, ann(), "altered data were opened");
        "Ann".to_owned()
    });
    assert!(keyring.open_profile(MemberId(1), &sealed).is_err(), "data of another member were opened");
    let secret = behaviour(keyring.open_secret("totp", "opr_1", &text), |secret| {
        assert_eq!(secret.as_slice(), b"secret");
        "a secret".to_owned()
    });
    let masters = behaviour(MasterKey::parse_all(&text), |keys| format!("{} keys", keys.len().min(3)));
    let again = Keyring::open(vec![Arc::new(MasterKey::new([1; 32]))], keyring.current_id(), &text);
    let again = behaviour(again, |_| "a keyring".to_owned());
    format!("{profile}; {secret}; {masters}; {again}")
}

pub fn entries() -> Vec<Vec<u8>> {
    let body =
        r#"{"at":"2026-01-31T09:30:00Z","actor":"opr_1","action":"operator.invite","subject":"opr_2","after":{"a":1}}"#;
    vec![[&1_i64.to_le_bytes()[..], &2_i64.to_le_bytes(), body.as_bytes()].concat()]
}

/// Two entries of the audit log as they are stored, with any numbers and any body.
pub fn entry(input: &[u8]) -> String {
    let (head, body) = input.split_at(input.len().min(16));
    let mut numbers = [0_i64; 2];
    for (number, bytes) in numbers.iter_mut().zip(head.as_chunks::<8>().0) {
        *number = i64::from_le_bytes(*bytes);
    }
    let first = AuditEntry::new(numbers[0], TransactionId(1), text(body), [0; 32]);
    let second = AuditEntry::new(numbers[1], TransactionId(2), text(body), first.hash);
    let none = AuditColumns { at: NOW, actor: String::new(), action: String::new(), subject: String::new() };
    let columns = first.event().map_or(none, |event| event.columns());
    let mut verifier = ChainVerifier::default();
    verifier.entry(&first, &columns);
    verifier.entry(&second, &columns);
    verifier.findings.iter().map(|finding| finding.problem.clone()).collect::<Vec<_>>().join("; ")
}
