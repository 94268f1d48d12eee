//! The rows of a batch as the model sees them: what clients sent, then controls, then states.

use super::{Control, Plan, State, slot::turn};
use crate::{Reply, Request, Tensor};
use bytes::Bytes;
use infermesh_wire::{DataType, Shape};
use smallvec::SmallVec;

#[derive(Debug)]
pub struct Rows {
    /// Of the inputs that clients send.
    inputs: Vec<DataType>,
    controls: Vec<Control>,
    states: Vec<State>,
    /// Reusable nothing.
    zeros: Bytes,
}

impl Rows {
    pub fn new(plan: &Plan) -> Self {
        Self {
            inputs: plan.inputs.clone(),
            controls: plan.controls.clone(),
            states: plan.states.clone(),
            zeros: Bytes::new(),
        }
    }

    /// Appends to a request what the model is told about it. `state` is empty before the sequence has one.
    pub fn complete(&self, request: &mut Request, state: &[Tensor]) {
        let Some(turn) = turn(request).cloned() else { return };
        request.inputs.extend(self.controls.iter().map(|control| control.row(Some(&turn))));
        if turn.start || state.is_empty() {
            request.inputs.extend(self.states.iter().map(|state| state.initial.clone()));
        } else {
            request.inputs.extend(state.iter().cloned());
        }
    }

    /// Puts rows that are not ready where there is no request, so that the others keep their positions.
    pub fn fill(&mut self, batch: Vec<Option<Request>>) -> Vec<Request> {
        let Some(like) = batch.iter().flatten().next() else { return Vec::new() };
        if batch.iter().all(Option::is_some) {
            return batch.into_iter().flatten().collect();
        }
        let inputs = like.inputs.iter().enumerate().map(|(index, tensor)| self.nothing(index, tensor));
        let (inputs, rows, enqueued, mailbox): (SmallVec<[Tensor; 2]>, _, _, _) =
            (inputs.collect(), like.rows, like.enqueued, like.mailbox.clone());
        let nobody = || Request::answering(Reply::Nobody, inputs.clone(), rows, enqueued, mailbox.clone());
        batch.into_iter().map(|request| request.unwrap_or_else(nobody)).collect()
    }

    /// An input of a row that is not ready, in the shape of one that is.
    fn nothing(&mut self, index: usize, like: &Tensor) -> Tensor {
        if like.is_absent() {
            return Tensor::absent();
        }
        let clients = self.inputs.len();
        let datatype = match index.checked_sub(clients) {
            None => self.inputs[index],
            Some(hidden) => match self.controls.get(hidden) {
                Some(control) => return control.row(None),
                None => self.states[hidden - self.controls.len()].datatype,
            },
        };
        // An empty string is four bytes of length.
        let size = elements(&like.shape) * datatype.size().unwrap_or(4);
        if self.zeros.len() < size {
            self.zeros = vec![0; size].into();
        }
        Tensor { shape: like.shape.clone(), data: self.zeros.slice(..size) }
    }
}

fn elements(shape: &Shape) -> usize {
    shape.iter().product::<i64>() as usize
}
