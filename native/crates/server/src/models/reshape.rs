//! `reshape` of inputs and outputs: clients see `dims`, the model another shape of as many elements.

use infermesh_batcher::{Backend, RunIn, Tensor, TensorView};
use infermesh_wire::{
    Error, Shape,
    proto::inference::{ModelConfig, ModelTensorReshape},
};
use std::sync::Arc;

/// Puts the shapes that clients see in front of backends, where a model's are others.
///
/// Fails with INVALID_ARGUMENT naming a tensor whose two shapes cannot hold the same elements.
pub fn wrap(config: &ModelConfig, backends: Vec<Box<dyn Backend>>) -> Result<Vec<Box<dyn Backend>>, Error> {
    let batched = config.max_batch_size > 0;
    let inputs = config.input.iter().map(|it| {
        let to = it.reshape.as_ref().map(|it| &it.shape);
        to.map(|to| Reshape::new("input", &it.name, &it.dims, to, batched)).transpose()
    });
    let outputs = config.output.iter().map(|it| {
        let from = it.reshape.as_ref().map(|ModelTensorReshape { shape }| shape);
        from.map(|from| Reshape::new("output", &it.name, from, &it.dims, batched)).transpose()
    });
    let inputs: Arc<[_]> = inputs.collect::<Result<Vec<_>, _>>()?.into();
    let outputs: Arc<[_]> = outputs.collect::<Result<Vec<_>, _>>()?.into();
    if inputs.iter().chain(outputs.iter()).all(Option::is_none) {
        return Ok(backends);
    }
    let wrapped = backends.into_iter().map(|backend| {
        Box::new(Reshaped { backend, inputs: inputs.clone(), outputs: outputs.clone() }) as Box<dyn Backend>
    });
    Ok(wrapped.collect())
}

struct Reshaped {
    backend: Box<dyn Backend>,
    /// By position in the model's signature; what comes after it is not reshaped.
    inputs: Arc<[Option<Reshape>]>,
    outputs: Arc<[Option<Reshape>]>,
}

impl Reshaped {
    fn inside<'a>(&self, inputs: &[TensorView<'a>]) -> Result<Vec<TensorView<'a>>, Error> {
        let views = inputs.iter().enumerate().map(|(index, view)| match self.inputs.get(index) {
            Some(Some(reshape)) if !view.is_absent() => {
                Ok(TensorView { shape: reshape.apply(&view.shape)?, data: view.data })
            }
            _ => Ok(view.clone()),
        });
        views.collect()
    }
}

fn outside(outputs: &[Option<Reshape>], mut tensors: Vec<Tensor>) -> Result<Vec<Tensor>, Error> {
    for (tensor, reshape) in tensors.iter_mut().zip(outputs) {
        if let Some(reshape) = reshape {
            tensor.shape = reshape.apply(&tensor.shape)?;
        }
    }
    Ok(tensors)
}

impl Backend for Reshaped {
    fn run(&mut self, inputs: &[TensorView<'_>]) -> Result<Vec<Tensor>, Error> {
        let inputs = self.inside(inputs)?;
        outside(&self.outputs, self.backend.run(&inputs)?)
    }

    fn stream(
        &mut self,
        inputs: &[TensorView<'_>],
        send: &mut dyn FnMut(Vec<Tensor>) -> bool,
    ) -> Result<(), Error> {
        let inputs = self.inside(inputs)?;
        let mut failure = None;
        self.backend.stream(&inputs, &mut |tensors| match outside(&self.outputs, tensors) {
            Ok(tensors) => send(tensors),
            Err(error) => {
                failure = Some(error);
                false
            }
        })?;
        failure.map_or(Ok(()), Err)
    }

    fn may_run_inline(&self) -> bool {
        self.backend.may_run_inline()
    }

    fn run_in(&self) -> RunIn {
        self.backend.run_in()
    }
}

/// From one shape to another, both without the batch dimension, which stays in front. Dimensions that vary (-1) keep
/// their order.
struct Reshape {
    what: String,
    from: Vec<i64>,
    to: Vec<i64>,
    batched: bool,
}

impl Reshape {
    fn new(kind: &str, name: &str, from: &[i64], to: &[i64], batched: bool) -> Result<Self, Error> {
        let varying = |shape: &[i64]| shape.iter().filter(|dim| **dim == -1).count();
        let fixed = |shape: &[i64]| {
            shape
                .iter()
                .filter(|dim| **dim != -1)
                .try_fold(1i64, |product, &dim| if dim > 0 { product.checked_mul(dim) } else { None })
        };
        if varying(from) != varying(to) || fixed(from) != fixed(to) || fixed(from).is_none() {
            return Err(Error::invalid(format!(
                "{kind} '{name}' is configured with reshape from {from:?} to {to:?}, expected as many elements in both, \
                 and as many dimensions of any size"
            )));
        }
        let what = format!("{kind} '{name}'");
        Ok(Self { what, from: from.to_vec(), to: to.to_vec(), batched })
    }

    fn apply(&self, shape: &[i64]) -> Result<Shape, Error> {
        let lead = usize::from(self.batched).min(shape.len());
        let (batch, rest) = shape.split_at(lead);
        let fits = rest.len() == self.from.len()
            && rest.iter().zip(&self.from).all(|(found, wanted)| wanted == found || *wanted == -1);
        if !fits {
            return Err(Error::internal(format!(
                "{} has shape {shape:?}, expected {:?}",
                self.what, self.from
            )));
        }
        let mut sizes = rest.iter().zip(&self.from).filter(|(_, from)| **from == -1).map(|(size, _)| *size);
        let reshaped = self.to.iter().map(|&dim| if dim == -1 { sizes.next().unwrap_or(1) } else { dim });
        Ok(batch.iter().copied().chain(reshaped).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(from: &[i64], to: &[i64], batched: bool, shape: &[i64]) -> Result<Vec<i64>, Error> {
        Ok(Reshape::new("input", "x", from, to, batched)?.apply(shape)?.to_vec())
    }

    #[test]
    fn elements_stay_and_dimensions_change() {
        assert_eq!(applied(&[4], &[2, 2], true, &[3, 4]).unwrap(), [3, 2, 2]);
        assert_eq!(applied(&[1], &[], true, &[3, 1]).unwrap(), [3]);
        assert_eq!(applied(&[-1, 4], &[-1, 2, 2], false, &[7, 4]).unwrap(), [7, 2, 2]);
        assert_eq!(applied(&[-1, 2, -1], &[2, -1, -1], true, &[1, 5, 2, 6]).unwrap(), [1, 2, 5, 6]);
    }

    #[test]
    fn shapes_that_differ_in_size_are_refused() {
        for (from, to) in
            [(&[4i64][..], &[3i64][..]), (&[-1], &[4]), (&[0], &[0]), (&[i64::MAX, 4], &[4, i64::MAX])]
        {
            assert!(Reshape::new("input", "x", from, to, true).is_err());
        }
        assert!(applied(&[4], &[2, 2], true, &[3, 5]).is_err());
        assert!(applied(&[4], &[2, 2], true, &[]).is_err());
    }
}
