//! An inference of the v2 protocol, there and back.

use crate::{
    answer::Answer,
    header::{Carriers, Data, Header, header_length},
    infer::{self, Carrier, Head},
    outputs::{check, outputs},
    raw,
    signature::Signature,
    tensor::from_json,
};
use bytes::Bytes;
use http::HeaderValue;
use infermesh_wire::{
    DataType, Error,
    request::{InferRequest, InputTensor},
    request_writer,
    response::Pieces,
    response_reader::InferResponse,
};

/// Whether all of the body is one tensor.
pub fn is_raw(length: &HeaderValue) -> bool {
    header_length(Some(length), 0) == Ok(Some(0))
}

/// The message, and how the outputs are to travel.
pub fn request<'s>(
    (model, version): (&str, &str),
    length: Option<&HeaderValue>,
    mut body: Bytes,
    signature: impl FnOnce() -> Result<&'s Signature, Error>,
) -> Result<(Pieces, Carriers<'static>), Error> {
    let length = header_length(length, body.len())?;
    if length == Some(0) {
        return Ok((raw(model, version, signature()?, body)?, Carriers::all(Carrier::Binary)));
    }
    let text = body.split_to(length.unwrap_or(body.len()));
    let header = Header::parse(&text)?;
    let data = header.data(body)?;
    let request = header.request(model, version)?;
    let given = request.inputs.iter().zip(data);
    let tensors = given.filter_map(|(input, data)| values(input, data).transpose());
    let message = request_writer::write(&request, &tensors.collect::<Result<Vec<_>, _>>()?);
    Ok((message, header.carriers().into_owned()))
}

/// `None` for values in shared memory.
fn values(input: &InputTensor<'_>, data: Data<'_>) -> Result<Option<[Bytes; 1]>, Error> {
    match data {
        Data::Json(text) => {
            let known = DataType::from_name(input.datatype).ok_or_else(|| {
                let (name, datatype) = (input.name, input.datatype);
                Error::invalid(format!("inference input '{name}' has the unknown data-type '{datatype}'"))
            })?;
            Ok(Some([from_json(text, known, input.name)?]))
        }
        Data::Binary(bytes) => Ok(Some([bytes])),
        Data::SharedMemory => Ok(None),
    }
}

fn raw(model: &str, version: &str, signature: &Signature, body: Bytes) -> Result<Pieces, Error> {
    let inputs = signature.inputs.iter().map(|port| port.borrowed());
    let (input, data) = raw::input(model, signature.batches(), inputs, body)?;
    let request = InferRequest {
        model_name: model,
        model_version: version,
        inputs: [input].into_iter().collect(),
        ..Default::default()
    };
    Ok(request_writer::write(&request, &[[data]]))
}

/// Fails with INTERNAL for an answer that contradicts itself, and for outputs that JSON cannot carry.
pub fn answer(carriers: &Carriers<'_>, message: Bytes) -> Result<Answer, Error> {
    let response = InferResponse::decode(&message)?;
    let outputs = outputs(&response, &message)?.into_iter().map(|output| {
        let carrier = carriers.of(output.name);
        (output, carrier)
    });
    let outputs: Vec<_> = outputs.collect();
    for (output, carrier) in &outputs {
        if *carrier != Carrier::SharedMemory {
            check(output)?;
        }
    }
    let head = Head {
        model: response.model_name,
        version: response.model_version,
        id: response.id,
        parameters: &response.parameters,
    };
    infer::answer(head, outputs.into_iter())
}
