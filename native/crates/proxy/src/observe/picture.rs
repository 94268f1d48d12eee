//! The picture of what a proxy does, as JSON. Its owner makes it, once a second, and only while somebody looks.

use bytes::Bytes;
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

/// Between two pictures.
const EVERY: Duration = Duration::from_secs(1);

/// It is still made so long after the last look: who looks again finds rates, and not only their beginning.
const LINGER: Duration = Duration::from_secs(10);

/// An older one is not shown.
const FRESH: Duration = Duration::from_secs(2);

/// Who may look at the same time. Each holds a connection, of which probes need some, too.
const MOST: usize = 16;

#[derive(Debug, Default)]
pub struct Picture(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    looked: Option<Instant>,
    /// When the owner was last told to make one.
    wanted: Option<Instant>,
    newest: Option<(Instant, Bytes)>,
    viewers: Vec<mpsc::Sender<Bytes>>,
    is_closed: bool,
}

/// One picture after another, until it is dropped; `None` is the end.
pub type View = mpsc::Receiver<Bytes>;

impl Picture {
    /// The newest picture if there is one, and those that follow. `None` if there are too many who look already.
    pub fn look(&self, now: Instant) -> Option<View> {
        let mut state = self.lock();
        state.looked = Some(now);
        state.viewers.retain(|viewer| !viewer.is_closed());
        if state.viewers.len() >= MOST {
            return None;
        }
        // Who is slow misses some, and then sees one that is new.
        let (viewer, view) = mpsc::channel(1);
        if let Some((made, picture)) = &state.newest
            && now.saturating_duration_since(*made) < FRESH
        {
            let _ = viewer.try_send(picture.clone());
        }
        if !state.is_closed {
            state.viewers.push(viewer);
        }
        Some(view)
    }

    /// Whether the owner should make one now: it is told so once a second, while somebody looks or did so lately.
    pub fn is_wanted(&self, now: Instant) -> bool {
        let mut state = self.lock();
        state.viewers.retain(|viewer| !viewer.is_closed());
        if !state.viewers.is_empty() {
            state.looked = Some(now);
        }
        if state.looked.is_none_or(|at| now.saturating_duration_since(at) >= LINGER) {
            state.newest = None;
            return false;
        }
        let is_due = state.wanted.is_none_or(|at| now.saturating_duration_since(at) >= EVERY);
        if is_due {
            state.wanted = Some(now);
        }
        is_due
    }

    pub fn show(&self, picture: Bytes, now: Instant) {
        let mut state = self.lock();
        state.viewers.iter().for_each(|viewer| drop(viewer.try_send(picture.clone())));
        state.newest = Some((now, picture));
    }

    /// Nobody sees any more.
    pub fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        state.viewers.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc::error::TryRecvError;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn it_is_wanted_once_a_second_while_somebody_looks_and_ten_seconds_more() {
        let (picture, start) = (Picture::default(), Instant::now());
        assert!(!picture.is_wanted(start));
        let (one, another) = (picture.look(start).unwrap(), picture.look(start).unwrap());
        assert!(picture.is_wanted(start));
        assert!(!picture.is_wanted(start + SECOND / 2));
        assert!(picture.is_wanted(start + 60 * SECOND));
        drop((one, another));
        assert!(picture.is_wanted(start + 69 * SECOND));
        assert!(!picture.is_wanted(start + 70 * SECOND));
    }

    #[test]
    fn who_comes_later_sees_the_newest_at_once_unless_it_is_old() {
        let (picture, start) = (Picture::default(), Instant::now());
        let mut first = picture.look(start).unwrap();
        assert_eq!(first.try_recv(), Err(TryRecvError::Empty));
        picture.show("1".into(), start);
        assert_eq!(first.try_recv().unwrap(), "1");
        assert_eq!(picture.look(start + SECOND).unwrap().try_recv().unwrap(), "1");
        assert_eq!(picture.look(start + 2 * SECOND).unwrap().try_recv(), Err(TryRecvError::Empty));
    }

    #[test]
    fn who_is_slow_keeps_nobody_waiting() {
        let (picture, start) = (Picture::default(), Instant::now());
        let (mut slow, mut quick) = (picture.look(start).unwrap(), picture.look(start).unwrap());
        for text in ["1", "2", "3"] {
            picture.show(text.into(), start);
            assert_eq!(quick.try_recv().unwrap(), text);
        }
        assert_eq!(slow.try_recv().unwrap(), "1");
        assert_eq!(slow.try_recv(), Err(TryRecvError::Empty));
    }

    #[test]
    fn not_everybody_may_look_at_once_and_all_can_be_sent_home() {
        let (picture, start) = (Picture::default(), Instant::now());
        let mut all: Vec<_> = (0..MOST).map(|_| picture.look(start).unwrap()).collect();
        assert!(picture.look(start).is_none());
        all.pop();
        let mut last = picture.look(start).unwrap();
        picture.close();
        assert_eq!(last.try_recv(), Err(TryRecvError::Disconnected));
        assert_eq!(picture.look(start).unwrap().try_recv(), Err(TryRecvError::Disconnected));
    }
}
