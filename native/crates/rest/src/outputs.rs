//! The outputs that a server answered over gRPC.

use crate::signature::Listed;
use bytes::Bytes;
use infermesh_wire::{
    DataType, Error, contents, response::OutputTensor, response_reader::InferResponse, rows::is_whole,
};

/// Each output with its values, which stay in `message`, the buffer that `response` borrows from, unless they
/// were given in protobuf's own types.
///
/// Fails with INTERNAL for an answer that contradicts itself.
pub fn outputs<'a>(response: &'a InferResponse<'_>, message: &Bytes) -> Result<Vec<OutputTensor<'a>>, Error> {
    let raw = &response.raw_output_contents;
    if !raw.is_empty() && raw.len() != response.outputs.len() {
        return Err(Error::internal(format!(
            "model '{}' answered {} outputs with {} raw contents",
            response.model_name,
            response.outputs.len(),
            raw.len()
        )));
    }
    let outputs = response.outputs.iter().enumerate().map(|(index, output)| {
        let name = output.name;
        let datatype = DataType::from_name(output.datatype).ok_or_else(|| {
            Error::internal(format!("output '{name}' has the unknown data-type '{}'", output.datatype))
        })?;
        let data = match raw.get(index) {
            // An empty slice may point anywhere, so it is not looked for in the message.
            Some([]) => Bytes::new(),
            Some(raw) => message.slice_ref(raw),
            None => contents::to_raw(&output.contents, datatype, name)
                .map_err(|error| Error::internal(format!("output '{name}' cannot be read: {error}")))?,
        };
        Ok(OutputTensor { name, datatype, shape: &output.shape, parameters: &output.parameters, data })
    });
    outputs.collect()
}

/// Fails with INTERNAL unless shape and values of an output belong together.
pub fn check(output: &OutputTensor<'_>) -> Result<(), Error> {
    if is_whole(output.datatype, output.shape, &output.data) {
        return Ok(());
    }
    Err(Error::internal(format!(
        "output '{}' has {} bytes, which is not what {}{} takes",
        output.name,
        output.data.len(),
        output.datatype.name(),
        Listed(output.shape)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use infermesh_wire::proto::inference::{
        InferTensorContents, ModelInferResponse, model_infer_response::InferOutputTensor,
    };
    use prost::Message;

    fn output(datatype: &str) -> InferOutputTensor {
        InferOutputTensor {
            name: "y".into(),
            datatype: datatype.into(),
            shape: vec![2],
            ..Default::default()
        }
    }

    fn read(response: ModelInferResponse) -> Result<Vec<u8>, Error> {
        let message = Bytes::from(response.encode_to_vec());
        let response = InferResponse::decode(&message)?;
        let outputs = outputs(&response, &message)?;
        outputs.iter().try_for_each(check)?;
        Ok(outputs.iter().flat_map(|output| output.data.to_vec()).collect())
    }

    #[test]
    fn values_are_raw_or_in_types_of_protobuf() {
        let raw = vec![Bytes::from_static(&[1, 0, 2, 0])];
        let response = ModelInferResponse {
            outputs: vec![output("INT16")],
            raw_output_contents: raw,
            ..Default::default()
        };
        assert_eq!(read(response).unwrap(), [1, 0, 2, 0]);
        let contents = InferTensorContents { int_contents: vec![1, 2], ..Default::default() };
        let outputs = vec![InferOutputTensor { contents: Some(contents), ..output("INT16") }];
        assert_eq!(read(ModelInferResponse { outputs, ..Default::default() }).unwrap(), [1, 0, 2, 0]);
    }

    #[test]
    fn an_answer_that_contradicts_itself_is_the_servers_fault() {
        let response = |outputs: Vec<_>, raw: &[&'static [u8]]| ModelInferResponse {
            outputs,
            raw_output_contents: raw.iter().map(|it| Bytes::from_static(it)).collect(),
            ..Default::default()
        };
        for (response, said) in [
            (response(vec![output("INT16"), output("INT8")], &[&[0; 4]]), "2 outputs with 1 raw"),
            (response(vec![output("FP8")], &[&[0; 2]]), "unknown data-type 'FP8'"),
            (response(vec![output("INT16")], &[&[0; 3]]), "has 3 bytes, which is not what INT16[2] takes"),
            (response(vec![output("FP32")], &[]), "has 0 bytes"),
        ] {
            let error = read(response).unwrap_err();
            assert_eq!(error.code, infermesh_wire::Code::Internal);
            assert!(error.message.contains(said), "{error}");
        }
    }
}
