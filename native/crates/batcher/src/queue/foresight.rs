//! What the forecast means for the requests that wait: which can still be answered in time, and how long to wait for
//! company.

use super::{Queue, level::Level};
use crate::Request;
use infermesh_wire::Error;
use std::time::{Duration, Instant};

/// As much of its time a request behind others may be predicted to need. The rest is for what nobody predicts: small
/// batches, outliers, the way to the caller.
const SHARE: f64 = 0.85;

impl Queue {
    /// Why a request that would stand behind all of these levels is better refused now, if it is.
    ///
    /// The prediction counts against the request with its margin, and what is far ahead must leave some time; except
    /// where nothing is in its way: then only a clear miss is a reason.
    pub(super) fn will_miss(&self, request: &Request, ahead: &[Level], now: Instant) -> Option<Error> {
        let due = self.due(request);
        let expiry = request.expiry.as_ref().map(|expiry| expiry.at);
        if due.is_none() && expiry.is_none() {
            return None;
        }
        let waiting = ahead.iter().map(Level::len).sum::<usize>();
        let rows = ahead.iter().map(Level::rows).sum::<usize>() + request.rows;
        let full = self.policy.full_batch(rows / (waiting + 1));
        let batches = if self.policy.dynamic { (rows - 1) / full } else { waiting };
        let fit = self.forecast.fit();
        let start = self.forecast.starts_in(batches, full, now)?;
        let own = rows.saturating_sub(batches * full).max(request.rows);
        let done = start.saturating_add(fit.predict(own)?);
        let nothing_waits = waiting == 0 && self.forecast.has_free_instance();
        let margin = if nothing_waits { -fit.margin() } else { (1.0 + fit.margin()) / SHARE - 1.0 };
        let expiry = expiry.map(|at| Due { at, what: "queue timeout" });
        late(due, done, margin, now).or_else(|| late(expiry, start, margin, now))
    }

    /// Takes out the first requests for as long as they cannot be answered in time.
    pub(super) fn take_hopeless(&mut self, now: Instant) -> Vec<(Request, Error)> {
        let mut hopeless = Vec::new();
        while let Some(error) = self.first().and_then(|first| self.is_hopeless(first, now)) {
            let line = self.levels.iter_mut().flat_map(Level::lines).find(|line| line.len() > 0);
            let Some(request) = line.and_then(|line| line.pop()) else { break };
            if request.claim() {
                hopeless.push((request, error));
            }
        }
        hopeless
    }

    /// Whether the first request has no time left for a batch. While more wait than a batch holds, it must have time
    /// for half a batch: many small batches for the sake of the oldest requests would make all others late too.
    fn is_hopeless(&self, first: &Request, now: Instant) -> Option<Error> {
        let due = self.due(first)?;
        let fit = self.forecast.fit();
        let most = self.policy.max_batch_size;
        if self.policy.dynamic && self.rows() > most {
            late(Some(due), fit.predict(first.rows.max(most / 2))?, fit.margin(), now)
        } else {
            late(Some(due), fit.predict(first.rows)?, -fit.margin(), now)
        }
    }

    /// The largest batch that answers the request in time.
    pub(super) fn rows_in_time(&self, request: &Request, now: Instant) -> usize {
        let rows = |due: Due| self.forecast.fit().rows_within(due.at.saturating_duration_since(now));
        self.due(request).and_then(rows).unwrap_or(usize::MAX)
    }

    /// When the request must start, at the latest, to be answered in time by a full batch.
    pub fn latest_start(&self, request: &Request) -> Option<Instant> {
        let due = self.due(request)?;
        due.at.checked_sub(self.full_batch_takes()?)
    }

    /// How long the oldest request may wait for company. With an objective it is a part of what the objective leaves
    /// beside a full batch: nearly nothing while instances are mostly free, and more the busier they are, because
    /// larger batches cost less per row.
    pub(super) fn delay(&mut self, now: Instant) -> Duration {
        let most = self.policy.max_queue_delay;
        let Some(slo) = self.policy.slo else { return most };
        let Some(takes) = self.full_batch_takes() else { return Duration::ZERO };
        let tuned = slo.saturating_sub(takes).mul_f64(self.forecast.utilisation(now).powi(3));
        if most.is_zero() { tuned } else { tuned.min(most) }
    }

    /// With the margin.
    fn full_batch_takes(&self) -> Option<Duration> {
        let fit = self.forecast.fit();
        Some(fit.predict(self.policy.max_batch_size)?.mul_f64(1.0 + fit.margin()))
    }

    /// When the answer has to be there: the caller's deadline or the model's objective, whichever is first.
    fn due(&self, request: &Request) -> Option<Due> {
        if request.probe {
            return None;
        }
        let deadline = request.deadline.map(|at| Due { at, what: DEADLINE });
        let slo = self.policy.slo.map(|slo| Due { at: request.enqueued + slo, what: "slo_ms" });
        deadline.into_iter().chain(slo).min_by_key(|due| due.at)
    }
}

/// The caller's own.
const DEADLINE: &str = "deadline";

#[derive(Debug, Clone, Copy)]
struct Due {
    at: Instant,
    what: &'static str,
}

/// The refusal of what is expected too late, with a margin as a share of the expectation.
fn late(due: Option<Due>, expected: Duration, margin: f64, now: Instant) -> Option<Error> {
    let due = due?;
    if due.at <= now && due.what == DEADLINE {
        // Not a prediction any more.
        return Some(Error::deadline_exceeded());
    }
    let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
    let (left, expected) = (ms(due.at.saturating_duration_since(now)), ms(expected));
    if expected * (1.0 + margin) <= left {
        return None;
    }
    let what = due.what;
    let message =
        format!("Request would miss its {what}: {expected:.1} ms are predicted, {left:.1} ms are left");
    Some(Error::busy(message))
}
