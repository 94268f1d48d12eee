//! Implicit state: tensors that a model writes in one request of a sequence and reads in the next.

use crate::Tensor;
use bytes::Bytes;
use infermesh_wire::{
    DataType, Error, Shape,
    datatype::elements,
    proto::inference::model_sequence_batching::{self, InitialState, initial_state::StateData},
};
use std::{fs, path::Path};

/// The folder inside a model's directory that holds initial states.
const FOLDER: &str = "initial_state";

/// As much as a message can carry.
const MAX_BYTES: usize = i32::MAX as usize;

#[derive(Debug, Clone)]
pub struct State {
    pub datatype: DataType,
    /// Where the output is in the model's signature.
    pub position: usize,
    /// What the first request of a sequence reads.
    pub initial: Tensor,
}

impl State {
    /// Fails with INVALID_ARGUMENT naming the state and what is wrong with it.
    pub fn from_config(
        state: &model_sequence_batching::State,
        position: usize,
        batched: bool,
        directory: &Path,
    ) -> Result<Self, Error> {
        let name = &state.input_name;
        let datatype = DataType::from_config(state.data_type)
            .ok_or_else(|| Error::invalid(format!("state '{name}' has no data_type")))?;
        let initial = match &state.initial_state[..] {
            // A size that is open is not known before the model has written it.
            [] => zeros(datatype, &state.dims, batched, name)?,
            [initial] => given(initial, state, datatype, batched, directory)?,
            several => {
                return Err(Error::invalid(format!(
                    "initial_state field for state input '{name}' must contain exactly one or zero element. Found '{}' elements.",
                    several.len()
                )));
            }
        };
        Ok(Self { datatype, position, initial })
    }
}

fn given(
    initial: &InitialState,
    state: &model_sequence_batching::State,
    datatype: DataType,
    batched: bool,
    directory: &Path,
) -> Result<Tensor, Error> {
    let name = &state.input_name;
    if initial.data_type != state.data_type {
        return Err(Error::invalid(format!(
            "The data type used for 'initial_state' field of state '{name}' does not match the state data type."
        )));
    }
    let fits = initial.dims.len() == state.dims.len()
        && initial.dims.iter().zip(&state.dims).all(|(&found, &wanted)| found == wanted || wanted == -1);
    if !fits || initial.dims.iter().any(|&dim| dim < 0) {
        return Err(Error::invalid(format!(
            "'initial_state' of state '{name}' has dims {:?}, expected fixed sizes that fit {:?}",
            initial.dims, state.dims
        )));
    }
    let mut tensor = zeros(datatype, &initial.dims, batched, name)?;
    match &initial.state_data {
        None => {
            return Err(Error::invalid(format!(
                "initial_state setting expects state '{name}' to have state_data set"
            )));
        }
        Some(StateData::ZeroData(_)) => {}
        Some(StateData::DataFile(file)) => tensor.data = read(directory, file, datatype, &tensor)?,
    }
    Ok(tensor)
}

/// The file's elements, row-major, which must be those of the state and no more.
fn read(directory: &Path, file: &str, datatype: DataType, state: &Tensor) -> Result<Bytes, Error> {
    let path = directory.join(FOLDER).join(file);
    if Path::new(file).file_name() != Some(file.as_ref()) {
        return Err(Error::invalid(format!(
            "initial_state.data_file is '{file}', expected the name of a file"
        )));
    }
    let data = fs::read(&path).map_err(|error| Error::invalid(format!("{}: {error}", path.display())))?;
    let fits = match datatype.size() {
        Some(_) => data.len() == state.data.len(),
        None => {
            let data = Bytes::copy_from_slice(&data);
            let (mut count, mut whole) = (0, true);
            elements(&data).for_each(|element| {
                count += 1;
                whole &= element.is_some();
            });
            whole && count == state.data.len() / 4
        }
    };
    if !fits {
        return Err(Error::invalid(format!(
            "{} has {} bytes, expected the elements of {:?} {}",
            path.display(),
            data.len(),
            &state.shape[..],
            datatype.name()
        )));
    }
    Ok(data.into())
}

fn zeros(datatype: DataType, dims: &[i64], batched: bool, name: &str) -> Result<Tensor, Error> {
    let shape = batched.then_some(1).into_iter().chain(dims.iter().map(|&dim| if dim < 0 { 1 } else { dim }));
    let shape: Shape = shape.collect();
    // An empty string is four bytes of length.
    let size = shape
        .iter()
        .try_fold(datatype.size().unwrap_or(4), |size, &dim| size.checked_mul(usize::try_from(dim).ok()?));
    let size = size.filter(|&size| size <= MAX_BYTES);
    let size = size.ok_or_else(|| Error::invalid(format!("state '{name}' is too large")))?;
    Ok(Tensor { shape, data: vec![0; size].into() })
}
