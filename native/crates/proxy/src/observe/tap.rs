//! Live requests, for whoever looks at them at this moment: each has a queue of his own, and loses what does not fit.

use super::{
    ending::{CODES, End},
    record::{Begun, Fields, Over},
};
use bytes::Bytes;
use infermesh_telemetry::Value;
use serde_json::{Map, json};
use std::{
    sync::{
        Arc, PoisonError, RwLock, RwLockWriteGuard,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::sync::mpsc;

/// Events that may wait for one who looks.
const QUEUE: usize = 1024;

/// Who may look at the same time.
const MOST: usize = 16;

#[derive(Debug, Default)]
pub struct Tap {
    /// Whether anybody looks: all that a request costs while nobody does.
    on: AtomicBool,
    next: AtomicU64,
    viewers: RwLock<Vec<Viewer>>,
}

#[derive(Debug)]
struct Viewer {
    filter: Filter,
    queue: mpsc::Sender<Bytes>,
    lost: Arc<AtomicU64>,
}

/// What somebody wants to see: all that is given has to fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub listener: Option<String>,
    pub route: Option<String>,
    pub cluster: Option<String>,
    /// Any of them. With one, or with a duration, only ends are shown.
    pub ends: Vec<Wanted>,
    pub min_duration: Option<Duration>,
}

/// How a request may have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Grpc(u16),
    Http(u16),
    /// 4 for 4xx.
    Class(u16),
    /// Badly, in any way.
    Failure,
}

impl Wanted {
    /// A gRPC code by its name or number, an HTTP status, a class of them as `5xx`, or `failure`.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "failure" {
            return Some(Self::Failure);
        }
        if let Some(code) = CODES.iter().position(|code| code.eq_ignore_ascii_case(text)) {
            return Some(Self::Grpc(code as u16));
        }
        if let Some(class) = text.strip_suffix("xx") {
            return class.parse().ok().filter(|class| (1..=5).contains(class)).map(Self::Class);
        }
        match text.parse().ok()? {
            code if usize::from(code) < CODES.len() => Some(Self::Grpc(code)),
            status @ 100..=599 => Some(Self::Http(status)),
            _ => None,
        }
    }

    fn fits(self, end: End) -> bool {
        match (self, end) {
            (Self::Failure, end) => !end.is_success(),
            (Self::Grpc(wanted), End::Grpc(code)) => wanted == code,
            (Self::Http(wanted), End::Http(status)) => wanted == status,
            (Self::Class(wanted), End::Http(status)) => wanted == status / 100,
            _ => false,
        }
    }
}

impl Filter {
    fn fits(&self, begun: &Begun<'_>, over: Option<&Over<'_>>) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
        is(&self.listener, begun.listener)
            && is(&self.route, begun.route)
            && is(&self.cluster, begun.cluster)
            && match over {
                None => self.ends.is_empty() && self.min_duration.is_none(),
                Some(over) => {
                    (self.ends.is_empty() || self.ends.iter().any(|wanted| wanted.fits(over.end)))
                        && self.min_duration.is_none_or(|least| over.took >= least)
                }
            }
    }
}

impl Tap {
    /// A number for a request that is shown to somebody, if anybody looks: its beginning and its end have the same.
    pub fn number(&self) -> Option<u64> {
        self.on.load(Relaxed).then(|| self.next.fetch_add(1, Relaxed))
    }

    /// From now on; what began before is not shown. `None` if there are too many already.
    pub fn look(self: &Arc<Self>, filter: Filter) -> Option<View> {
        let mut viewers = self.write();
        if viewers.len() >= MOST {
            return None;
        }
        let ((queue, events), lost) = (mpsc::channel(QUEUE), Arc::<AtomicU64>::default());
        viewers.push(Viewer { filter, queue, lost: lost.clone() });
        self.on.store(true, Relaxed);
        drop(viewers);
        Some(View { tap: self.clone(), events, lost })
    }

    pub fn begun(&self, number: u64, begun: &Begun<'_>) {
        self.post(begun, None, || line("begin", number, begun.fields()));
    }

    pub fn over(&self, number: u64, begun: &Begun<'_>, over: &Over<'_>) {
        self.post(begun, Some(over), || line("end", number, [begun.fields(), over.fields()].concat()));
    }

    /// Writes it once, and only if somebody wants it.
    fn post(&self, begun: &Begun<'_>, over: Option<&Over<'_>>, write: impl Fn() -> Bytes) {
        let mut written = None;
        for viewer in self.viewers.read().unwrap_or_else(PoisonError::into_inner).iter() {
            if viewer.filter.fits(begun, over) {
                let event = written.get_or_insert_with(&write).clone();
                if viewer.queue.try_send(event).is_err() {
                    viewer.lost.fetch_add(1, Relaxed);
                }
            }
        }
    }

    /// Nobody sees any more.
    pub fn close(&self) {
        self.keep(|_| false);
    }

    fn keep(&self, keep: impl FnMut(&Viewer) -> bool) {
        let mut viewers = self.write();
        viewers.retain(keep);
        self.on.store(!viewers.is_empty(), Relaxed);
    }

    fn write(&self) -> RwLockWriteGuard<'_, Vec<Viewer>> {
        self.viewers.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one sees who looks, until it is dropped.
#[derive(Debug)]
pub struct View {
    tap: Arc<Tap>,
    events: mpsc::Receiver<Bytes>,
    lost: Arc<AtomicU64>,
}

impl View {
    /// The next event as a line of JSON; `None` at the end. What was lost is told as soon as that is possible.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        match self.lost.swap(0, Relaxed) {
            0 => Poll::Ready(ready!(self.events.poll_recv(context))),
            lost => Poll::Ready(Some(format!("{}\n", json!({ "event": "lost", "count": lost })).into())),
        }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        self.events.close();
        self.tap.keep(|viewer| !viewer.queue.is_closed());
    }
}

fn line(event: &str, number: u64, fields: Fields) -> Bytes {
    let head = [("event", event.into()), ("id", number.into())];
    let all = head.into_iter().chain(fields.into_iter().map(|(name, value)| (name, of(value))));
    let map: Map<_, _> = all.map(|(name, value)| (name.to_owned(), value)).collect();
    format!("{}\n", serde_json::Value::Object(map)).into()
}

fn of(value: Value) -> serde_json::Value {
    match value {
        Value::Text(value) => value.into(),
        Value::Signed(value) => value.into(),
        Value::Unsigned(value) => value.into(),
        Value::Bool(value) => value.into(),
        Value::List(values) => values.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::record::tests::{BEGUN, OVER};
    use std::task::Waker;

    fn next(view: &mut View) -> Option<serde_json::Value> {
        match view.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(line) => line.map(|line| serde_json::from_slice(&line).unwrap()),
            Poll::Pending => None,
        }
    }

    #[test]
    fn who_looks_sees_a_beginning_and_an_end() {
        let tap = Arc::new(Tap::default());
        assert_eq!(tap.number(), None);
        let mut view = tap.look(Filter::default()).unwrap();
        let number = tap.number().unwrap();
        tap.begun(number, &BEGUN);
        tap.over(number, &BEGUN, &OVER);
        let (begin, end) = (next(&mut view).unwrap(), next(&mut view).unwrap());
        assert_eq!((&begin["event"], &end["event"]), (&"begin".into(), &"end".into()));
        assert_eq!(begin["id"], end["id"]);
        assert_eq!((&begin["infermesh.route"], &end["event.duration"]), (&"fraud".into(), &3_000_000.into()));
        drop(view);
        assert_eq!(tap.number(), None);
    }

    #[test]
    fn who_is_slow_loses_events_and_is_told_how_many() {
        let tap = Arc::new(Tap::default());
        let mut slow = tap.look(Filter::default()).unwrap();
        (0..QUEUE as u64 + 7).for_each(|number| tap.begun(number, &BEGUN));
        assert_eq!(next(&mut slow).unwrap(), json!({ "event": "lost", "count": 7 }));
        assert_eq!(next(&mut slow).unwrap()["id"], 0);
    }

    #[test]
    fn nobody_sees_what_he_did_not_ask_for() {
        let over = |end, millis| Over { end, took: Duration::from_millis(millis), ..OVER };
        let slow = Filter { min_duration: Some(Duration::from_millis(10)), ..Default::default() };
        let wanted = |text: &str| Filter { ends: vec![Wanted::parse(text).unwrap()], ..Default::default() };
        for (filter, over, expected) in [
            (Filter { route: Some("fraud".into()), ..Default::default() }, None, true),
            (Filter { route: Some("other".into()), ..Default::default() }, None, false),
            (Filter { cluster: Some("other".into()), ..Default::default() }, None, false),
            (Filter { listener: Some("in".into()), ..Default::default() }, None, true),
            (slow.clone(), None, false),
            (slow.clone(), Some(over(End::Grpc(0), 9)), false),
            (slow, Some(over(End::Grpc(0), 10)), true),
            (wanted("UNAVAILABLE"), Some(over(End::Grpc(14), 1)), true),
            (wanted("14"), Some(over(End::Grpc(14), 1)), true),
            (wanted("14"), Some(over(End::Http(503), 1)), false),
            (wanted("5xx"), Some(over(End::Http(503), 1)), true),
            (wanted("503"), Some(over(End::Http(502), 1)), false),
            (wanted("failure"), Some(over(End::Left, 1)), true),
            (wanted("failure"), Some(over(End::Grpc(0), 1)), false),
        ] {
            assert_eq!(filter.fits(&BEGUN, over.as_ref()), expected, "{filter:?} {over:?}");
        }
        for text in ["", "17", "99", "600", "6xx", "0xx", "GONE", "-1"] {
            assert_eq!(Wanted::parse(text), None, "{text}");
        }
    }

    #[test]
    fn not_everybody_may_look_at_once_and_all_can_be_sent_home() {
        let tap = Arc::new(Tap::default());
        let mut all: Vec<_> = (0..MOST).map(|_| tap.look(Filter::default()).unwrap()).collect();
        assert!(tap.look(Filter::default()).is_none());
        all.pop();
        let mut last = tap.look(Filter::default()).unwrap();
        tap.close();
        assert_eq!(tap.number(), None);
        assert_eq!(last.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(None));
    }
}
