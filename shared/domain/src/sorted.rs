//! A small map kept as a sorted vector.
//!
//! A session holds a handful of turns and a turn some forty calls. A `BTreeMap` reserves eleven entries for the first
//! one; ten thousand sessions would pay for that many times over.

use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// Something that knows the key it is filed under.
pub(crate) trait Keyed {
    type Key;
    /// How its own key compares to `key`.
    fn compare(&self, key: &Self::Key) -> Ordering;
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Sorted<T>(Vec<T>);

impl<T> Default for Sorted<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Keyed> Sorted<T> {
    fn position(&self, key: &T::Key) -> Result<usize, usize> {
        self.0.binary_search_by(|item| item.compare(key))
    }

    pub(crate) fn get(&self, key: &T::Key) -> Option<&T> {
        self.position(key).ok().and_then(|at| self.0.get(at))
    }

    pub(crate) fn get_mut(&mut self, key: &T::Key) -> Option<&mut T> {
        let at = self.position(key).ok()?;
        self.0.get_mut(at)
    }

    /// The item of this key, made first where there is none.
    pub(crate) fn entry(&mut self, key: T::Key, make: impl FnOnce(T::Key) -> T) -> &mut T {
        let at = self.position(&key).unwrap_or_else(|at| {
            // Grow by a quarter: doubling would leave half of ten thousand sessions empty.
            if self.0.len() == self.0.capacity() {
                self.0.reserve_exact(1 + self.0.len() / 4);
            }
            self.0.insert(at, make(key));
            at
        });
        &mut self.0[at]
    }

    pub(crate) fn remove(&mut self, key: &T::Key) -> Option<T> {
        self.position(key).ok().map(|at| self.0.remove(at))
    }

    pub(crate) fn pop_first(&mut self) -> Option<T> {
        (!self.0.is_empty()).then(|| self.0.remove(0))
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }

    /// The items, to be changed without changing their keys.
    pub(crate) fn iter_mut(&mut self) -> std::slice::IterMut<'_, T> {
        self.0.iter_mut()
    }

    /// Drops the smallest keys until at most `count` items are left.
    pub(crate) fn keep_last(&mut self, count: usize) {
        let excess = self.0.len().saturating_sub(count);
        self.0.drain(..excess);
    }

    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }
}
