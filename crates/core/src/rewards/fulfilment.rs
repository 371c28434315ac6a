//! How a reward is handed out once its order may be fulfilled.

use serde::{Deserialize, Serialize};

use super::kind::RewardKind;
use crate::limits;

/// Who or what hands a reward out. Where a reward says nothing, people do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fulfilment {
    /// The code vault: each unit is one of the codes that were uploaded for the reward.
    Vault {},
    /// A code that is made up for each unit; the kind of the reward says what it is worth.
    Coupon {},
    /// A partner that is called.
    Supplier {
        /// The name under which the supplier is kept.
        supplier: String,
    },
}

impl Fulfilment {
    /// The name in program files and in the API.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Vault {} => "vault",
            Self::Coupon {} => "coupon",
            Self::Supplier { .. } => "supplier",
        }
    }

    /// Checks that it makes sense for what the reward is; the message names the field.
    pub(crate) fn validate(&self, kind: Option<&RewardKind>) -> Result<(), String> {
        match (self, kind) {
            (Self::Coupon {}, Some(RewardKind::Coupon { .. })) => Ok(()),
            (Self::Coupon {}, _) => {
                Err("`fulfilment.by` is `coupon`, so `kind.type` must be `coupon`: it says what it is worth".to_owned())
            }
            (Self::Vault {}, Some(RewardKind::Physical { .. } | RewardKind::Bundle { .. })) => {
                Err("`fulfilment.by` is `vault`, which hands out codes; things and bundles are none".to_owned())
            }
            (Self::Supplier { supplier }, _) => check_supplier_name("fulfilment.supplier", supplier),
            (Self::Vault {}, _) => Ok(()),
        }
    }
}

/// Checks the name of a supplier: 1–64 lower-case letters, digits and hyphens.
pub fn check_supplier_name(field: &str, name: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=limits::SUPPLIER_NAME_CHARS).contains(&name.len()) && name.bytes().all(plain) {
        return Ok(());
    }
    let most = limits::SUPPLIER_NAME_CHARS;
    Err(format!("`{field}` must have 1 to {most} lower-case letters, digits and hyphens"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(fulfilment: &str, kind: Option<&str>) -> Result<(), String> {
        let fulfilment: Fulfilment = serde_json::from_str(fulfilment).unwrap();
        fulfilment.validate(kind.map(|kind| serde_json::from_str(kind).unwrap()).as_ref())
    }

    #[test]
    fn what_hands_a_reward_out_must_fit_what_it_is() {
        let (code, mug) = (Some(r#"{"type":"virtual_code"}"#), Some(r#"{"type":"physical"}"#));
        let coupon = Some(r#"{"type":"coupon","value":"5"}"#);
        assert_eq!(checked(r#"{"by":"vault"}"#, code), Ok(()));
        assert_eq!(checked(r#"{"by":"vault"}"#, None), Ok(()));
        assert!(checked(r#"{"by":"vault"}"#, mug).unwrap_err().contains("`fulfilment.by`"));
        assert_eq!(checked(r#"{"by":"coupon"}"#, coupon), Ok(()));
        assert!(checked(r#"{"by":"coupon"}"#, code).unwrap_err().contains("`kind.type` must be `coupon`"));
        assert_eq!(checked(r#"{"by":"supplier","supplier":"top-up-1"}"#, mug), Ok(()));
        assert!(
            checked(r#"{"by":"supplier","supplier":"Top Up"}"#, mug).unwrap_err().contains("`fulfilment.supplier`")
        );
        assert!(serde_json::from_str::<Fulfilment>(r#"{"by":"magic"}"#).is_err());
        assert!(serde_json::from_str::<Fulfilment>(r#"{"by":"vault","supplier":"x"}"#).is_err());
    }
}
