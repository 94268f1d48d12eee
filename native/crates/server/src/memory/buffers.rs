//! Memory for large messages, used again and again: to get fresh pages from the system costs more than to copy a tensor.

use bytes::Bytes;
use std::{
    mem::{self, MaybeUninit},
    sync::{Mutex, PoisonError},
};

/// Smaller buffers cost too little to be kept, larger ones are too rare.
const SMALLEST: usize = 256 << 10;
const LARGEST: usize = 16 << 20;

/// Bytes that wait for their next use, at most.
const KEPT: usize = 64 << 20;

/// Of the end of a message in memory: a tensor there is aligned to its element, and is used where it is.
const ALIGNMENT: usize = 64;

static FREE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// A message as far as it has arrived.
#[derive(Debug)]
pub struct Buffer {
    memory: Vec<u8>,
    /// Where the message begins.
    start: usize,
}

impl Buffer {
    /// For a message of `length` bytes. Memory is taken for `LARGEST` of them at most; it grows as they come.
    pub fn new(length: usize) -> Self {
        let wanted = length.min(LARGEST) + ALIGNMENT;
        let mut memory = if wanted < SMALLEST { Vec::with_capacity(wanted) } else { take(wanted) };
        let end = memory.as_ptr().addr() + length;
        let start = end.next_multiple_of(ALIGNMENT) - end;
        memory.resize(start, 0);
        Self { memory, start }
    }

    pub fn len(&self) -> usize {
        self.memory.len() - self.start
    }

    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.memory.extend_from_slice(bytes);
    }

    /// Appends up to `most` bytes: `fill` gets room for them and says how many it has put at its start.
    ///
    /// # Safety
    /// It has put so many there.
    pub unsafe fn fill<E>(
        &mut self,
        most: usize,
        fill: impl FnOnce(&mut [MaybeUninit<u8>]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        self.memory.reserve_exact(most);
        let count = fill(&mut self.memory.spare_capacity_mut()[..most])?;
        // SAFETY: the caller vouches that so many are initialised; they are within the room.
        unsafe { self.memory.set_len(self.memory.len() + count.min(most)) };
        Ok(count)
    }

    pub fn freeze(self) -> Bytes {
        let start = self.start;
        Bytes::from_owner(self).slice(start..)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.memory
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut memory = mem::take(&mut self.memory);
        let size = memory.capacity();
        if !(SMALLEST..=2 * LARGEST).contains(&size) {
            return;
        }
        memory.clear();
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        if free.iter().map(Vec::capacity).sum::<usize>() + size <= KEPT {
            free.push(memory);
        }
    }
}

/// The smallest free memory that is large enough, and not far too large; else fresh memory.
fn take(size: usize) -> Vec<u8> {
    let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
    let fits = |memory: &Vec<u8>| (size..=4 * size).contains(&memory.capacity());
    let best =
        (0..free.len()).filter(|&index| fits(&free[index])).min_by_key(|&index| free[index].capacity());
    match best {
        Some(index) => free.swap_remove(index),
        None => {
            drop(free);
            Vec::with_capacity(size)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_ends_where_memory_is_aligned() {
        for length in [1, 63, 64, 1000, SMALLEST, SMALLEST + 3] {
            let mut buffer = Buffer::new(length);
            assert_eq!(buffer.len(), 0);
            buffer.extend_from_slice(&vec![7; length]);
            assert_eq!(buffer.len(), length);
            let message = buffer.freeze();
            assert_eq!(message, vec![7; length]);
            assert!((message.as_ptr().addr() + length).is_multiple_of(ALIGNMENT), "{length}");
        }
    }

    #[test]
    fn room_is_filled_piece_by_piece() {
        let mut buffer = Buffer::new(4);
        for piece in [&[1, 2][..], &[3, 4]] {
            let put = |room: &mut [MaybeUninit<u8>]| {
                room.iter_mut().zip(piece).for_each(|(place, byte)| {
                    place.write(*byte);
                });
                Ok::<_, ()>(piece.len())
            };
            // SAFETY: so many bytes were put there.
            assert_eq!(unsafe { buffer.fill(4, put) }, Ok(2));
        }
        assert_eq!(&buffer.freeze()[..], [1, 2, 3, 4]);
    }

    #[test]
    fn memory_is_used_again_and_what_is_kept_is_bounded() {
        // An odd size, which no other test asks for.
        let size = 5 << 20;
        let first = Buffer::new(size);
        let place = first.memory.as_ptr();
        drop(first.freeze());
        let again = Buffer::new(size - 1000);
        assert_eq!(again.memory.as_ptr(), place);
        let many: Vec<_> = (0..20).map(|_| Buffer::new(size)).collect();
        drop((again, many));
        assert!(FREE.lock().unwrap().iter().map(Vec::capacity).sum::<usize>() <= KEPT);
        // What never gets so long takes no more than others do at first.
        assert!(Buffer::new(1 << 40).memory.capacity() <= 2 * LARGEST);
    }
}
