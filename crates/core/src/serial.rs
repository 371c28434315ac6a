//! What is left out where documents, orders and receipts are written down.

/// Whether a number is nought: left out, it is read as that.
pub(crate) fn is_zero<T: Default + PartialEq>(number: &T) -> bool {
    *number == T::default()
}
