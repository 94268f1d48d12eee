//! A request that is nothing but one tensor's bytes: the model says the rest.

use crate::{
    inference::validate::{self, Valid},
    memory::shared_memory::Regions,
    models::{Port, Version},
};
use bytes::{BufMut, Bytes, BytesMut};
use infermesh_wire::{
    Error, Shape,
    request::{InferRequest, InputTensor},
};

/// For a model with one input, of which no more than one dimension besides the batch is open. BYTES are one element,
/// without a length in front.
pub fn validate(version: &Version, body: Bytes, regions: &Regions) -> Result<Valid, Error> {
    let [port] = &version.inputs[..] else {
        return Err(Error::invalid(format!(
            "a raw request is for a model with 1 input, but model '{}' has {}",
            version.name,
            version.inputs.len()
        )));
    };
    let (shape, data) = match port.datatype.size() {
        Some(size) => (shape(port, version.is_batched(), body.len() / size, &version.name)?, body),
        None => (shape(port, version.is_batched(), 1, &version.name)?, prefixed(&body)?),
    };
    let input = InputTensor { name: &port.name, datatype: port.datatype.name(), shape, ..Default::default() };
    let request = InferRequest { inputs: [input].into_iter().collect(), ..Default::default() };
    validate::validate_with(version, &request, regions, |_, _, _| Ok(data.clone()))
}

/// The open dimension takes all elements; where the model batches and nothing else is open, the batch does.
fn shape(port: &Port, batched: bool, elements: usize, model: &str) -> Result<Shape, Error> {
    let mut shape = port.shape.clone();
    let mut open: Vec<usize> = (0..shape.len()).filter(|&index| shape[index] < 0).collect();
    if batched && open.len() > 1 {
        shape[open.remove(0)] = 1;
    }
    match open[..] {
        [] => {}
        [index] => {
            let fixed = shape.iter().filter(|&&dim| dim > 0);
            let rest = fixed.fold(1i64, |product, &dim| product.saturating_mul(dim));
            shape[index] = elements as i64 / rest;
        }
        _ => {
            return Err(Error::invalid(format!(
                "the shape of the raw input '{}' of model '{model}' cannot be deduced: it has more than one open dimension",
                port.name
            )));
        }
    }
    Ok(shape)
}

fn prefixed(body: &Bytes) -> Result<Bytes, Error> {
    let length = u32::try_from(body.len()).map_err(|_| Error::invalid("the element is too long"))?;
    let mut element = BytesMut::with_capacity(4 + body.len());
    element.put_u32_le(length);
    element.put_slice(body);
    Ok(element.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;
    use infermesh_wire::DataType;

    fn deduced(dims: &[i64], batched: bool, elements: usize) -> Option<Vec<i64>> {
        let port = Port {
            name: "x".into(),
            datatype: DataType::Fp32,
            shape: Shape::from_slice(dims),
            optional: false,
            classes: vec![],
        };
        shape(&port, batched, elements, "m").ok().map(|shape| shape.to_vec())
    }

    #[test]
    fn one_open_dimension_takes_what_is_there() {
        assert_eq!(deduced(&[4], false, 4), Some(vec![4]));
        assert_eq!(deduced(&[-1], false, 6), Some(vec![6]));
        assert_eq!(deduced(&[-1, 4], true, 8), Some(vec![2, 4]));
        assert_eq!(deduced(&[-1, -1, 2], true, 8), Some(vec![1, 4, 2]));
        assert_eq!(deduced(&[-1, -1], false, 8), None);
        assert_eq!(deduced(&[-1, -1, -1], true, 8), None);
    }
}
