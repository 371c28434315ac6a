//! All versions of one document, and which of them holds at a moment.

use std::sync::Arc;

use crate::time::Timestamp;

/// One version.
#[derive(Debug, Clone)]
struct Version<T> {
    number: i64,
    effective_from: Timestamp,
    /// `None`: the document is retired from `effective_from` on.
    content: Option<Arc<T>>,
}

/// All versions of one document. At any moment the newest one holds of those that are effective by then: a version that is
/// published for the past takes the place of earlier ones, and one that is published before a scheduled one took effect
/// does as well once both are effective.
#[derive(Debug, Clone)]
pub struct Versions<T>(Vec<Version<T>>);

impl<T> Default for Versions<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Versions<T> {
    /// Adds a version; `None` retires the document.
    pub fn add(&mut self, number: i64, effective_from: Timestamp, content: Option<T>) {
        let place = self.0.partition_point(|known| known.number <= number);
        self.0.insert(place, Version { number, effective_from, content: content.map(Arc::new) });
    }

    /// What holds at `at`; `None`: it is retired, or not there yet.
    pub fn at(&self, at: Timestamp) -> Option<&T> {
        let holds = self.0.iter().rev().find(|version| version.effective_from <= at);
        holds.and_then(|version| version.content.as_deref())
    }

    /// The first version, whenever it takes effect.
    pub fn first(&self) -> Option<&T> {
        self.0.first().and_then(|version| version.content.as_deref())
    }

    /// Every version that is no retirement.
    pub fn all(&self) -> impl Iterator<Item = &T> {
        self.0.iter().filter_map(|version| version.content.as_deref())
    }

    /// From when on each version is effective.
    pub fn moments(&self) -> impl Iterator<Item = Timestamp> {
        self.0.iter().map(|version| version.effective_from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_that_is_effective_holds() {
        let at = Timestamp::from_millis;
        let mut versions = Versions::default();
        versions.add(2, at(200), Some("second"));
        versions.add(1, at(0), Some("first"));
        assert_eq!((versions.at(at(-1)), versions.first()), (None, Some(&"first")));
        assert_eq!((versions.at(at(199)), versions.at(at(200))), (Some(&"first"), Some(&"second")));
        versions.add(3, at(150), Some("third"));
        assert_eq!((versions.at(at(149)), versions.at(at(500))), (Some(&"first"), Some(&"third")));
        versions.add(4, at(300), None);
        assert_eq!((versions.at(at(299)), versions.at(at(300))), (Some(&"third"), None));
    }
}
