//! Answers that are given again to requests that ask the same, within a bounded amount of memory and for a while.

use crate::{plan::duration_or, proto};
use bytes::Bytes;
use http::{HeaderMap, header::AUTHORIZATION};
use infermesh_rest::coalesce::Share;
use lru::LruCache;
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

const MAX_BYTES: u64 = 16 << 20;
const TTL: Duration = Duration::from_secs(60);

/// Of an answer beside its bytes: its key, its place in the map and in the order of use.
const OVERHEAD: usize = 128;

/// What a request asks for and for whom, by a cryptographic hash: whoever can send requests must not be able to make two of
/// them look alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; 32]);

impl Key {
    /// Whoever shows other credentials may be told something else.
    pub fn of(share: &Share, headers: &HeaderMap) -> Self {
        let mut hasher = blake3::Hasher::new();
        share.digest(|part| {
            hasher.update(part);
        });
        for value in headers.get_all(AUTHORIZATION) {
            hasher.update(&(value.len() as u64).to_le_bytes());
            hasher.update(value.as_bytes());
        }
        Self(*hasher.finalize().as_bytes())
    }
}

/// Of one route. The least recently used answers make room for new ones.
pub struct Cache {
    limit: usize,
    ttl: Duration,
    /// Empty: all.
    models: Vec<String>,
    state: Mutex<State>,
}

struct State {
    answers: LruCache<Key, (Bytes, Instant)>,
    bytes: usize,
    hits: u64,
    misses: u64,
}

impl Cache {
    pub fn new(given: &proto::Cache) -> Self {
        let limit = if given.max_bytes > 0 { given.max_bytes } else { MAX_BYTES };
        Self {
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            ttl: duration_or(given.ttl_ns, TTL),
            models: given.models.clone(),
            state: Mutex::new(State { answers: LruCache::unbounded(), bytes: 0, hits: 0, misses: 0 }),
        }
    }

    pub fn takes(&self, share: &Share) -> bool {
        self.models.is_empty() || self.models.iter().any(|model| model == share.model())
    }

    pub fn get(&self, key: &Key) -> Option<Bytes> {
        self.get_at(key, Instant::now())
    }

    fn get_at(&self, key: &Key, now: Instant) -> Option<Bytes> {
        let mut state = self.lock();
        match state.answers.get(key) {
            Some((answer, until)) if now < *until => {
                let answer = answer.clone();
                state.hits += 1;
                Some(answer)
            }
            Some(_) => {
                state.remove(key);
                state.misses += 1;
                None
            }
            None => {
                state.misses += 1;
                None
            }
        }
    }

    /// Keeps a copy of an answer, unless it is larger than the whole cache. A copy, as it may be a small part of a large
    /// buffer, which would live as long.
    pub fn put(&self, key: Key, answer: &Bytes) {
        self.put_at(key, answer, Instant::now());
    }

    fn put_at(&self, key: Key, answer: &Bytes, now: Instant) {
        let size = answer.len() + OVERHEAD;
        if size > self.limit {
            return;
        }
        let copy = Bytes::copy_from_slice(answer);
        let mut state = self.lock();
        state.remove(&key);
        state.answers.put(key, (copy, now + self.ttl));
        state.bytes += size;
        while state.bytes > self.limit {
            let Some((_, (answer, _))) = state.answers.pop_lru() else { break };
            state.bytes -= answer.len() + OVERHEAD;
        }
    }

    /// Answers that were there, and that were not.
    pub fn counts(&self) -> (u64, u64) {
        let state = self.lock();
        (state.hits, state.misses)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remove(&mut self, key: &Key) {
        if let Some((answer, _)) = self.answers.pop(key) {
            self.bytes -= answer.len() + OVERHEAD;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(max_bytes: u64) -> Cache {
        Cache::new(&proto::Cache { max_bytes, ..Default::default() })
    }

    fn key(number: u8) -> Key {
        Key([number; 32])
    }

    #[test]
    fn an_answer_is_given_again_for_a_while() {
        let (cache, now) = (cache(0), Instant::now());
        assert_eq!(cache.get_at(&key(1), now), None);
        cache.put_at(key(1), &Bytes::from_static(b"answer"), now);
        assert_eq!(cache.get_at(&key(1), now + TTL / 2).unwrap(), "answer");
        assert_eq!(cache.get_at(&key(1), now + TTL), None);
        assert_eq!((cache.counts(), cache.lock().bytes), ((1, 2), 0));
    }

    #[test]
    fn what_was_not_used_for_long_makes_room() {
        let size = 100 + OVERHEAD as u64;
        let (cache, now, answer) = (cache(2 * size), Instant::now(), Bytes::from(vec![0; 100]));
        cache.put_at(key(1), &answer, now);
        cache.put_at(key(2), &answer, now);
        cache.get_at(&key(1), now);
        cache.put_at(key(3), &answer, now);
        let there = [1, 2, 3].map(|number| cache.get_at(&key(number), now).is_some());
        assert_eq!(there, [true, false, true]);
        cache.put_at(key(4), &Bytes::from(vec![0; 1000]), now);
        assert!(cache.lock().bytes as u64 <= 2 * size);
    }
}
