//! Signed notes, keys, proofs of transactions and tiles of the log: what an auditor reads from a server it does not trust.

use guerdon_core::id::{MemberId, TransactionId};
use guerdon_core::ledger::{
    CurrencyId, FundingId, LedgerAccount, LotKey, Transaction, TransactionKind, Transfer, leaf_hash,
};
use guerdon_core::proofs::{
    LogKey, LogVerifier, PublicKey, SigningKey, TileId, Tiles, TransactionProof, consistency_ranges, inclusion_ranges,
    open_head, verify_consistency, verify_inclusion,
};
use guerdon_core::time::{Day, Timestamp};

use crate::{behaviour, text};

pub const WORDS: &[&str] = &[
    "\n",
    "\n\n",
    "— ",
    "guerdon/x",
    "+",
    "PRIVATE+KEY+",
    "time ",
    "guerdon log key rotation\n",
    "AAAA",
    "=",
    "\"",
    "{",
    "[]",
    "null",
    "leaf_index",
    "path",
    "checkpoint",
    "keys",
    "endorsement",
    "never",
];

fn key(secret: u8) -> SigningKey {
    SigningKey::new("guerdon/x", &[secret; 32])
}

fn transaction() -> Transaction {
    let lot = LotKey { expires_at: Timestamp::NEVER, funding: FundingId(0), active_at: Timestamp::ZERO };
    Transaction {
        id: TransactionId(77),
        kind: TransactionKind::Activity,
        member_id: MemberId(5),
        at: Timestamp::from_millis(1_700_000_000_000),
        day: Day(19_000),
        idempotency_key: "k".to_owned(),
        request_digest: [3; 32],
        channel: "api".to_owned(),
        reference: Some("536365".to_owned()),
        receipt: "{}".to_owned().into(),
        transfers: vec![Transfer {
            debit: LedgerAccount::Issuance,
            credit: LedgerAccount::MemberAvailable,
            currency: CurrencyId(1),
            amount: 15,
            lot,
            rule: Some(("base".into(), 1)),
        }],
    }
}

/// Proofs in a log of three leaves whose key was replaced.
pub fn documents() -> Vec<String> {
    let (old, new, one) = (key(1), key(2), transaction());
    let mut tiles = Tiles::default();
    let leaves = [[9; 32], leaf_hash(&one), [8; 32]];
    tiles.append(0, &leaves).unwrap();
    let path: Vec<_> = inclusion_ranges(1, 3).unwrap().iter().map(|range| tiles.range(range).unwrap()).collect();
    let listed = |key: &SigningKey, from_size, endorsement| LogKey {
        public_key: key.public().to_string(),
        from_size,
        endorsement,
    };
    let proof = TransactionProof {
        transaction: one,
        leaf_index: 1,
        path,
        checkpoint: new.sign_head(3, &tiles.root(3).unwrap(), Timestamp::from_millis(1_700_000_000_000)),
        keys: vec![listed(&old, 0, None), listed(&new, 2, Some(old.endorse(&new.public(), 2)))],
    };
    assert!(proof.verify(&old.public()).is_ok());
    vec![serde_json::to_string(&proof).unwrap()]
}

/// A proof as it is handed out. What is altered must not verify; only the layout of the JSON is free.
pub fn document(input: &[u8]) -> String {
    let (pinned, honest) = (key(1).public(), transaction());
    behaviour(serde_json::from_slice::<TransactionProof>(input), |proof| {
        behaviour(proof.verify(&pinned), |head| {
            assert!(proof.transaction == honest, "an altered transaction was proved");
            format!("proved under {} leaves", head.size.min(9))
        })
    })
}

pub fn notes() -> Vec<String> {
    let (old, new) = (key(1), key(2));
    let head = old.sign_head(12, &[5; 32], Timestamp::from_millis(1_700_000_000_000));
    vec![head, old.endorse(&new.public(), 99), old.public().to_string(), old.secret_text()]
}

/// Heads, endorsements and keys. What is altered must not open.
pub fn note(input: &[u8]) -> String {
    let (text, public) = (text(input), key(1).public());
    let head = behaviour(open_head(std::slice::from_ref(&public), &text), |head| {
        assert!(head.size == 12 && head.root == [5; 32], "a head was opened that nobody signed");
        "a head".to_owned()
    });
    let rotation = behaviour(public.open_rotation(&text), |rotation| {
        assert!(rotation.size == 99 && rotation.key == key(2).public(), "a key was endorsed that nobody endorsed");
        "an endorsement".to_owned()
    });
    let read = behaviour(PublicKey::parse(&text), |key| {
        assert_eq!(PublicKey::parse(&key.to_string()).as_ref(), Ok(&key));
        format!("a key of {}", key.name().len().min(9))
    });
    let secret = behaviour(SigningKey::parse(&text), |key| format!("a secret of {}", key.public().name().len().min(9)));
    format!("{head}; {rotation}; {read}; {secret}")
}

pub fn tiles() -> Vec<Vec<u8>> {
    [3_usize, 300].map(|size| [&(size as u64).to_le_bytes()[..], &[7; 16], &vec![6; size * 32]].concat()).to_vec()
}

/// Three numbers, not negative in the database, then hashes: as leaves of a log, as tiles, and as paths of proofs.
pub fn tile(input: &[u8]) -> String {
    let mut numbers = [0_u64; 3];
    let (head, rest) = input.split_at(input.len().min(24));
    for (number, bytes) in numbers.iter_mut().zip(head.as_chunks::<8>().0) {
        *number = u64::from_le_bytes(*bytes) >> 1;
    }
    let [size, index, old] = numbers;
    let hashes = rest.as_chunks::<32>().0;
    let mut verifier = LogVerifier::default();
    verifier.leaves(index, rest);
    verifier.batch(old, &[TransactionId(1), TransactionId(size as i64)], &[MemberId(1), MemberId(0)]);
    verifier.tile(TileId { level: (old % 9) as u32, index }, rest);
    verifier.head(size, &text(rest), &[key(1).public()]);
    let mut words = format!("{} findings", verifier.finish().len().min(5));
    let mut tiles = Tiles::default();
    words += &behaviour(tiles.insert(TileId { level: (old % 9) as u32, index }, rest), |()| String::new());
    words += &behaviour(tiles.append(size, hashes), |grown| format!("{} tiles", grown.len().min(4)));
    words += &behaviour(tiles.root(size), |_| "a root".to_owned());
    let ranges = [inclusion_ranges(index, size), consistency_ranges(old, size)];
    words += &format!("{:?}", ranges.map(|ranges| ranges.map(|ranges| ranges.len().min(3))));
    let root = hashes.first().copied().unwrap_or_default();
    words += &behaviour(verify_inclusion(&root, index, size, hashes, &root), |()| "included".to_owned());
    words += &behaviour(verify_consistency((old, &root), (size, &root), hashes), |()| "consistent".to_owned());
    words
}
