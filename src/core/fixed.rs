// SPDX-License-Identifier: GPL-2.0

//! A short list of fixed capacity, kept in place.

/// Up to `N` items in order.
///
/// # Invariants
///
/// The first `len` slots are `Some`, the others `None`.
#[derive(Clone, Debug)]
pub struct Fixed<T, const N: usize> {
    slots: [Option<T>; N],
    len: usize,
}

impl<T, const N: usize> Fixed<T, N> {
    /// An empty list.
    pub const fn new() -> Self {
        // INVARIANT: There are no items.
        Self {
            slots: [const { None }; N],
            len: 0,
        }
    }

    /// How many items there are.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no item.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether no further item fits.
    pub const fn is_full(&self) -> bool {
        self.len == N
    }

    /// The item at `at`.
    pub fn get(&self, at: usize) -> Option<&T> {
        self.slots.get(at)?.as_ref()
    }

    /// The items in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().flatten()
    }

    /// Puts `item` in the place of the one at `at`; gives `item` back where there is none.
    pub fn replace(&mut self, at: usize, item: T) -> Result<T, T> {
        match self.slots.get_mut(at).and_then(Option::as_mut) {
            Some(slot) => Ok(core::mem::replace(slot, item)),
            None => Err(item),
        }
    }

    /// Puts `item` before the one at `at`; gives it back where it does not fit.
    pub fn insert(&mut self, at: usize, item: T) -> Result<(), T> {
        if self.is_full() || at > self.len {
            return Err(item);
        }
        // INVARIANT: One more item, and the empty slot behind the last one moves to `at`.
        self.len += 1;
        if let Some(tail) = self.slots.get_mut(at..self.len) {
            tail.rotate_right(1);
        }
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = Some(item);
        }
        Ok(())
    }

    /// Puts `item` last; gives it back where it does not fit.
    pub fn push(&mut self, item: T) -> Result<(), T> {
        match self.slots.get_mut(self.len) {
            Some(slot) => {
                // INVARIANT: One more item, in the first empty slot.
                *slot = Some(item);
                self.len += 1;
                Ok(())
            }
            None => Err(item),
        }
    }

    /// Takes the item at `at` out.
    pub fn remove(&mut self, at: usize) -> Option<T> {
        let item = self.slots.get_mut(at)?.take()?;
        // INVARIANT: The slot just emptied moves behind the last item.
        if let Some(tail) = self.slots.get_mut(at..self.len) {
            tail.rotate_left(1);
        }
        self.len -= 1;
        Some(item)
    }
}

impl<T, const N: usize> Default for Fixed<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn is_a_bounded_vec(steps in prop::collection::vec((0u8..3, 0usize..8, any::<u8>()), 0..200)) {
            let mut fixed = Fixed::<u8, 5>::new();
            let mut model = Vec::new();
            for (what, at, item) in steps {
                match what {
                    0 if at <= model.len() && model.len() < 5 => {
                        model.insert(at, item);
                        prop_assert_eq!(fixed.insert(at, item), Ok(()));
                    }
                    0 => prop_assert_eq!(fixed.insert(at, item), Err(item)),
                    1 if at < model.len() => prop_assert_eq!(fixed.remove(at), Some(model.remove(at))),
                    1 => prop_assert_eq!(fixed.remove(at), None),
                    _ if at < model.len() => {
                        prop_assert_eq!(fixed.replace(at, item), Ok(core::mem::replace(&mut model[at], item)));
                    }
                    _ => prop_assert_eq!(fixed.replace(at, item), Err(item)),
                }
                prop_assert!(fixed.iter().eq(model.iter()));
                prop_assert_eq!(fixed.len(), model.len());
                prop_assert_eq!(fixed.get(at), model.get(at));
            }
        }
    }
}
