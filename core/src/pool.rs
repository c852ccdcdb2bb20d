//! Slots that are lent, shared and come back by themselves.
//!
//! A [`Pool`] owns `N` values (at most 32: one word of bits says which are free). [`Pool::claim`] lends one
//! as [`Owned`], to be written by one holder; [`Owned::share`] turns it into a counted [`Shared`] that any
//! number of holders read; the last one to drop it returns the slot. Nothing is allocated, nothing waits:
//! when all slots are out, `claim` says so and counts a miss.
#![allow(unsafe_code)]

use crate::sync::{Cell, Word, cells, constant, words};

/// No slot is free. Scarcity, not a fault: drop what you wanted to store and count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Exhausted;

/// What a pool has been through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PoolStats {
    /// Slots lent right now.
    pub in_use: u32,
    /// Most slots ever lent at once.
    pub high_water: u32,
    /// Claims that found a slot (wraps).
    pub hits: u32,
    /// Claims that found none (wraps).
    pub misses: u32,
}

/// `N` values of `T` and the word that says which of them are free.
#[derive(Debug)]
pub struct Pool<T, const N: usize> {
    free: Word,
    holders: [Word; N],
    slots: [Cell<T>; N],
    high_water: Word,
    hits: Word,
    misses: Word,
}

// SAFETY: a slot is reached through `Owned` (one holder, because its free bit was taken by an atomic
// update) or through `Shared` (read only, and counted). A slot moves between threads, hence `T: Send`; it is
// read from several at once, hence `T: Sync`.
unsafe impl<T: Send + Sync, const N: usize> Sync for Pool<T, N> {}

impl<T: Copy, const N: usize> Pool<T, N> {
    constant! {
        /// A pool of `N` copies of `fill`, usable in a `static`.
        #[must_use]
        pub fn new(fill: T) -> Self {
            const { assert!(N >= 1 && N <= 32, "a pool is one word of bits") };
            Self {
                free: Word::new(Self::ALL),
                holders: words(),
                slots: cells(fill),
                high_water: Word::new(0),
                hits: Word::new(0),
                misses: Word::new(0),
            }
        }
    }
}

impl<T, const N: usize> Pool<T, N> {
    const ALL: u32 = u32::MAX >> (32 - N as u32);

    /// Lends a slot. It holds whatever its last holder left in it.
    ///
    /// # Errors
    /// [`Exhausted`] when all `N` slots are lent.
    pub fn claim(&self) -> Result<Owned<'_, T, N>, Exhausted> {
        // Clears the lowest bit that is set.
        let (free, taken) = self.free.update(|free| (free != 0).then_some(free & free.wrapping_sub(1)));
        if !taken {
            self.misses.tally(|count| Some(count.wrapping_add(1)));
            return Err(Exhausted);
        }
        self.hits.tally(|count| Some(count.wrapping_add(1)));
        let in_use = (N as u32).wrapping_sub(free.count_ones()).wrapping_add(1);
        self.high_water.tally(|most| (in_use > most).then_some(in_use));
        Ok(Owned { pool: self, index: free.trailing_zeros() as usize })
    }

    /// How the pool has been used.
    #[must_use]
    pub fn stats(&self) -> PoolStats {
        PoolStats {
            in_use: (N as u32).wrapping_sub(self.free.load().count_ones()),
            high_water: self.high_water.load(),
            hits: self.hits.load(),
            misses: self.misses.load(),
        }
    }

    fn slot(&self, index: usize) -> &Cell<T> {
        debug_assert!(index < N);
        // SAFETY: an index is the number of a bit that was set in `free`, and only the lowest N ever are.
        unsafe { self.slots.get_unchecked(index) }
    }

    fn holders(&self, index: usize) -> &Word {
        debug_assert!(index < N);
        // SAFETY: as in `slot`.
        unsafe { self.holders.get_unchecked(index) }
    }

    fn release(&self, index: usize) {
        let bit = 1_u32.wrapping_shl(index as u32);
        let (free, _) = self.free.update(|free| Some(free | bit));
        debug_assert!(free & bit == 0, "I4: slot {index} was returned twice");
    }
}

/// A slot with one holder, who may write it.
#[derive(Debug)]
pub struct Owned<'p, T, const N: usize> {
    pool: &'p Pool<T, N>,
    index: usize,
}

impl<'p, T, const N: usize> Owned<'p, T, N> {
    /// Writes the slot.
    pub fn with_mut<R>(&mut self, write: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: this is the slot's only holder, and it is borrowed mutably.
        self.pool.slot(self.index).with_mut(|slot| write(unsafe { &mut *slot }))
    }

    /// Ends writing and begins counted reading.
    #[must_use]
    pub fn share(self) -> Shared<'p, T, N> {
        let (pool, index) = (self.pool, self.index);
        let _ = core::mem::ManuallyDrop::new(self);
        pool.holders(index).store(1);
        Shared { pool, index }
    }
}

impl<T, const N: usize> Drop for Owned<'_, T, N> {
    fn drop(&mut self) {
        self.pool.release(self.index);
    }
}

/// A slot that may have several holders, all of whom only read it.
#[derive(Debug)]
pub struct Shared<'p, T, const N: usize> {
    pool: &'p Pool<T, N>,
    index: usize,
}

impl<T, const N: usize> Shared<'_, T, N> {
    /// Reads the slot.
    pub fn with<R>(&self, read: impl FnOnce(&T) -> R) -> R {
        // SAFETY: while a `Shared` exists there is no `Owned` of this slot, so nobody writes it.
        self.pool.slot(self.index).with(|slot| read(unsafe { &*slot }))
    }
}

impl<T, const N: usize> Clone for Shared<'_, T, N> {
    fn clone(&self) -> Self {
        self.pool.holders(self.index).update(|count| Some(count.wrapping_add(1)));
        Self { pool: self.pool, index: self.index }
    }
}

impl<T, const N: usize> Drop for Shared<'_, T, N> {
    fn drop(&mut self) {
        let (count, _) = self.pool.holders(self.index).update(|count| Some(count.wrapping_sub(1)));
        debug_assert!(count != 0, "I4: slot {} had no holder", self.index);
        if count == 1 {
            self.pool.release(self.index);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::{thread, vec::Vec};

    #[test]
    fn a_slot_comes_back_when_its_last_holder_lets_go() {
        let pool: Pool<u32, 2> = Pool::new(0);
        let mut owned = pool.claim().unwrap();
        owned.with_mut(|value| *value = 7);
        let first = owned.share();
        let second = first.clone();
        drop(first);
        assert_eq!(second.with(|value| *value), 7);
        assert_eq!(pool.stats().in_use, 1);
        drop(second);
        assert_eq!(pool.stats().in_use, 0);
    }

    #[test]
    fn an_empty_pool_says_so_and_counts_it() {
        let pool: Pool<u8, 32> = Pool::new(0);
        let all: Vec<_> = (0..32).map(|_| pool.claim().unwrap()).collect();
        assert_eq!(pool.claim().err(), Some(Exhausted));
        drop(all);
        assert_eq!(pool.stats(), PoolStats { in_use: 0, high_water: 32, hits: 32, misses: 1 });
        assert!(pool.claim().is_ok());
    }

    #[test]
    fn many_threads_never_hold_the_same_slot() {
        static POOL: Pool<[u64; 8], 4> = Pool::new([0; 8]);
        thread::scope(|scope| {
            for id in 1..=4_u64 {
                scope.spawn(move || {
                    for round in 0..if cfg!(miri) { 20 } else { 5_000_u64 } {
                        let Ok(mut owned) = POOL.claim() else {
                            continue;
                        };
                        let mark = id << 32 | round;
                        owned.with_mut(|slot| slot.fill(mark));
                        let shared = owned.share();
                        let copies = [shared.clone(), shared];
                        for copy in &copies {
                            assert_eq!(copy.with(|slot| *slot), [mark; 8]);
                        }
                    }
                });
            }
        });
        assert_eq!(POOL.stats().in_use, 0);
    }

    const SLOTS: usize = 2;
    const HANDS: usize = 3;

    /// Something that can be done with one hand.
    #[derive(Clone, Copy, Debug)]
    enum Move {
        Claim(usize),
        Write(usize),
        Share(usize),
        Copy(usize, usize),
        LetGo(usize),
    }

    enum Hand<'p> {
        Empty,
        Owned(Owned<'p, u32, SLOTS>),
        Shared(Shared<'p, u32, SLOTS>),
    }

    /// What the pool is compared with: what each hand holds, as the number of its claim and what was written.
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Expected {
        Empty,
        Owned(u32, u32),
        Shared(u32, u32),
    }

    #[derive(Clone)]
    struct Model {
        hands: [Expected; HANDS],
        stats: PoolStats,
    }

    impl Model {
        /// All that can be done now. A claim can always be tried with an empty hand.
        fn moves(&self) -> Vec<Move> {
            let mut moves = Vec::new();
            for (to, hand) in self.hands.iter().enumerate() {
                match hand {
                    Expected::Empty => {
                        moves.push(Move::Claim(to));
                        let shared = |from: &usize| matches!(self.hands[*from], Expected::Shared(..));
                        moves.extend((0..HANDS).filter(shared).map(|from| Move::Copy(from, to)));
                    }
                    Expected::Owned(..) => moves.extend([Move::Write(to), Move::Share(to), Move::LetGo(to)]),
                    Expected::Shared(..) => moves.push(Move::LetGo(to)),
                }
            }
            moves
        }

        fn make(&mut self, step: u32, mv: Move) {
            match mv {
                Move::Claim(_) if self.stats.in_use == SLOTS as u32 => self.stats.misses += 1,
                Move::Claim(hand) => {
                    self.stats.hits += 1;
                    self.hands[hand] = Expected::Owned(self.stats.hits, step);
                }
                Move::Write(hand) => {
                    let Expected::Owned(claim, _) = self.hands[hand] else { unreachable!() };
                    self.hands[hand] = Expected::Owned(claim, step);
                }
                Move::Share(hand) => {
                    let Expected::Owned(claim, value) = self.hands[hand] else { unreachable!() };
                    self.hands[hand] = Expected::Shared(claim, value);
                }
                Move::Copy(from, to) => self.hands[to] = self.hands[from],
                Move::LetGo(hand) => self.hands[hand] = Expected::Empty,
            }
            let claims = self.hands.iter().filter_map(|hand| match hand {
                Expected::Empty => None,
                Expected::Owned(claim, _) | Expected::Shared(claim, _) => Some(claim),
            });
            self.stats.in_use = claims.collect::<std::collections::BTreeSet<_>>().len() as u32;
            self.stats.high_water = self.stats.high_water.max(self.stats.in_use);
        }
    }

    /// Does the same to a pool. A claimed slot is written at once, with the number of the step.
    fn make<'p>(pool: &'p Pool<u32, SLOTS>, hands: &mut [Hand<'p>; HANDS], step: u32, mv: Move) {
        match mv {
            Move::Claim(hand) => {
                if let Ok(mut owned) = pool.claim() {
                    owned.with_mut(|slot| *slot = step);
                    hands[hand] = Hand::Owned(owned);
                }
            }
            Move::Write(hand) => {
                let Hand::Owned(owned) = &mut hands[hand] else { unreachable!() };
                owned.with_mut(|slot| *slot = step);
            }
            Move::Share(hand) => {
                let Hand::Owned(owned) = core::mem::replace(&mut hands[hand], Hand::Empty) else { unreachable!() };
                hands[hand] = Hand::Shared(owned.share());
            }
            Move::Copy(from, to) => {
                let Hand::Shared(shared) = &hands[from] else { unreachable!() };
                hands[to] = Hand::Shared(shared.clone());
            }
            Move::LetGo(hand) => hands[hand] = Hand::Empty,
        }
    }

    fn compare(pool: &Pool<u32, SLOTS>, hands: &mut [Hand<'_>; HANDS], model: &Model, moves: &[Move]) {
        assert_eq!(pool.stats(), model.stats, "{moves:?}");
        for (hand, expected) in hands.iter_mut().zip(model.hands) {
            let right = match (hand, expected) {
                (Hand::Empty, Expected::Empty) => true,
                (Hand::Owned(owned), Expected::Owned(_, value)) => owned.with_mut(|slot| *slot == value),
                (Hand::Shared(shared), Expected::Shared(_, value)) => shared.with(|slot| *slot == value),
                _ => false,
            };
            assert!(right, "{moves:?}");
        }
    }

    /// Goes on from `moves` in every way that is left; each whole sequence is played to a fresh pool. Returns how
    /// many sequences there were.
    fn explore(moves: &mut Vec<Move>, model: &Model, length: usize) -> usize {
        if moves.len() == length {
            let pool = Pool::new(0);
            let mut hands = [const { Hand::Empty }; HANDS];
            for (step, mv) in (1..).zip(moves.iter()) {
                make(&pool, &mut hands, step, *mv);
            }
            compare(&pool, &mut hands, model, moves);
            drop(hands);
            assert_eq!(pool.stats().in_use, 0, "{moves:?}");
            return 1;
        }
        let mut played = 0;
        for mv in model.moves() {
            let mut next = model.clone();
            moves.push(mv);
            next.make(moves.len() as u32, mv);
            // Every beginning is a sequence of its own, so that each step is compared, not only the last.
            played += explore(moves, &next, moves.len());
            if moves.len() < length {
                played += explore(moves, &next, length);
            }
            moves.pop();
        }
        played
    }

    #[test]
    fn every_sequence_of_moves_does_what_the_model_does() {
        let start = Model { hands: [Expected::Empty; HANDS], stats: PoolStats::default() };
        let length = if cfg!(miri) { 3 } else { 8 };
        let played = explore(&mut Vec::new(), &start, length);
        assert!(cfg!(miri) || played > 100_000, "{played}");
    }
}
