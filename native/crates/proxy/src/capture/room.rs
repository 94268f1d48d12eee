//! Memory that bodies may take while they are being kept, of all requests of a route together.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

#[derive(Debug)]
pub struct Room {
    left: AtomicUsize,
}

/// A part of the room; given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    room: Arc<Room>,
    bytes: usize,
}

impl Room {
    pub fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self { left: AtomicUsize::new(bytes) })
    }
}

impl Share {
    pub fn none(room: &Arc<Room>) -> Self {
        Self { room: room.clone(), bytes: 0 }
    }

    /// All of it or nothing.
    pub fn of(room: &Arc<Room>, bytes: usize) -> Option<Self> {
        let take = |left: usize| left.checked_sub(bytes);
        room.left.fetch_update(Relaxed, Relaxed, take).ok()?;
        Some(Self { room: room.clone(), bytes })
    }

    /// Takes as much as there is, up to `bytes`, and says how much that is.
    pub fn grow(&mut self, bytes: usize) -> usize {
        let mut taken = 0;
        let take = |left: usize| {
            taken = left.min(bytes);
            (taken > 0).then(|| left - taken)
        };
        let _ = self.room.left.fetch_update(Relaxed, Relaxed, take);
        self.bytes += taken;
        taken
    }

    pub fn release(&mut self) {
        self.room.left.fetch_add(std::mem::take(&mut self.bytes), Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_given_back() {
        let room = Room::new(10);
        let mut one = Share::none(&room);
        let mut two = Share::none(&room);
        assert_eq!((one.grow(6), two.grow(6), two.grow(1)), (6, 4, 0));
        drop(one);
        assert_eq!(two.grow(9), 6);
        two.release();
        assert_eq!(two.grow(11), 10);
    }

    #[test]
    fn a_share_is_had_whole_or_not_at_all() {
        let room = Room::new(10);
        let one = Share::of(&room, 6).unwrap();
        assert!(Share::of(&room, 5).is_none() && Share::of(&room, 4).is_some());
        drop(one);
        assert!(Share::of(&room, 10).is_some());
    }
}
