//! Slots that are lent, shared and given back in any order.

use super::Script;
use soundpost_core::pool::{Owned, Pool, Shared};

/// More handles than that say nothing new.
const HANDLES_MAX: usize = 100;

enum Handle<'p, const N: usize> {
    Owned(Owned<'p, u32, N>),
    Shared(Shared<'p, u32, N>),
}

impl<const N: usize> Handle<'_, N> {
    fn read(&mut self) -> u32 {
        match self {
            Self::Owned(owned) => owned.with_mut(|value| *value),
            Self::Shared(shared) => shared.with(|value| *value),
        }
    }
}

/// A handle, and the number that was written into its slot when it was lent: no two lendings have the same.
type Held<'p, const N: usize> = (Handle<'p, N>, u32);

/// A script of operations on a pool of one, four or thirty-two slots, compared with a plain list of handles.
pub fn pool_ops(data: &[u8]) {
    let mut script = Script(data);
    match script.u8() % 3 {
        0 => play::<1>(script),
        1 => play::<4>(script),
        _ => play::<32>(script),
    }
}

fn play<const N: usize>(mut script: Script<'_>) {
    let pool: Pool<u32, N> = Pool::new(0);
    let mut held: Vec<Held<'_, N>> = Vec::new();
    let (mut hits, mut misses, mut most) = (0_u32, 0_u32, 0);
    while !script.is_over() {
        let [operation, at] = script.bytes();
        let at = usize::from(at).checked_rem(held.len());
        match (operation % 5, at) {
            (0, _) => match pool.claim() {
                Ok(mut owned) => {
                    hits += 1;
                    owned.with_mut(|value| *value = hits);
                    held.push((Handle::Owned(owned), hits));
                }
                Err(_) => misses += 1,
            },
            (1 | 2, Some(at)) => {
                let (handle, life) = held.swap_remove(at);
                held.push((share(handle), life));
            }
            (3, Some(at)) if held.len() < HANDLES_MAX => {
                if let (Handle::Shared(shared), life) = &held[at] {
                    let copy = (Handle::Shared(shared.clone()), *life);
                    held.push(copy);
                }
            }
            (_, Some(at)) => drop(held.swap_remove(at)),
            (_, None) => {}
        }
        let mut lives: Vec<u32> = held.iter().map(|(_, life)| *life).collect();
        lives.sort_unstable();
        lives.dedup();
        most = most.max(lives.len());
        assert!(held.iter_mut().all(|(handle, life)| handle.read() == *life), "somebody else wrote");
        let stats = pool.stats();
        assert_eq!((stats.in_use as usize, stats.high_water as usize), (lives.len(), most));
        assert_eq!((stats.hits, stats.misses), (hits, misses));
        assert!(misses == 0 || most == N, "refused while a slot was free");
    }
    drop(held);
    assert_eq!(pool.stats().in_use, 0);
}

fn share<const N: usize>(handle: Handle<'_, N>) -> Handle<'_, N> {
    match handle {
        Handle::Owned(owned) => Handle::Shared(owned.share()),
        shared @ Handle::Shared(_) => shared,
    }
}
