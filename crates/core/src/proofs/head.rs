//! Signed heads of the log, in the form of <https://c2sp.org/tlog-checkpoint>: a signed note that common tools verify.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer, VerifyingKey};
use sha2::{Digest, Sha256};

use super::merkle::Hash;
use crate::time::Timestamp;

/// The type byte of Ed25519 in keys of signed notes.
const ED25519: u8 = 1;
/// What a note that endorses a new key begins with.
const ROTATION: &str = "guerdon log key rotation";

/// Why a signed note is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidNote(String);

impl InvalidNote {
    pub(super) fn new(problem: &str) -> Self {
        Self(problem.to_owned())
    }
}

fn invalid(problem: impl Into<String>) -> InvalidNote {
    InvalidNote(problem.into())
}

/// The head of the log: what the log was at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Which log.
    pub origin: String,
    /// Leaves.
    pub size: u64,
    /// The root of their tree.
    pub root: Hash,
    /// When it was signed.
    pub at: Timestamp,
}

/// The public half of a key of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    name: String,
    key: VerifyingKey,
}

/// A key of the log.
pub struct SigningKey {
    name: String,
    key: ed25519_dalek::SigningKey,
}

/// An old key's word that a new one takes its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// The new key.
    pub key: PublicKey,
    /// The leaves that the log had.
    pub size: u64,
}

/// `<name>+<key id>+<base64 of type and key>`: split, and the bytes checked against the id.
fn parse_key(text: &str) -> Option<(String, [u8; 32], u32)> {
    let mut parts = text.splitn(3, '+');
    let (name, id, bytes) = (parts.next()?, parts.next()?, STANDARD.decode(parts.next()?).ok()?);
    let (kind, key) = bytes.split_first()?;
    let id = u32::from_str_radix(id, 16).ok()?;
    (*kind == ED25519 && !name.is_empty()).then_some((name.to_owned(), key.try_into().ok()?, id))
}

impl PublicKey {
    /// Reads the text form, `<name>+<key id>+<base64>`.
    pub fn parse(text: &str) -> Result<Self, InvalidNote> {
        let problem = || invalid("a public key of the log has the form name+0123abcd+base64");
        let (name, bytes, id) = parse_key(text.trim()).ok_or_else(problem)?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| problem())?;
        let key = Self { name, key };
        if key.id() == id { Ok(key) } else { Err(invalid("the public key of the log does not match its own id")) }
    }

    /// The name of the log, which is its origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first four bytes of SHA-256 of name and key, by which notes name it.
    fn id(&self) -> u32 {
        let digest: Hash = Sha256::new()
            .chain_update(&self.name)
            .chain_update([b'\n', ED25519])
            .chain_update(self.key.as_bytes())
            .finalize()
            .into();
        let [a, b, c, d, ..] = digest;
        u32::from_be_bytes([a, b, c, d])
    }

    /// The text of a note, when this key has signed it.
    fn open<'a>(&self, note: &'a str) -> Result<&'a str, InvalidNote> {
        let split = note.rfind("\n\n").ok_or_else(|| invalid("the note has no signature"))?;
        let (text, signatures) = (note.get(..split + 1), note.get(split + 2..));
        let (text, signatures) = text.zip(signatures).ok_or_else(|| invalid("the note is cut off"))?;
        for line in signatures.lines() {
            let Some((name, signature)) = line.strip_prefix("— ").and_then(|line| line.split_once(' ')) else {
                return Err(invalid("the note has a line that is no signature"));
            };
            let Ok(bytes) = STANDARD.decode(signature) else { return Err(invalid("a signature is no base64")) };
            let Some((id, signature)) = bytes.split_first_chunk::<4>() else { continue };
            if name != self.name || u32::from_be_bytes(*id) != self.id() {
                continue;
            }
            let signature = Signature::from_slice(signature).map_err(|_| invalid("a signature has a wrong length"))?;
            let verified = self.key.verify_strict(text.as_bytes(), &signature);
            return verified.map(|()| text).map_err(|_| invalid("the signature is wrong: the note was altered"));
        }
        Err(invalid(format!("the note is not signed by {self}")))
    }

    /// The head in a note, when this key has signed it.
    pub fn open_head(&self, note: &str) -> Result<Head, InvalidNote> {
        let head = Head::parse(self.open(note)?)?;
        if head.origin == self.name { Ok(head) } else { Err(invalid("the head is of another log")) }
    }

    /// The new key in a note, when this key has endorsed it.
    pub fn open_rotation(&self, note: &str) -> Result<Rotation, InvalidNote> {
        let mut lines = self.open(note)?.lines();
        match (lines.next(), lines.next(), lines.next().and_then(|size| size.parse().ok())) {
            (Some(ROTATION), Some(key), Some(size)) => Ok(Rotation { key: Self::parse(key)?, size }),
            _ => Err(invalid("the note endorses no key")),
        }
    }
}

impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = [&[ED25519], self.key.as_bytes().as_slice()].concat();
        write!(f, "{}+{:08x}+{}", self.name, self.id(), STANDARD.encode(bytes))
    }
}

impl SigningKey {
    /// A key of 32 random bytes, for the log of a name.
    pub fn new(name: &str, secret: &[u8; 32]) -> Self {
        Self { name: name.to_owned(), key: ed25519_dalek::SigningKey::from_bytes(secret) }
    }

    /// Reads the text of a key file.
    pub fn parse(text: &str) -> Result<Self, InvalidNote> {
        let problem = || invalid("a key file of the log holds one line PRIVATE+KEY+name+0123abcd+base64");
        let rest = text.trim().strip_prefix("PRIVATE+KEY+").ok_or_else(problem)?;
        let (name, secret, id) = parse_key(rest).ok_or_else(problem)?;
        let key = Self::new(&name, &secret);
        if key.public().id() == id { Ok(key) } else { Err(invalid("the key file does not match its own id")) }
    }

    /// The text of a key file. Secret.
    pub fn secret_text(&self) -> String {
        let bytes = [&[ED25519], self.key.as_bytes().as_slice()].concat();
        format!("PRIVATE+KEY+{}+{:08x}+{}\n", self.name, self.public().id(), STANDARD.encode(bytes))
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey { name: self.name.clone(), key: self.key.verifying_key() }
    }

    fn sign(&self, text: &str) -> String {
        let signature = self.key.sign(text.as_bytes()).to_bytes();
        let bytes = [self.public().id().to_be_bytes().as_slice(), &signature].concat();
        format!("{text}\n— {} {}\n", self.name, STANDARD.encode(bytes))
    }

    /// Signs the head of this key's log.
    pub fn sign_head(&self, size: u64, root: &Hash, at: Timestamp) -> String {
        let root = STANDARD.encode(root);
        self.sign(&format!("{}\n{size}\n{root}\ntime {}\n", self.name, at.as_millis()))
    }

    /// Endorses a new key, from a size of the log on.
    pub fn endorse(&self, key: &PublicKey, size: u64) -> String {
        self.sign(&format!("{ROTATION}\n{key}\n{size}\n"))
    }
}

impl Head {
    /// Reads the text of a note: origin, size, root, and the time as an extension line. Says nothing of its signature.
    fn parse(text: &str) -> Result<Self, InvalidNote> {
        let mut lines = text.lines();
        let mut next = || lines.next().unwrap_or_default();
        let (origin, size, root, time) = (next(), next(), next(), next());
        let root: Option<Hash> = STANDARD.decode(root).ok().and_then(|bytes| bytes.try_into().ok());
        let at = time.strip_prefix("time ").and_then(|millis| millis.parse().ok());
        match (size.parse(), root, at) {
            (Ok(size), Some(root), Some(at)) => {
                Ok(Self { origin: origin.to_owned(), size, root, at: Timestamp::from_millis(at) })
            }
            _ => Err(invalid("the note holds no head: origin, size, root and time, a line each")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_opened_by_its_key_alone_and_not_when_altered() {
        let key = SigningKey::new("guerdon/gift-club", &[7; 32]);
        let note = key.sign_head(12, &[5; 32], Timestamp::from_millis(1_700_000_000_000));
        let public = PublicKey::parse(&key.public().to_string()).unwrap();
        let head = public.open_head(&note).unwrap();
        assert_eq!((head.size, head.root, head.origin.as_str()), (12, [5; 32], "guerdon/gift-club"));
        assert!(public.open_head(&note.replacen("12", "13", 1)).unwrap_err().to_string().contains("altered"));
        let other = SigningKey::new("guerdon/gift-club", &[8; 32]).public();
        assert!(other.open_head(&note).unwrap_err().to_string().contains("not signed by"));
        for broken in ["", "\n\n", "a\n\n— b", "a\n\n— guerdon/gift-club AAAA\n", "a\n\n— guerdon/gift-club !\n"]
        {
            assert!(public.open_head(broken).is_err());
        }
    }

    #[test]
    fn a_key_file_reads_back_and_a_damaged_one_is_refused() {
        let key = SigningKey::new("guerdon/gift-club", &[7; 32]);
        let text = key.secret_text();
        assert_eq!(SigningKey::parse(&text).unwrap().public(), key.public());
        assert!(SigningKey::parse(&text.replace("+gue", "+gua")).is_err());
        assert!(SigningKey::parse("secret").is_err());
        assert!(PublicKey::parse(&text).is_err());
    }

    #[test]
    fn a_new_key_is_trusted_by_the_word_of_the_old_one() {
        let (old, new) = (SigningKey::new("guerdon/x", &[1; 32]), SigningKey::new("guerdon/x", &[2; 32]));
        let rotation = old.public().open_rotation(&old.endorse(&new.public(), 99)).unwrap();
        assert_eq!(rotation, Rotation { key: new.public(), size: 99 });
        assert!(old.public().open_rotation(&new.endorse(&new.public(), 99)).is_err());
        let head = old.sign_head(1, &[0; 32], Timestamp::ZERO);
        assert!(old.public().open_rotation(&head).is_err());
    }

    /// The example key of the package that defined the format: <https://pkg.go.dev/golang.org/x/mod/sumdb/note>.
    #[test]
    fn the_example_of_the_format_is_understood() {
        let key = PublicKey::parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW").unwrap();
        let note = "If you think cryptography is the answer to your problem,\n\
                    then you don't know what your problem is.\n\n\
                    — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
        assert!(key.open(note).unwrap().starts_with("If you think"));
        assert!(key.open(&note.replace("answer", "problem")).is_err());
    }
}
