//! What a thread sends: whatever is due and finds room.

use super::Worker;
use crate::{
    choice::Chosen,
    flights::{Counts, Flight},
    message::{Request, Trace},
};
use rand::{Rng, RngExt};
use std::sync::atomic::Ordering;

impl Worker {
    /// Sends what is due, as far as there is room.
    pub(super) fn issue(&mut self, now: u64) {
        let plan = self.plan.clone();
        let measured_from = self.shared.measure.load(Ordering::Relaxed);
        while let Some(due) = self.pace.due().filter(|due| *due <= now) {
            let measured = due >= measured_from;
            if measured && self.shared.exhausted() {
                return;
            }
            if self.flights.len() >= self.most {
                return self.pace.hold();
            }
            let Some(chosen) = self.chooser.next(&plan) else { return self.pace.hold() };
            let Some(slot) = self.links.room(plan.workloads[chosen.workload].route) else {
                self.chooser.put_back(chosen);
                self.links.grow(self.pace.waiting(now), now);
                return self.pace.hold();
            };
            if measured && !self.shared.allows_another() {
                self.links.put_back(slot);
                return self.chooser.put_back(chosen);
            }
            let late = self.pace.sent(due, now).filter(|_| measured);
            let workload = chosen.workload;
            let bytes = plan.workloads[workload].payloads[chosen.payload].body.len() as u64;
            self.send(chosen, slot, due, now, if measured { Counts::Measured } else { Counts::WarmUp });
            self.pace.advance();
            let mut tally = self.tally();
            if let Some(late) = late {
                tally.lateness.record(late);
            }
            let counts = &mut tally.workloads[workload];
            counts.sent += 1;
            counts.sent_bytes += bytes;
            if measured {
                counts.lag.record(now - due);
            }
        }
    }

    /// One more request for each sequence that the end of the run leaves open: the server would keep its place for it.
    pub(super) fn end_sequences(&mut self, now: u64) {
        let plan = self.plan.clone();
        while let Some(chosen) = self.chooser.last_step(&plan) {
            match self.links.room(plan.workloads[chosen.workload].route) {
                Some(slot) => self.send(chosen, slot, now, now, Counts::Nothing),
                None => return self.chooser.put_back(chosen),
            }
        }
    }

    fn send(&mut self, chosen: Chosen, slot: usize, due: u64, now: u64, counts: Counts) {
        let plan = self.plan.clone();
        let workload = &plan.workloads[chosen.workload];
        let payload = &workload.payloads[chosen.payload];
        let traced = plan.trace_share > 0.0 && self.random.random_bool(plan.trace_share);
        let trace = traced.then(|| {
            let (mut id, mut span) = ([0; 16], [0; 8]);
            self.random.fill_bytes(&mut id);
            self.random.fill_bytes(&mut span);
            Trace { id, span }
        });
        let request = Request {
            workload,
            payload,
            step: chosen.step.as_ref(),
            trace,
            collect: !payload.expected.is_empty(),
        };
        let stream = self.links.send(slot, self.flights.next_ticket(), &request);
        self.flights.add(Flight {
            due,
            sent: now,
            workload: chosen.workload,
            payload: chosen.payload,
            link: slot,
            stream,
            trace: trace.map(|trace| trace.id),
            step: chosen.step,
            counts,
            received: 0,
            responses: 0,
            first: 0,
            moments: Vec::new(),
        });
    }
}
