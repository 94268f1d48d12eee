//! What every instance of a model runs before the model is ready: each batch size that it will meet, and what
//! `model_warmup` asks for.

mod configured;
mod fill;

use crate::models::Port;
use fill::{Fill, tensor};
use infermesh_batcher::{Buckets, Rehearsal, Tensor, buckets::powers_of_two, ragged::Plan};
use infermesh_wire::{
    Error,
    proto::inference::{ModelConfig, model_config::SchedulingChoice},
};
use std::path::Path;

/// One run pays for what happens once, the other tells how long a batch takes.
const RUNS: u32 = 2;

/// `directory` is the model's, where the files of `model_warmup` are.
///
/// Fails with INVALID_ARGUMENT naming what in `model_warmup` does not fit the model.
pub fn rehearsals(
    config: &ModelConfig,
    inputs: &[Port],
    buckets: &Buckets,
    ragged: Option<&Plan>,
    directory: &Path,
) -> Result<Vec<Rehearsal>, Error> {
    // Those that are made for a batch come last.
    let made = config.batch_input.iter().map(|it| it.target_name.len()).sum::<usize>();
    let inputs = &inputs[..inputs.len() - made];
    let mut rehearsals = own(inputs, &sizes(config, buckets));
    for (index, warm_up) in config.model_warmup.iter().enumerate() {
        rehearsals.push(configured::rehearsal(index, warm_up, config, inputs, directory)?);
    }
    if let Some(ragged) = ragged {
        rehearsals.iter_mut().for_each(|rehearsal| ragged.complete(&mut rehearsal.inputs));
    }
    Ok(rehearsals)
}

/// Batch sizes in ascending order; 1 for a model that does not batch.
fn sizes(config: &ModelConfig, buckets: &Buckets) -> Vec<usize> {
    let largest = config.max_batch_size.max(1) as usize;
    let preferred = match &config.scheduling_choice {
        Some(SchedulingChoice::DynamicBatching(dynamic)) => &dynamic.preferred_batch_size[..],
        _ => &[],
    };
    match (buckets.sizes(), preferred) {
        ([], []) => powers_of_two(largest),
        ([], preferred) => {
            let preferred = preferred.iter().map(|&size| size as usize);
            Buckets::new([1, largest].into_iter().chain(preferred).collect()).sizes().to_vec()
        }
        (allowed, _) => allowed.to_vec(),
    }
}

/// Zeros in each of these sizes, without what may be left out: the model knows best what stands for that. None for a
/// model whose other dimensions vary: a size that fits all of them is not known.
fn own(inputs: &[Port], sizes: &[usize]) -> Vec<Rehearsal> {
    let Some(&largest) = sizes.last() else { return Vec::new() };
    let all_optional = inputs.iter().all(|port| port.optional);
    let whole: Option<Vec<_>> = inputs
        .iter()
        .map(|port| {
            if port.optional && !all_optional {
                return Some(Tensor::absent());
            }
            let mut shape = port.shape.clone();
            shape.first_mut().filter(|dim| **dim == -1).into_iter().for_each(|dim| *dim = largest as i64);
            shape.iter().all(|dim| *dim >= 0).then(|| tensor(port.datatype, shape, Fill::Zeros))
        })
        .collect();
    let Some(whole) = whole else { return Vec::new() };
    let rehearsal = |&rows: &usize| {
        let inputs = whole.iter().zip(inputs).map(|(whole, port)| match port.shape.first() {
            Some(-1) if !whole.is_absent() => fill::first_rows(whole, rows),
            _ => whole.clone(),
        });
        Rehearsal {
            name: format!("zeros in a batch of {rows}"),
            inputs: inputs.collect(),
            rows,
            count: RUNS,
            required: false,
            decoupled: false,
        }
    };
    sizes.iter().map(rehearsal).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use infermesh_wire::{DataType, proto::inference::ModelDynamicBatching};

    fn port(datatype: DataType, shape: &[i64]) -> Port {
        Port {
            name: "x".into(),
            datatype,
            shape: shape.iter().copied().collect(),
            optional: false,
            classes: Vec::new(),
        }
    }

    fn config(max_batch_size: i32, preferred: &[i32]) -> ModelConfig {
        let dynamic = ModelDynamicBatching { preferred_batch_size: preferred.to_vec(), ..Default::default() };
        ModelConfig {
            max_batch_size,
            scheduling_choice: Some(SchedulingChoice::DynamicBatching(dynamic)),
            ..Default::default()
        }
    }

    #[test]
    fn sizes_are_the_allowed_ones_else_the_preferred_else_powers_of_two() {
        let none = Buckets::default();
        assert_eq!(sizes(&config(0, &[]), &none), [1]);
        assert_eq!(sizes(&config(6, &[]), &none), [1, 2, 4, 6]);
        assert_eq!(sizes(&config(8, &[4, 2]), &none), [1, 2, 4, 8]);
        assert_eq!(sizes(&config(8, &[4]), &Buckets::new(vec![3, 8])), [3, 8]);
    }

    #[test]
    fn zeros_have_the_shape_of_each_size() {
        let inputs = [port(DataType::Fp32, &[-1, 2]), port(DataType::Bytes, &[-1, 1])];
        let rehearsals = own(&inputs, &[1, 4]);
        let shapes: Vec<_> = rehearsals.iter().map(|it| (it.rows, it.inputs[0].shape.to_vec())).collect();
        assert_eq!(shapes, [(1, vec![1, 2]), (4, vec![4, 2])]);
        assert_eq!(rehearsals[1].inputs[0].data, [0u8; 32][..]);
        // Four empty strings.
        assert_eq!(rehearsals[1].inputs[1].data, [0u8; 16][..]);
        assert!(rehearsals.iter().all(|rehearsal| !rehearsal.required));
    }

    #[test]
    fn what_may_be_left_out_is() {
        let optional = |shape: &[i64]| Port { optional: true, ..port(DataType::Fp32, shape) };
        let rehearsals = own(&[port(DataType::Fp32, &[-1, 2]), optional(&[-1, -1])], &[1, 4]);
        assert_eq!(rehearsals.len(), 2);
        assert!(rehearsals.iter().all(|it| !it.inputs[0].is_absent() && it.inputs[1].is_absent()));
        assert!(!own(&[optional(&[-1, 2])], &[1])[0].inputs[0].is_absent());
    }

    #[test]
    fn a_model_whose_sizes_are_unknown_is_left_alone() {
        assert!(own(&[port(DataType::Fp32, &[-1, -1])], &[1]).is_empty());
        let fixed = own(&[port(DataType::Int64, &[3])], &[1]);
        assert_eq!(fixed[0].inputs[0].shape[..], [3]);
    }
}
