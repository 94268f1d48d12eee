//! What a caller wants of a model's outputs, and how it gets it.

use super::classification;
use crate::{
    memory::shared_memory::{Regions, Window},
    models::{Port, Version},
};
use bytes::Bytes;
use infermesh_batcher::Tensor;
use infermesh_wire::{
    DataType, Error,
    request::{InferRequest, Parameter, Parameters},
    response::OutputTensor,
};
use smallvec::SmallVec;

/// In the order in which the caller wants them.
pub type Outputs = SmallVec<[Wanted; 2]>;

#[derive(Debug)]
pub struct Wanted {
    /// Among the model's outputs.
    pub index: usize,
    pub form: Form,
}

#[derive(Debug)]
pub enum Form {
    /// As the model computed it.
    Tensor,
    /// The largest values of each row, so many, as text.
    Classes(usize),
    /// As the model computed it, but not in the answer.
    Shared(Window),
}

impl Wanted {
    /// The type of what the caller gets.
    pub fn datatype(&self, port: &Port) -> DataType {
        match self.form {
            Form::Classes(_) => DataType::Bytes,
            Form::Tensor | Form::Shared(_) => port.datatype,
        }
    }
}

/// What a request asks for; every output as it is if it does not say.
///
/// Fails with INVALID_ARGUMENT, or NOT_FOUND for shared memory that is not registered.
pub fn wanted(version: &Version, request: &InferRequest<'_>, regions: &Regions) -> Result<Outputs, Error> {
    if request.outputs.is_empty() {
        return Ok((0..version.outputs.len()).map(|index| Wanted { index, form: Form::Tensor }).collect());
    }
    let mut outputs = Outputs::new();
    for output in &request.outputs {
        let index = version.outputs.iter().position(|port| port.name == output.name).ok_or_else(|| {
            Error::invalid(format!(
                "unexpected inference output '{}' for model '{}'",
                output.name, version.name
            ))
        })?;
        if outputs.iter().any(|earlier| earlier.index == index) {
            return Err(Error::invalid(format!("output '{}' already exists in request", output.name)));
        }
        outputs.push(Wanted { index, form: form(&output.parameters, &version.outputs[index], regions)? });
    }
    Ok(outputs)
}

fn form(parameters: &Parameters<'_>, port: &Port, regions: &Regions) -> Result<Form, Error> {
    let Some(count) = parameters.get("classification") else {
        return Ok(Window::of(parameters, &port.name, regions)?.map_or(Form::Tensor, Form::Shared));
    };
    if Window::is_named_by(parameters) {
        return Err(Error::invalid("output can't set both 'shared_memory_region' and 'classification'"));
    }
    let Parameter::Int64(count) = count else {
        return Err(Error::invalid(
            "invalid value type for 'classification' parameter, expected int64_param",
        ));
    };
    let wrong =
        || Error::invalid(format!("invalid value for 'classification' parameter, expected > 0, got {count}"));
    let count = usize::try_from(count).ok().filter(|&count| count > 0).ok_or_else(wrong)?;
    classification::check(port.datatype)?;
    Ok(Form::Classes(count))
}

/// Brings the model's outputs into the form in which they are wanted, in place; those of `Form::Tensor` already are.
///
/// Fails with INTERNAL if an output does not fit the shared memory it is meant for; then none is written.
pub fn present(version: &Version, outputs: &Outputs, tensors: &mut [Tensor]) -> Result<(), Error> {
    for Wanted { index, form } in outputs {
        if let (Form::Shared(window), Some(tensor)) = (form, tensors.get(*index)) {
            window.check_holds(tensor.data.len(), &version.outputs[*index].name)?;
        }
    }
    for Wanted { index, form } in outputs {
        let Some(tensor) = tensors.get_mut(*index) else { continue };
        match form {
            Form::Tensor => {}
            Form::Classes(count) => {
                *tensor =
                    classification::largest(tensor, &version.outputs[*index], *count, version.is_batched());
            }
            Form::Shared(window) => window.write(&std::mem::replace(&mut tensor.data, Bytes::new()))?,
        }
    }
    Ok(())
}

/// What the answer says of each wanted output, once they have been presented.
pub fn tensors<'a>(
    version: &'a Version,
    outputs: &Outputs,
    tensors: &'a [Tensor],
) -> SmallVec<[OutputTensor<'a>; 4]> {
    let described = outputs.iter().filter_map(|wanted| {
        let (port, tensor) = (version.outputs.get(wanted.index)?, tensors.get(wanted.index)?);
        Some(OutputTensor {
            name: &port.name,
            datatype: wanted.datatype(port),
            shape: &tensor.shape,
            parameters: Parameters::none(),
            data: tensor.data.clone(),
        })
    });
    described.collect()
}
