//! Digests in text: 64 hexadecimal digits.

use serde::{Deserialize, Deserializer, Serializer};

/// The digits of a digest.
pub fn encode(digest: &[u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A digest from its digits.
pub fn decode(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> =
        text.chars().map(|c| c.to_digit(16).and_then(|c| u8::try_from(c).ok())).collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
    if rest.is_empty() { bytes.try_into().ok() } else { None }
}

/// For serde.
pub fn serialize<S: Serializer>(digest: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&encode(digest))
}

/// For serde.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
    let text = String::deserialize(deserializer)?;
    decode(&text).ok_or_else(|| serde::de::Error::custom("a digest has 64 hexadecimal digits"))
}

/// For serde, of lists of digests.
pub mod list {
    use super::{Deserialize, Deserializer, Serializer, decode, encode};

    /// For serde.
    pub fn serialize<S: Serializer>(digests: &[[u8; 32]], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(digests.iter().map(encode))
    }

    /// For serde.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<[u8; 32]>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let digests: Option<_> = texts.iter().map(|text| decode(text)).collect();
        digests.ok_or_else(|| serde::de::Error::custom("a digest has 64 hexadecimal digits"))
    }
}
