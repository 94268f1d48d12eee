//! Answers that are given again to requests that ask the same, within a bounded amount of memory.

use bytes::Bytes;
use infermesh_batcher::Tensor;
use lru::LruCache;
use smallvec::SmallVec;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The tensors of an answer: every output, whatever was asked for, in the order of the model's signature.
pub type Outputs = SmallVec<[Tensor; 2]>;

/// What a request asks of a version, by a cryptographic hash: whoever can send requests must not be able to make two of
/// them look alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; 32]);

impl Key {
    /// `version` is unique to one load of one version, so an answer of an earlier load is never found.
    pub fn new(version: u64, inputs: &[Tensor]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&version.to_le_bytes());
        for Tensor { shape, data } in inputs {
            // With their lengths in front, so that nothing can pass for part of its neighbour.
            hasher.update(&(shape.len() as u64).to_le_bytes());
            for dim in shape {
                hasher.update(&dim.to_le_bytes());
            }
            hasher.update(&(data.len() as u64).to_le_bytes());
            hasher.update(data);
        }
        Self(*hasher.finalize().as_bytes())
    }
}

/// The least recently used answers make room for new ones.
pub struct Cache {
    limit: usize,
    state: Mutex<State>,
}

struct State {
    answers: LruCache<Key, Outputs>,
    bytes: usize,
    evictions: u64,
}

/// How full a cache is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    pub bytes: usize,
    pub limit: usize,
    pub answers: usize,
    /// Since the server started.
    pub evictions: u64,
}

/// Of an answer beside its tensors: its key, its place in the map and in the order of use, the allocator's share.
const OVERHEAD: usize = 256;

impl Cache {
    /// `limit` is in bytes, with all that belongs to an answer.
    pub fn new(limit: usize) -> Self {
        Self { limit, state: Mutex::new(State { answers: LruCache::unbounded(), bytes: 0, evictions: 0 }) }
    }

    pub fn get(&self, key: &Key) -> Option<Outputs> {
        self.lock().answers.get(key).cloned()
    }

    /// Keeps a copy of an answer, unless it is larger than the whole cache. A copy, as what the model returned may be
    /// a small part of a large batch, which would live as long.
    pub fn put(&self, key: Key, outputs: &[Tensor]) {
        let size = size(outputs);
        if size > self.limit {
            return;
        }
        let copies = outputs
            .iter()
            .map(|tensor| Tensor { shape: tensor.shape.clone(), data: Bytes::copy_from_slice(&tensor.data) });
        let copies: Outputs = copies.collect();
        // What makes room is released after the lock.
        let mut released = Vec::new();
        let mut state = self.lock();
        state.bytes += size;
        if let Some(replaced) = state.answers.put(key, copies) {
            state.bytes -= self::size(&replaced);
            released.push(replaced);
        }
        while state.bytes > self.limit {
            let Some((_, oldest)) = state.answers.pop_lru() else { break };
            state.bytes -= self::size(&oldest);
            state.evictions += 1;
            released.push(oldest);
        }
    }

    pub fn usage(&self) -> Usage {
        let state = self.lock();
        Usage {
            bytes: state.bytes,
            limit: self.limit,
            answers: state.answers.len(),
            evictions: state.evictions,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn size(outputs: &[Tensor]) -> usize {
    let tensor = |tensor: &Tensor| tensor.data.len() + size_of::<Tensor>() + size_of_val(&tensor.shape[..]);
    OVERHEAD + outputs.iter().map(tensor).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use smallvec::smallvec;

    fn tensor(data: &[u8]) -> Tensor {
        Tensor { shape: smallvec![data.len() as i64], data: Bytes::copy_from_slice(data) }
    }

    fn key(number: u8) -> Key {
        Key::new(1, &[tensor(&[number])])
    }

    #[test]
    fn requests_that_differ_in_anything_have_different_keys() {
        let parts =
            |shape: &[i64], data: &[u8]| Tensor { shape: shape.into(), data: Bytes::copy_from_slice(data) };
        let keys = [
            Key::new(1, &[parts(&[2], b"ab")]),
            Key::new(2, &[parts(&[2], b"ab")]),
            Key::new(1, &[parts(&[2], b"ba")]),
            Key::new(1, &[parts(&[1, 2], b"ab")]),
            Key::new(1, &[parts(&[2, 1], b"ab")]),
            Key::new(1, &[parts(&[1], b"a"), parts(&[1], b"b")]),
            Key::new(1, &[parts(&[1], b"b"), parts(&[1], b"a")]),
        ];
        for (index, one) in keys.iter().enumerate() {
            assert!(keys[..index].iter().all(|other| other != one), "{index}");
        }
        assert_eq!(keys[0], Key::new(1, &[parts(&[2], b"ab")]));
    }

    #[test]
    fn the_least_recently_used_makes_room() {
        let one = size(&[tensor(&[0; 100])]);
        let cache = Cache::new(2 * one);
        for number in 1..=2 {
            cache.put(key(number), &[tensor(&[number; 100])]);
        }
        assert_eq!(cache.get(&key(1)).unwrap()[0], tensor(&[1; 100]));
        cache.put(key(3), &[tensor(&[3; 100])]);
        assert_eq!([1, 2, 3].map(|number| cache.get(&key(number)).is_some()), [true, false, true]);
        assert_eq!(cache.usage(), Usage { bytes: 2 * one, limit: 2 * one, answers: 2, evictions: 1 });
    }

    #[test]
    fn the_same_answer_is_counted_once() {
        let cache = Cache::new(10_000);
        cache.put(key(1), &[tensor(&[1; 100])]);
        let once = cache.usage();
        cache.put(key(1), &[tensor(&[1; 100])]);
        assert_eq!(cache.usage(), once);
    }

    #[test]
    fn what_is_larger_than_the_cache_displaces_nothing() {
        let cache = Cache::new(1000);
        cache.put(key(1), &[tensor(&[1; 100])]);
        cache.put(key(2), &[tensor(&[2; 1000])]);
        assert_eq!((cache.get(&key(1)).is_some(), cache.get(&key(2)).is_some()), (true, false));
    }

    #[test]
    fn an_answer_does_not_hold_the_batch_it_came_from() {
        let batch = Bytes::from(vec![7; 4096]);
        let cache = Cache::new(10_000);
        cache.put(key(1), &[Tensor { shape: smallvec![4], data: batch.slice(..4) }]);
        assert!(batch.is_unique());
    }
}
