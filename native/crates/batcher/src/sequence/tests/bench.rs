//! A sequencer with a clock of its own and a model that counts: its state is how often it was called.

use crate::{
    Expiry, Mailbox, Request, Tensor,
    queue::Next,
    sequence::{Concerns, Plan, SequenceId, Sequencer, Strategy, Turn},
};
use bytes::Bytes;
use infermesh_wire::{Error, proto::inference as pb};
use pb::model_sequence_batching::{Control, ControlInput, State, control::Kind};
use smallvec::smallvec;
use std::{
    path::Path,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

pub const IDLE: Duration = Duration::from_secs(1);

/// Where the hidden inputs of a row are.
const READY: usize = 1;
const CORRID: usize = 2;
const STATE: usize = 3;

pub struct Bench {
    pub sequencer: Sequencer,
    pub now: Instant,
    /// Of each request that was pushed; dropped, it is given up.
    pub callers: Vec<Option<oneshot::Receiver<crate::Outcome>>>,
    read: Vec<Vec<Option<i64>>>,
}

pub fn direct(slots: usize) -> Plan {
    let strategy = Strategy::Direct { max_queue_delay: Duration::ZERO, minimum_slot_utilization: 0.0 };
    Plan { slots, strategy, ..plan() }
}

pub fn oldest(slots: usize) -> Plan {
    let strategy = Strategy::Oldest {
        max_batch_size: 4,
        preferred_batch_sizes: Vec::new(),
        max_queue_delay: Duration::ZERO,
        preserve_ordering: false,
    };
    Plan { slots, strategy, ..plan() }
}

fn plan() -> Plan {
    let control = |name: &str, control| ControlInput { name: name.into(), control: vec![control] };
    let ready = Control {
        kind: Kind::ControlSequenceReady as i32,
        int32_false_true: vec![0, 1],
        ..Default::default()
    };
    let corrid = Control {
        kind: Kind::ControlSequenceCorrid as i32,
        data_type: pb::DataType::TypeUint64 as i32,
        ..Default::default()
    };
    let state = State {
        input_name: "was".into(),
        output_name: "is".into(),
        data_type: pb::DataType::TypeInt64 as i32,
        dims: vec![1],
        ..Default::default()
    };
    let sequences = pb::ModelSequenceBatching {
        control_input: vec![control("READY", ready), control("CORRID", corrid)],
        state: vec![state],
        ..Default::default()
    };
    let input = |name: &str| pb::ModelInput {
        name: name.into(),
        data_type: pb::DataType::TypeInt64 as i32,
        dims: vec![-1],
        ..Default::default()
    };
    let config = pb::ModelConfig {
        name: "m".into(),
        max_batch_size: 4,
        input: vec![input("x")],
        scheduling_choice: Some(pb::model_config::SchedulingChoice::SequenceBatching(sequences)),
        ..Default::default()
    };
    Plan::from_config(&config, Path::new("/")).unwrap().unwrap()
}

impl Bench {
    pub fn new(plan: Plan, instances: usize) -> Self {
        let sequencer = Sequencer::new(plan, instances);
        Self { sequencer, now: Instant::now(), callers: Vec::new(), read: vec![Vec::new(); instances] }
    }

    /// One row; `flags` holds "start" and "end".
    pub fn push(&mut self, id: u64, flags: &str) -> Result<Concerns, Error> {
        self.push_wide(id, flags, 1)
    }

    pub fn push_wide(&mut self, id: u64, flags: &str, width: usize) -> Result<Concerns, Error> {
        let request = self.request(id, flags, width);
        self.sequencer.push(request, self.now)
    }

    /// One that may expire; returns what it expires by.
    pub fn expiring(&mut self, id: u64, flags: &str) -> Expiry {
        let expiry = Expiry::new(self.now + IDLE);
        let request = Request { expiry: Some(expiry.clone()), ..self.request(id, flags, 1) };
        self.sequencer.push(request, self.now).unwrap();
        expiry
    }

    /// The input is the number of the push.
    fn request(&mut self, id: u64, flags: &str, width: usize) -> Request {
        let number = self.callers.len() as i64;
        let data: Bytes = vec![number; width].into_iter().flat_map(i64::to_le_bytes).collect();
        let inputs = smallvec![Tensor { shape: smallvec![1, width as i64], data }];
        let (mut request, caller) = Request::new(inputs, 1, self.now, Mailbox::for_this_thread());
        let [start, end] = ["start", "end"].map(|flag| flags.contains(flag));
        request.turn = Some(Box::new(Turn { id: SequenceId::Number(id), start, end }));
        self.callers.push(Some(caller));
        request
    }

    /// The caller of this push gives up.
    pub fn give_up(&mut self, push: usize) {
        self.callers[push] = None;
    }

    pub fn next(&mut self, instance: usize) -> Next {
        let next = self.sequencer.next(instance, self.now);
        if let Next::Run(batch) = &next {
            self.read[instance] =
                batch.iter().map(|row| is_ready(row).then(|| int(&row.inputs[STATE]))).collect();
        }
        next
    }

    /// The batch of the instance is done: each state is one more.
    pub fn finish(&mut self, instance: usize) {
        let written = self.read[instance].iter().map(|state| {
            let data = Bytes::copy_from_slice(&(state.unwrap_or(-7) + 1).to_le_bytes());
            vec![Tensor { shape: smallvec![1, 1], data }]
        });
        let written = written.collect();
        self.sequencer.finished(instance, written, self.now);
    }

    /// Runs what is next, and returns whose rows it were; nothing if nothing is due.
    pub fn run(&mut self, instance: usize) -> Vec<Option<u64>> {
        let Next::Run(batch) = self.next(instance) else { return Vec::new() };
        self.finish(instance);
        batch.iter().map(|row| is_ready(row).then(|| id(row))).collect()
    }

    /// The states that the last batch read.
    pub fn states(&self, instance: usize) -> Vec<Option<i64>> {
        self.read[instance].clone()
    }
}

pub fn is_ready(row: &Request) -> bool {
    row.inputs[READY].data[..] == 1i32.to_le_bytes()
}

pub fn id(row: &Request) -> u64 {
    int(&row.inputs[CORRID]) as u64
}

/// The number of the push, and the state that the row reads.
pub fn number_and_state(row: &Request) -> (usize, i64) {
    (int(&row.inputs[0]) as usize, int(&row.inputs[STATE]))
}

fn int(tensor: &Tensor) -> i64 {
    i64::from_le_bytes(tensor.data[..8].try_into().unwrap())
}
