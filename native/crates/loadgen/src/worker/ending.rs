//! How requests end: answered, failed or given up, and counted.

use super::{Orders, Worker};
use crate::{
    answer,
    failure::{Failure, Kind},
    flights::Counts,
    link::Event,
    plan::Protocol,
    tally::Record,
};
use bytes::Bytes;
use std::sync::atomic::Ordering;

impl Worker {
    pub(super) fn ready(&mut self, slot: usize, ending: bool) {
        let mut events = std::mem::take(&mut self.events);
        let result = self.links.ready(slot, ending, &mut events);
        let now = self.shared.now();
        for event in events.drain(..) {
            match event {
                Event::Message { ticket, message } => self.message(ticket, message, now),
                Event::End { ticket, result, received } => self.end(ticket, result, received, now),
            }
        }
        self.events = events;
        if let Err(failure) = result {
            for ticket in self.links.fail(slot, &failure, now) {
                self.end(ticket, Err(failure.clone()), 0, now);
            }
        }
        self.links.settle(slot, now);
    }

    /// One answer on a stream.
    fn message(&mut self, ticket: usize, message: Bytes, now: u64) {
        let plan = self.plan.clone();
        let Some(flight) = self.flights.get_mut(ticket) else { return };
        let workload = &plan.workloads[flight.workload];
        flight.received += message.len() as u64;
        let (over, result) = match answer::streamed(message) {
            Err(failure) => (true, Err(failure)),
            Ok(streamed) => {
                let over = streamed.is_final || !workload.decoupled;
                if streamed.is_empty {
                    (over, Ok(()))
                } else {
                    flight.responses += 1;
                    if flight.responses == 1 {
                        flight.first = now;
                    }
                    if plan.max_records > 0 {
                        flight.moments.push(now - flight.due);
                    }
                    let expected = &workload.payloads[flight.payload].expected;
                    let checked = match expected.is_empty() {
                        true => Ok(()),
                        false => answer::check_response(streamed.response, expected, &workload.tolerance),
                    };
                    (over || checked.is_err(), checked)
                }
            }
        };
        if over {
            let (slot, stream) = (flight.link, flight.stream);
            if workload.decoupled && result.is_err() {
                // Further answers of a request that is over would be taken for the next one's.
                self.links.cancel(slot, stream, now);
            } else {
                self.links.release(slot, stream);
            }
            self.finish(ticket, result, now);
        }
    }

    fn end(&mut self, ticket: usize, result: Result<Bytes, Failure>, received: u64, now: u64) {
        let plan = self.plan.clone();
        let Some(flight) = self.flights.get_mut(ticket) else { return };
        let workload = &plan.workloads[flight.workload];
        let expected = &workload.payloads[flight.payload].expected;
        let result = result.and_then(|message| match (expected.is_empty(), plan.endpoint.protocol) {
            (true, _) => Ok(()),
            (false, Protocol::Http) => answer::check_http(message, expected, &workload.tolerance),
            (false, _) => answer::check_grpc(message, expected, &workload.tolerance),
        });
        flight.received += received;
        if result.is_ok() {
            flight.responses = 1;
        }
        self.finish(ticket, result, now);
    }

    /// Counts a request that is over, and lets the next one come in a closed loop.
    fn finish(&mut self, ticket: usize, result: Result<(), Failure>, now: u64) {
        let Some(flight) = self.flights.remove(ticket) else { return };
        let unanswered = matches!(&result, Err(failure) if failure.kind == Kind::Connection);
        self.links.ended(flight.link, !unanswered);
        if let Some(step) = flight.step {
            self.chooser.ended(flight.workload, step, result.is_err());
        }
        if flight.counts == Counts::Nothing {
            return;
        }
        self.pace.ended(now);
        let record = Record {
            latency: now - flight.due,
            due: flight.due,
            lag: flight.sent - flight.due,
            service: now - flight.sent,
            payload: flight.payload as u32,
            connection: (flight.link * self.plan.threads + self.index) as u32,
            error: result.as_ref().err().map(|failure| failure.kind.clone()),
            trace: flight.trace,
            responses: flight.moments,
        };
        let (slowest, records) = (self.plan.slowest, self.plan.max_records);
        let mut tally = self.tally();
        let counts = &mut tally.workloads[flight.workload];
        counts.received_bytes += flight.received;
        counts.responses += flight.responses;
        counts.completed += u64::from(result.is_ok());
        if flight.counts != Counts::Measured {
            return;
        }
        if flight.first > 0 {
            counts.first_response.record(flight.first - flight.sent);
        }
        match result {
            Ok(()) => counts.answered(&record),
            Err(failure) => counts.failed(&record, failure),
        }
        counts.keep(record, slowest, records);
    }

    /// Gives up what has taken too long, sent or not.
    pub(super) fn expire(&mut self, orders: Orders) {
        let (Some(timeout), now) = (self.plan.timeout, orders.now) else { return };
        while let Some((ticket, _)) = self.flights.oldest().filter(|(_, flight)| flight.due + timeout <= now)
        {
            self.give_up(ticket, now);
        }
        if orders.stopping || !self.pace.is_held() {
            return;
        }
        while let Some(due) = self.pace.due().filter(|due| due.saturating_add(timeout) <= now) {
            let measured = due >= self.shared.measure.load(Ordering::Relaxed);
            if measured && !self.shared.allows_another() {
                return;
            }
            self.pace.advance();
            self.pace.ended(now);
            if measured {
                self.count_unsent(due, now);
            }
        }
    }

    fn count_unsent(&mut self, due: u64, now: u64) {
        let workload = self.chooser.skip();
        let (latency, error) = (now - due, Some(Kind::Timeout));
        let record = Record { latency, due, lag: latency, error, ..Default::default() };
        let failure = Failure::new(Kind::Timeout, "not sent within its time: nothing had room for it");
        let (slowest, records) = (self.plan.slowest, self.plan.max_records);
        let mut tally = self.tally();
        let counts = &mut tally.workloads[workload];
        counts.failed(&record, failure);
        counts.keep(record, slowest, records);
    }

    fn give_up(&mut self, ticket: usize, now: u64) {
        let Some(flight) = self.flights.get(ticket) else { return };
        let (slot, stream) = (flight.link, flight.stream);
        self.links.cancel(slot, stream, now);
        self.finish(ticket, Err(Failure::new(Kind::Timeout, "not answered within its time")), now);
        self.links.settle(slot, now);
    }

    pub(super) fn give_up_all(&mut self, now: u64) {
        self.chooser.abandon();
        while let Some((ticket, _)) = self.flights.oldest() {
            self.give_up(ticket, now);
        }
    }
}
