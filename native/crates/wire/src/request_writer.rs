//! Writes a `ModelInferRequest` around tensors that stay where they are.

use crate::{
    framing::PREFIX,
    request::{InferRequest, InputTensor, RequestedOutput},
    response::Pieces,
    writer::{
        Composer, Description, field_len, parameters_len, put_bytes, put_parameters, put_parameters_as,
        put_start,
    },
};
use bytes::{BufMut, Bytes};

/// One length-prefixed gRPC message: what `request` says, with `tensors` as its raw contents, whatever
/// contents it has itself. A tensor's bytes may be in several places; they become one.
pub fn write(request: &InferRequest<'_>, tensors: &[impl AsRef<[Bytes]>]) -> Pieces {
    let size = |parts: &[Bytes]| parts.iter().map(Bytes::len).sum::<usize>();
    let inner: usize = tensors.iter().map(|parts| size(parts.as_ref())).sum();
    let length =
        head_len(request) + tensors.iter().map(|parts| field_len(size(parts.as_ref()))).sum::<usize>();
    let mut composer = Composer::new(PREFIX, length, inner);
    composer.buffer().put_u8(0);
    composer.buffer().put_u32(length as u32);
    put_head(composer.buffer(), request);
    tensors.iter().for_each(|parts| composer.put_tensor(7, parts.as_ref()));
    composer.finish()
}

fn texts<'a>(request: &InferRequest<'a>) -> impl Iterator<Item = (u8, &'a str)> {
    let all = [(1, request.model_name), (2, request.model_version), (3, request.id)];
    all.into_iter().filter(|(_, text)| !text.is_empty())
}

fn head_len(request: &InferRequest<'_>) -> usize {
    let inputs = request.inputs.iter().map(|input| field_len(described(input).len()));
    let outputs = request.outputs.iter().map(|output| field_len(output_len(output)));
    texts(request).map(|(_, text)| field_len(text.len())).sum::<usize>()
        + parameters_len(&request.parameters)
        + inputs.sum::<usize>()
        + outputs.sum::<usize>()
}

fn put_head(buffer: &mut impl BufMut, request: &InferRequest<'_>) {
    texts(request).for_each(|(number, text)| put_bytes(buffer, number, text.as_bytes()));
    put_parameters(buffer, &request.parameters);
    request.inputs.iter().for_each(|input| described(input).put(buffer, 5));
    for output in &request.outputs {
        put_start(buffer, 6, output_len(output));
        put_bytes(buffer, 1, output.name.as_bytes());
        put_parameters_as(buffer, 2, &output.parameters);
    }
}

fn described<'a>(input: &'a InputTensor<'_>) -> Description<'a> {
    let InputTensor { name, datatype, shape, parameters, .. } = input;
    Description { name, datatype, shape, parameters }
}

fn output_len(output: &RequestedOutput<'_>) -> usize {
    field_len(output.name.len()) + parameters_len(&output.parameters)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::inference as pb;
    use crate::request::tests::message;
    use proptest::prelude::*;
    use prost::Message;

    proptest! {
        #[test]
        fn prost_reads_what_is_written(message in message()) {
            let encoded = message.encode_to_vec();
            let request = InferRequest::decode(&encoded).unwrap();
            let tensors: Vec<_> = message.raw_input_contents.iter().map(|it| [it.clone()]).collect();
            let written = write(&request, &tensors).concat();
            prop_assert_eq!(&written[..PREFIX], [&[0][..], &(written.len() as u32 - 5).to_be_bytes()].concat());
            prop_assert_eq!(pb::ModelInferRequest::decode(&written[PREFIX..]).unwrap(), message);
        }
    }

    #[test]
    fn large_tensors_are_not_copied_and_small_ones_are_one_piece() {
        let request = InferRequest { model_name: "m", ..Default::default() };
        let part = Bytes::from(vec![1; 10_000]);
        let pieces = write(&request, &[vec![part.clone(), part.clone()], vec![part.clone()]]);
        assert_eq!(pieces.len(), 5);
        assert_eq!(pieces[2].as_ptr(), part.as_ptr());
        let decoded = pb::ModelInferRequest::decode(&pieces.concat()[PREFIX..]).unwrap();
        assert_eq!(decoded.raw_input_contents.iter().map(Bytes::len).collect::<Vec<_>>(), [20_000, 10_000]);
        assert_eq!(write(&request, &[[part.slice(..9)]]).len(), 1);
    }
}
