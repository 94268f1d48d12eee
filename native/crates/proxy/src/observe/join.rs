//! The trace of a request that an app sends without saying which one it is answering.
//!
//! Best effort. An app that hands on `x-request-id` is understood: the inbound side gives one to each request that has none.
//! Of one that hands on nothing it is known only while it answers a single request: then what it sends is taken for a part of
//! that, which is wrong for what it does in the background. In all other cases nothing is joined.

use infermesh_telemetry::Parent;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Requests that are remembered; more are only counted.
const MOST: usize = 4096;

/// Of an id.
const MAX_LENGTH: usize = 128;

#[derive(Debug, Default)]
pub struct Joins(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// By id. Callers that try again may use one twice.
    known: HashMap<Box<str>, Vec<Entry>>,
    remembered: usize,
    in_flight: usize,
    next: u64,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    /// `None` if it is a part of no trace.
    context: Option<Parent>,
}

/// An inbound request that the app is answering, for as long as this lives.
#[derive(Debug)]
pub struct Remembered {
    joins: Arc<Joins>,
    /// `None`: it is only counted.
    entry: Option<(Box<str>, u64)>,
}

impl Joins {
    /// The app gets a request to answer.
    pub fn remember(self: &Arc<Self>, id: &str, context: Option<Parent>) -> Remembered {
        let mut state = self.lock();
        state.in_flight += 1;
        let entry = (state.remembered < MOST).then(|| {
            let (id, number) = (cut(id), state.next);
            (state.next, state.remembered) = (number + 1, state.remembered + 1);
            state.known.entry(id.into()).or_default().push(Entry { number, context });
            (id.into(), number)
        });
        drop(state);
        Remembered { joins: self.clone(), entry }
    }

    /// The context of the request that the app is answering with what it sends, if that can be told.
    pub fn find(&self, id: Option<&str>) -> Option<Parent> {
        let state = self.lock();
        let named = id.and_then(|id| state.known.get(cut(id)));
        let found = named.or_else(|| match (state.in_flight, state.remembered) {
            (1, 1) => state.known.values().next(),
            _ => None,
        });
        found?.last()?.context.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Remembered {
    fn drop(&mut self) {
        let mut state = self.joins.lock();
        state.in_flight -= 1;
        let Some((id, number)) = self.entry.take() else { return };
        state.remembered -= 1;
        if let Some(entries) = state.known.get_mut(&id) {
            entries.retain(|entry| entry.number != number);
            if entries.is_empty() {
                state.known.remove(&id);
            }
        }
    }
}

/// Ids come from clients; one that is too long counts as far as it fits.
fn cut(id: &str) -> &str {
    let end = (0..=MAX_LENGTH.min(id.len())).rev().find(|end| id.is_char_boundary(*end));
    &id[..end.unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(trace: u128) -> Option<Parent> {
        Some(Parent { trace, span: 1, sampled: true, state: String::new() })
    }

    fn trace(joins: &Joins, id: Option<&str>) -> Option<u128> {
        joins.find(id).map(|found| found.trace)
    }

    #[test]
    fn an_id_tells_requests_apart() {
        let joins = Arc::new(Joins::default());
        let first = joins.remember("a", context(1));
        let second = joins.remember("b", context(2));
        assert_eq!((trace(&joins, Some("a")), trace(&joins, Some("b"))), (Some(1), Some(2)));
        assert_eq!((trace(&joins, Some("c")), trace(&joins, None)), (None, None));
        drop(first);
        assert_eq!(trace(&joins, Some("b")), Some(2));
        drop(second);
        assert_eq!(trace(&joins, Some("b")), None);
        assert!(joins.lock().known.is_empty());
    }

    #[test]
    fn without_an_id_there_may_be_only_one() {
        let joins = Arc::new(Joins::default());
        assert_eq!(trace(&joins, None), None);
        let first = joins.remember("a", context(1));
        assert_eq!((trace(&joins, None), trace(&joins, Some("the app's own"))), (Some(1), Some(1)));
        // One of which nothing can be said is one, too.
        let second = joins.remember("b", None);
        assert_eq!(trace(&joins, None), None);
        drop(first);
        assert_eq!(trace(&joins, None), None);
        drop(second);
    }

    #[test]
    fn of_two_with_one_id_the_later_counts_and_either_may_end_first() {
        let joins = Arc::new(Joins::default());
        let first = joins.remember("a", context(1));
        let second = joins.remember("a", context(2));
        assert_eq!(trace(&joins, Some("a")), Some(2));
        drop(second);
        assert_eq!(trace(&joins, Some("a")), Some(1));
        drop(first);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_what_is_not_still_counts() {
        let joins = Arc::new(Joins::default());
        let mut all: Vec<_> = (0..=MOST).map(|id| joins.remember(&id.to_string(), context(1))).collect();
        assert_eq!(joins.lock().remembered, MOST);
        all.drain(1..MOST);
        assert_eq!(trace(&joins, None), None);
        let long = "x".repeat(10_000);
        let _long = joins.remember(&long, context(3));
        assert_eq!(trace(&joins, Some(&long)), Some(3));
        assert!(joins.lock().known.keys().all(|id| id.len() <= MAX_LENGTH));
        assert_eq!(cut("é".repeat(100).as_str()).len(), 128);
    }
}
