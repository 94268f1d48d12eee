//! Any traffic: what holds whatever the clients do.

use super::bench::{Bench, IDLE, direct, id, is_ready, number_and_state, oldest};
use crate::{Request, queue::Next};
use proptest::prelude::*;
use std::collections::HashMap;

#[derive(Debug, Clone)]
enum Step {
    /// A request; `surely` starts the sequence where it is not known.
    Send {
        id: u64,
        start: bool,
        end: bool,
        surely: bool,
    },
    Take(usize),
    Finish(usize),
    Silence,
}

fn step() -> impl Strategy<Value = Step> {
    let flags = (prop::bool::weighted(0.1), prop::bool::weighted(0.2), prop::bool::weighted(0.9));
    prop_oneof![
        6 => (1u64..7, flags).prop_map(|(id, (start, end, surely))| Step::Send { id, start, end, surely }),
        3 => (0usize..2).prop_map(Step::Take),
        3 => (0usize..2).prop_map(Step::Finish),
        1 => Just(Step::Silence),
    ]
}

/// What is known of a request that was accepted.
struct Sent {
    id: u64,
    /// The life of the sequence that it belongs to.
    life: (u64, u32),
    start: bool,
    /// Requests since the last start.
    state: i64,
}

#[derive(Default)]
struct Watch {
    sent: HashMap<usize, Sent>,
    /// By id: lives so far, and requests since the last start of the one that goes on.
    lives: HashMap<u64, (u32, Option<i64>)>,
    /// By life: the last that ran, and where.
    ran: HashMap<(u64, u32), (usize, usize, usize)>,
    fixed_rows: bool,
}

impl Watch {
    fn check(&mut self, instance: usize, batch: &[Request]) -> Result<(), TestCaseError> {
        let mut lives = Vec::new();
        for (row, request) in batch.iter().enumerate() {
            if !is_ready(request) {
                prop_assert_eq!(number_and_state(request), (0, 0));
                prop_assert!(self.fixed_rows);
                continue;
            }
            let (number, state) = number_and_state(request);
            let sent = self.sent.remove(&number).expect("each request runs once");
            prop_assert_eq!((id(request), state), (sent.id, sent.state));
            prop_assert!(!lives.contains(&sent.life), "two requests of a sequence share a batch");
            lives.push(sent.life);
            if let Some((before, at, slot)) = self.ran.insert(sent.life, (number, instance, row)) {
                prop_assert!(before < number, "a request was overtaken");
                prop_assert!(sent.start || at == instance, "a sequence moved");
                prop_assert!(sent.start || !self.fixed_rows || slot == row, "a sequence changed its row");
            }
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn no_sequence_is_mixed_up_overtaken_or_lost(
        steps in prop::collection::vec(step(), 1..200),
        fixed_rows: bool,
        slots in 1usize..4,
    ) {
        let mut bench = Bench::new(if fixed_rows { direct(slots) } else { oldest(slots) }, 2);
        let mut watch = Watch { fixed_rows, ..Watch::default() };
        let (mut busy, mut was_silent) = ([false; 2], false);
        for step in steps {
            match step {
                Step::Send { id, start, end, surely } => {
                    let life = watch.lives.entry(id).or_default();
                    let start = start || (surely && life.1.is_none());
                    let number = bench.callers.len();
                    let flags = format!("{}{}", if start { "start" } else { "" }, if end { "end" } else { "" });
                    match bench.push(id, &flags) {
                        Ok(_) => {
                            prop_assert!(start || life.1.is_some(), "it was not started");
                            if life.1.is_none() {
                                life.0 += 1;
                            }
                            let state = if start { 0 } else { life.1.unwrap_or(0) };
                            life.1 = (!end).then_some(state + 1);
                            watch.sent.insert(number, Sent { id, life: (id, life.0), start, state });
                        }
                        Err(_) => {
                            prop_assert!(!start && (life.1.is_none() || was_silent));
                            life.1 = None;
                        }
                    }
                }
                Step::Take(instance) if !busy[instance] => {
                    if let Next::Run(batch) = bench.next(instance) {
                        watch.check(instance, &batch)?;
                        busy[instance] = true;
                    }
                }
                Step::Finish(instance) if busy[instance] => {
                    bench.finish(instance);
                    busy[instance] = false;
                }
                Step::Silence => {
                    bench.now += IDLE;
                    was_silent = true;
                }
                Step::Take(_) | Step::Finish(_) => {}
            }
        }
        bench.sequencer.wind_down();
        for instance in (0..2).cycle().take(2 * bench.callers.len() + 4) {
            if std::mem::take(&mut busy[instance]) {
                bench.finish(instance);
            }
            if let Next::Run(batch) = bench.next(instance) {
                watch.check(instance, &batch)?;
                bench.finish(instance);
            }
        }
        prop_assert!(watch.sent.is_empty(), "{} accepted requests never ran", watch.sent.len());
        prop_assert_eq!(bench.sequencer.pending(), 0);
        prop_assert!(bench.sequencer.is_done(0) && bench.sequencer.is_done(1));
    }
}
