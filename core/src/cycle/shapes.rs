//! Encoders that come to a capture rig and leave it, without being made or dropped there.

use crate::codec::Encode;
use crate::engine::capture::{Capture, Shape};
use heapless::spsc::{Consumer, Producer};

/// The rings in which encoders come to a capture rig, and leave it.
pub struct ShapeLinks<'a, E> {
    /// Each comes before its [`Command::Reshape`](crate::engine::capture::Command::Reshape).
    pub fresh: Consumer<'a, Shape<E>>,
    /// For each that came, one leaves, some time later. As long as there is no room here, none is taken.
    pub spent: Producer<'a, E>,
}

/// A rig's end of these rings, if it has any.
pub(super) struct Shapes<'a, E>(Option<ShapeLinks<'a, E>>);

impl<'a, E: Encode> Shapes<'a, E> {
    pub(super) const NONE: Self = Self(None);

    pub(super) const fn through(links: ShapeLinks<'a, E>) -> Self {
        Self(Some(links))
    }

    /// Gives the engine the encoder that came with a command, if there is room for the one that goes.
    pub(super) fn take_over(&mut self, engine: &mut Capture<E>) -> bool {
        self.let_go(engine);
        let Some(links) = &mut self.0 else { return true };
        if engine.has_spent() || !has_room(&links.spent) {
            return false;
        }
        if let Some(shape) = links.fresh.dequeue() {
            engine.reshape(shape);
        }
        self.let_go(engine);
        true
    }

    /// An encoder that is not needed any more leaves the thread.
    pub(super) fn let_go(&mut self, engine: &mut Capture<E>) {
        if let Some(links) = &mut self.0
            && has_room(&links.spent)
            && let Some(encoder) = engine.take_spent()
        {
            // There is room.
            let _ = enqueue(&mut links.spent, encoder);
        }
    }
}

/// Puts `item` into `ring`, or gives it back when that is full.
pub(super) fn enqueue<T>(ring: &mut Producer<'_, T>, item: T) -> Result<(), T> {
    if has_no_length(ring) { Err(item) } else { ring.enqueue(item) }
}

fn has_room<T>(ring: &Producer<'_, T>) -> bool {
    !has_no_length(ring) && ring.ready()
}

/// A ring has room for one at least, but nothing in the type says so, and heapless divides by its length: asking is what
/// leaves no panic behind.
fn has_no_length<T>(ring: &Producer<'_, T>) -> bool {
    ring.capacity().wrapping_add(1) == 0
}
