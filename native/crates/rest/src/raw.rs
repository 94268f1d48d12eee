//! A request that is nothing but one tensor's bytes: the model says the rest.

use bytes::{BufMut, Bytes, BytesMut};
use infermesh_wire::{DataType, Error, Shape, request::InputTensor};

/// What a model says of one of its inputs; -1 is a dimension of any size.
#[derive(Debug, Clone, Copy)]
pub struct Port<'a> {
    pub name: &'a str,
    pub datatype: DataType,
    pub shape: &'a [i64],
}

/// The one input of a request, and its values. For a model with one input, of which no more than one
/// dimension besides the batch is open. BYTES are one element, without a length in front.
///
/// Fails with INVALID_ARGUMENT for any other model.
pub fn input<'a>(
    model: &str,
    batched: bool,
    mut inputs: impl ExactSizeIterator<Item = Port<'a>>,
    body: Bytes,
) -> Result<(InputTensor<'a>, Bytes), Error> {
    let count = inputs.len();
    let (1, Some(port)) = (count, inputs.next()) else {
        return Err(Error::invalid(format!(
            "a raw request is for a model with 1 input, but model '{model}' has {count}"
        )));
    };
    let (shape, data) = match port.datatype.size() {
        Some(size) => (shape(port, batched, body.len() / size, model)?, body),
        None => (shape(port, batched, 1, model)?, prefixed(&body)?),
    };
    let input = InputTensor { name: port.name, datatype: port.datatype.name(), shape, ..Default::default() };
    Ok((input, data))
}

/// The open dimension takes all elements; where the model batches and nothing else is open, the batch does.
fn shape(port: Port<'_>, batched: bool, elements: usize, model: &str) -> Result<Shape, Error> {
    let mut shape = Shape::from_slice(port.shape);
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

    fn deduced(dims: &[i64], batched: bool, elements: usize) -> Option<Vec<i64>> {
        let port = Port { name: "x", datatype: DataType::Fp32, shape: dims };
        shape(port, batched, elements, "m").ok().map(|shape| shape.to_vec())
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

    #[test]
    fn a_string_is_one_element() {
        let port = Port { name: "x", datatype: DataType::Bytes, shape: &[-1] };
        let (input, data) = input("m", true, [port].into_iter(), Bytes::from_static(b"hi")).unwrap();
        assert_eq!((&input.shape[..], &data[..]), (&[1][..], &b"\x02\0\0\0hi"[..]));
    }

    #[test]
    fn it_is_for_models_with_one_input() {
        let port = Port { name: "x", datatype: DataType::Fp32, shape: &[-1] };
        let error = input("m", false, [port, port].into_iter(), Bytes::new()).unwrap_err();
        assert_eq!(error.message, "a raw request is for a model with 1 input, but model 'm' has 2");
    }
}
