//! Runs, and all that they tell taken together.

use infermesh_loadgen::{
    Generator, Histogram, Plan,
    proto::{LoadPlan, LoadSlice, RequestRecord, WorkloadSlice},
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// What anything may take before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(10);
const BEAT: Duration = Duration::from_millis(5);

pub struct Run {
    pub generator: Generator,
    slices: Vec<LoadSlice>,
}

/// Connected, and not begun.
pub fn connect(plan: LoadPlan) -> Result<Run, String> {
    let mut generator = Generator::new(Plan::check(plan).unwrap());
    generator.connect(PATIENCE).map_err(|problem| problem.to_string())?;
    Ok(Run { generator, slices: Vec::new() })
}

/// Begun, and measured from the beginning.
pub fn start(plan: LoadPlan) -> Run {
    let mut run = connect(plan).unwrap();
    run.generator.measure(Duration::ZERO);
    run.generator.start(Duration::ZERO);
    run
}

/// From the first request to the plan's last.
pub fn complete(plan: LoadPlan) -> Run {
    let mut run = start(plan);
    assert!(run.generator.wait(PATIENCE), "not all requests were answered");
    run.stop(PATIENCE);
    run
}

impl Run {
    pub fn take(&mut self) -> &LoadSlice {
        let slice = self.generator.take();
        self.slices.push(slice);
        self.last()
    }

    pub fn stop(&mut self, drain: Duration) {
        let before = Instant::now();
        self.generator.stop(drain);
        assert!(before.elapsed() < drain + Duration::from_secs(2), "stopping took {:?}", before.elapsed());
        self.take();
        assert!(self.last().finished && self.last().outstanding == 0, "{:?}", self.last());
    }

    /// Takes slices until what they tell is so.
    pub fn until(&mut self, what: &str, good: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !good(self) {
            assert!(Instant::now() < deadline, "{what}: {:?}", self.errors());
            self.generator.wait(BEAT);
            self.take();
        }
    }

    pub fn last(&self) -> &LoadSlice {
        self.slices.last().unwrap()
    }

    /// At the end of the last slice.
    pub fn unsent(&self) -> u64 {
        self.slices.last().map_or(0, |slice| slice.unsent)
    }

    pub fn sum(&self, part: impl Fn(&LoadSlice) -> u64) -> u64 {
        self.slices.iter().map(part).sum()
    }

    /// Over the workloads, too.
    pub fn total(&self, part: impl Fn(&WorkloadSlice) -> u64) -> u64 {
        self.sum(|slice| slice.workloads.iter().map(&part).sum())
    }

    pub fn completed(&self) -> u64 {
        self.total(|workload| workload.completed)
    }

    pub fn sent(&self) -> u64 {
        self.total(|workload| workload.sent)
    }

    pub fn lost(&self) -> u64 {
        self.sum(|slice| u64::from(slice.connections_lost))
    }

    pub fn histogram(&self, part: impl Fn(&WorkloadSlice) -> &[u8]) -> Histogram {
        let mut whole = Histogram::default();
        for workload in self.slices.iter().flat_map(|slice| &slice.workloads) {
            whole.merge(&Histogram::decode(part(workload)).unwrap());
        }
        whole
    }

    pub fn latency(&self) -> Histogram {
        self.histogram(|workload| &workload.latency)
    }

    /// The generator's own.
    pub fn lateness(&self) -> Histogram {
        let mut whole = Histogram::default();
        for slice in &self.slices {
            whole.merge(&Histogram::decode(&slice.lateness).unwrap());
        }
        whole
    }

    pub fn records(&self) -> impl Iterator<Item = &RequestRecord> {
        self.slices.iter().flat_map(|slice| &slice.workloads).flat_map(|workload| &workload.records)
    }

    /// How many of each kind, and what the last of them said.
    pub fn errors(&self) -> BTreeMap<String, (u64, String)> {
        let mut found = BTreeMap::<String, (u64, String)>::new();
        let workloads = self.slices.iter().flat_map(|slice| &slice.workloads);
        for error in workloads.flat_map(|workload| &workload.errors) {
            let entry = found.entry(error.kind.clone()).or_default();
            *entry = (entry.0 + error.count, error.message.clone());
        }
        found
    }

    pub fn error(&self, kind: &str) -> u64 {
        self.errors().get(kind).map_or(0, |(count, _)| *count)
    }
}
