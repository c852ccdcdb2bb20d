//! The newest value, from one writer to one reader, without waiting on either side.
//!
//! Three copies: the writer fills one, the reader looks at one, the third lies between them. Publishing
//! swaps the writer's copy with the one in between, looking swaps the reader's with it if it is newer. A
//! value that nobody looked at is overwritten: that is what it is for.
#![allow(unsafe_code)]

use crate::sync::{Cell, Word, cells, constant};

/// Set in the word when the copy in between is newer than the reader's.
const FRESH: u32 = 1 << 2;
const INDEX: u32 = FRESH - 1;

/// Three copies of a `T`, and the word that says which lies in between.
#[derive(Debug)]
pub struct Latest<T> {
    copies: [Cell<T>; 3],
    between: Word,
}

// SAFETY: a copy is reached by the publisher or by the reader, never both: each knows the index of its own,
// and indices change hands only through the atomic swap, whose acquire and release order the accesses.
unsafe impl<T: Send> Sync for Latest<T> {}

impl<T: Copy> Latest<T> {
    constant! {
        /// A cell that holds `value`.
        #[must_use]
        pub fn new(value: T) -> Self {
            Self { copies: cells(value), between: Word::new(1) }
        }
    }

    /// The two ends. The borrow keeps them the only ones.
    pub fn split(&mut self) -> (Publisher<'_, T>, Reader<'_, T>) {
        self.between = Word::new(1);
        (Publisher { cell: self, mine: 0 }, Reader { cell: self, mine: 2 })
    }

    fn copy(&self, index: u32) -> &Cell<T> {
        debug_assert!(index < 3);
        // SAFETY: indices are 0, 1 and 2 from `split` on, and a swap only exchanges them.
        unsafe { self.copies.get_unchecked((index & INDEX) as usize) }
    }
}

/// The writing end.
#[derive(Debug)]
pub struct Publisher<'a, T> {
    cell: &'a Latest<T>,
    mine: u32,
}

impl<T: Copy> Publisher<'_, T> {
    /// Makes `value` the newest.
    pub fn publish(&mut self, value: T) {
        // SAFETY: `mine` is the publisher's own copy.
        self.cell.copy(self.mine).with_mut(|copy| unsafe { copy.write(value) });
        self.mine = self.cell.between.swap(self.mine | FRESH) & INDEX;
    }
}

/// The reading end.
#[derive(Debug)]
pub struct Reader<'a, T> {
    cell: &'a Latest<T>,
    mine: u32,
}

impl<T: Copy> Reader<'_, T> {
    /// The newest value.
    pub fn read(&mut self) -> T {
        if self.cell.between.load() & FRESH != 0 {
            self.mine = self.cell.between.swap(self.mine) & INDEX;
        }
        // SAFETY: `mine` is the reader's own copy, and was written by `new` or before the swap.
        self.cell.copy(self.mine).with(|copy| unsafe { copy.read() })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn the_newest_value_is_read_again_and_again() {
        let mut cell = Latest::new(0);
        let (mut publisher, mut reader) = cell.split();
        assert_eq!(reader.read(), 0);
        for value in 1..10 {
            publisher.publish(value);
        }
        assert_eq!([reader.read(), reader.read()], [9, 9]);
        publisher.publish(10);
        assert_eq!(reader.read(), 10);
    }

    #[test]
    fn a_reader_never_sees_half_a_value_or_an_older_one() {
        let mut cell = Latest::new([0_u64; 16]);
        let (mut publisher, mut reader) = cell.split();
        let last = if cfg!(miri) { 200 } else { 100_000 };
        thread::scope(|scope| {
            scope.spawn(move || (1..=last).for_each(|n| publisher.publish([n; 16])));
            let mut before = 0;
            while before < last {
                let value = reader.read();
                assert!(value.iter().all(|v| *v == value[0]) && value[0] >= before);
                before = value[0];
            }
        });
    }
}
