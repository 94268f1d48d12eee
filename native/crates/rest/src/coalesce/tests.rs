use super::*;
use infermesh_wire::{
    Code, DataType,
    framing::PREFIX,
    proto::inference::{
        InferParameter, InferTensorContents, ModelInferRequest, ModelInferResponse,
        infer_parameter::ParameterChoice,
        model_infer_request::{InferInputTensor, InferRequestedOutputTensor},
        model_infer_response::InferOutputTensor,
    },
};
use proptest::prelude::*;
use prost::Message;

fn input(name: &str, datatype: &str, shape: &[i64]) -> InferInputTensor {
    InferInputTensor {
        name: name.into(),
        datatype: datatype.into(),
        shape: shape.to_vec(),
        ..Default::default()
    }
}

/// With one input of two bytes per row.
fn request(id: &str, rows: &[[u8; 2]]) -> ModelInferRequest {
    ModelInferRequest {
        model_name: "m".into(),
        id: id.into(),
        inputs: vec![input("x", "UINT8", &[rows.len() as i64, 2])],
        raw_input_contents: vec![rows.concat().into()],
        ..Default::default()
    }
}

fn share(request: &ModelInferRequest) -> Result<Share, Alone> {
    Share::of(&request.encode_to_vec().into())
}

fn merged(requests: &[ModelInferRequest]) -> (ModelInferRequest, Division) {
    let shares: Vec<_> = requests.iter().map(|request| share(request).unwrap()).collect();
    let (pieces, division) = merge(&shares).unwrap();
    (ModelInferRequest::decode(&pieces.concat()[PREFIX..]).unwrap(), division)
}

/// The answer of a model that gives back what it gets.
fn echo(request: &ModelInferRequest) -> ModelInferResponse {
    let outputs = request.inputs.iter().map(|input| InferOutputTensor {
        name: input.name.clone(),
        datatype: input.datatype.clone(),
        shape: input.shape.clone(),
        ..Default::default()
    });
    ModelInferResponse {
        model_name: request.model_name.clone(),
        model_version: "3".into(),
        id: request.id.clone(),
        outputs: outputs.collect(),
        raw_output_contents: request.raw_input_contents.clone(),
        ..Default::default()
    }
}

fn divided(
    division: &Division,
    answer: &ModelInferResponse,
) -> Result<Vec<ModelInferResponse>, infermesh_wire::Error> {
    let answers = division.divide(&answer.encode_to_vec().into())?;
    Ok(answers.iter().map(|pieces| ModelInferResponse::decode(&pieces.concat()[PREFIX..]).unwrap()).collect())
}

#[test]
fn rows_lie_side_by_side_and_come_back() {
    let requests = [request("a", &[[1, 2]]), request("", &[[3, 4], [5, 6]]), request("c", &[[7, 8]])];
    let (all, division) = merged(&requests);
    assert_eq!((&all.id[..], &all.inputs[0].shape[..]), ("", &[4, 2][..]));
    assert_eq!(all.raw_input_contents, [vec![1, 2, 3, 4, 5, 6, 7, 8]]);
    assert_eq!(divided(&division, &echo(&all)).unwrap(), requests.each_ref().map(echo));
}

#[test]
fn order_has_no_meaning_where_protobuf_says_so() {
    let parameter = |value| InferParameter { parameter_choice: Some(ParameterChoice::Int64Param(value)) };
    let with = |mut request: ModelInferRequest, order: [&str; 2]| {
        for (index, name) in order.into_iter().enumerate() {
            request.parameters.insert(name.into(), parameter(name.len() as i64));
            let value = vec![name.as_bytes()[0]; 1];
            request.inputs.push(input(name, "INT8", &[1]));
            request.raw_input_contents.insert(1 + index, value.into());
        }
        request
    };
    let requests = [with(request("1", &[[1, 2]]), ["a", "bb"]), with(request("2", &[[3, 4]]), ["bb", "a"])];
    let (all, _) = merged(&requests);
    assert_eq!(all.inputs.iter().map(|input| &input.name[..]).collect::<Vec<_>>(), ["a", "bb", "x"]);
    assert_eq!(all.raw_input_contents, [&b"aa"[..], b"bb", &[1, 2, 3, 4]]);
    assert_eq!(all.parameters, requests[0].parameters);
}

#[test]
fn values_in_protobufs_own_types_may_share() {
    let mut by_value = request("", &[[1, 2]]);
    by_value.raw_input_contents.clear();
    by_value.inputs[0].contents =
        Some(InferTensorContents { uint_contents: vec![1, 2], ..Default::default() });
    let (all, _) = merged(&[request("", &[[3, 4]]), by_value]);
    assert_eq!(all.raw_input_contents, [vec![3, 4, 1, 2]]);
}

#[test]
fn large_tensors_are_not_copied() {
    let rows = vec![[7, 7]; 20_000];
    let message = Bytes::from(request("", &rows).encode_to_vec());
    let shares = [Share::of(&message).unwrap(), Share::of(&message).unwrap()];
    assert_eq!((shares[0].rows(), shares[0].bytes()), (20_000, 40_000));
    let (pieces, division) = merge(&shares).unwrap();
    let inside = |whole: &Bytes, part: &Bytes| whole.as_ptr_range().contains(&part.as_ptr());
    assert_eq!((pieces.len(), inside(&message, &pieces[1]), inside(&message, &pieces[2])), (3, true, true));
    let all = ModelInferRequest::decode(&pieces.concat()[PREFIX..]).unwrap();
    let answer = Bytes::from(echo(&all).encode_to_vec());
    let answers = division.divide(&answer).unwrap();
    assert!(inside(&answer, &answers[0][1]) && inside(&answer, &answers[1][1]));
}

#[test]
fn who_must_go_alone_is_told_why() {
    let alone = |change: fn(&mut ModelInferRequest)| {
        let mut request = request("", &[[1, 2]]);
        change(&mut request);
        share(&request).unwrap_err().to_string()
    };
    let said = [
        (alone(|it| it.inputs.clear()), "it has no inputs"),
        (alone(|it| it.inputs[0].shape.clear()), "input 'x' has no dimension"),
        (alone(|it| it.inputs[0].shape[0] = 0), "input 'x' has 0 rows"),
        (alone(|it| it.inputs[0].shape[0] = -1), "input 'x' has -1 rows"),
        (alone(|it| (it.inputs[0].shape, it.raw_input_contents) = (vec![i64::MAX, 0], vec![])), "its rows"),
        (alone(|it| it.inputs[0].datatype = "FP8".into()), "input 'x' is of type 'FP8'"),
        (alone(|it| it.inputs[0].shape[1] = 3), "the 2 bytes of input 'x' are not what its shape takes"),
        (alone(|it| it.inputs[0].shape = vec![1, i64::MAX]), "the 2 bytes of input 'x'"),
        (alone(|it| it.inputs.push(input("x", "INT8", &[1]))), "input 'x' is given twice"),
        (alone(|it| it.inputs.push(input("z", "INT8", &[2]))), "input 'z' has 2 rows, but 'x' has 1"),
        (alone(|it| it.raw_input_contents.push(Bytes::new())), "it has 1 inputs and 2 raw contents"),
        (alone(|it| it.raw_input_contents.clear()), "the 0 bytes of input 'x'"),
        (
            alone(|it| {
                it.inputs[0].contents =
                    Some(InferTensorContents { uint_contents: vec![1, 2], ..Default::default() });
            }),
            "input 'x' has its values in two places",
        ),
        (
            alone(|it| drop(it.parameters.insert("sequence_id".into(), of(ParameterChoice::Uint64Param(1))))),
            "it belongs to a sequence",
        ),
        (
            alone(|it| {
                let region = of(ParameterChoice::StringParam("r".into()));
                let parameters = [("shared_memory_region".to_owned(), region)].into();
                it.outputs.push(InferRequestedOutputTensor { name: "y".into(), parameters });
            }),
            "it has tensors in shared memory",
        ),
    ];
    for (found, expected) in said {
        assert!(found.starts_with(expected), "{found}");
    }
    assert!(Share::of(&Bytes::from_static(b"junk")).unwrap_err().to_string().contains("protobuf"));
    // No sequence has this number.
    let mut none = request("", &[[1, 2]]);
    none.parameters.insert("sequence_id".into(), of(ParameterChoice::Int64Param(0)));
    assert!(share(&none).is_ok());
}

fn of(choice: ParameterChoice) -> InferParameter {
    InferParameter { parameter_choice: Some(choice) }
}

#[test]
fn what_keeps_requests_apart_is_named() {
    let apart = |change: fn(&mut ModelInferRequest)| {
        let (one, mut other) = (request("", &[[1, 2]]), request("", &[[1, 2]]));
        change(&mut other);
        let shares = [one, other].map(|request| share(&request).unwrap());
        assert_ne!(shares[0].key(), shares[1].key());
        merge(&shares).unwrap_err().to_string()
    };
    assert_eq!(apart(|it| it.model_name = "n".into()), "the models are 'm' and 'n'");
    assert_eq!(apart(|it| it.model_version = "2".into()), "the versions are '' and '2'");
    assert_eq!(apart(|it| it.inputs[0].name = "z".into()), "the inputs are ['x'] and ['z']");
    assert_eq!(apart(|it| it.inputs[0].datatype = "INT8".into()), "input 'x' is UINT8 and INT8");
    assert_eq!(apart(|it| it.inputs[0].shape = vec![1, 1, 2]), "the rows of input 'x' are [2] and [1,2]");
    let rest = "their parameters, or the outputs that they ask for, are not the same";
    assert_eq!(apart(|it| it.outputs.push(Default::default())), rest);
    assert_eq!(
        apart(|it| drop(it.parameters.insert("k".into(), of(ParameterChoice::BoolParam(true))))),
        rest
    );
    assert_eq!(merge(&[]).unwrap_err().to_string(), "there is no request");
}

#[test]
fn an_answer_of_other_rows_is_not_divided() {
    let (all, division) = merged(&[request("", &[[1, 2]]), request("", &[[3, 4]])]);
    let mut answer = echo(&all);
    answer.outputs[0].shape = vec![4, 1];
    let error = divided(&division, &answer).unwrap_err();
    assert_eq!(error.code, Code::Internal);
    assert!(error.message.starts_with("output 'x' has shape [4,1] for 2 rows of 2 requests"), "{error}");
    answer.outputs[0].shape = vec![2, 3];
    assert!(divided(&division, &answer).unwrap_err().message.contains("which is not what UINT8[2,3] takes"));
    answer.outputs[0].shape.clear();
    assert!(divided(&division, &answer).is_err());
}

/// Requests that may share a call: the same inputs, each with rows of its own.
fn company() -> impl Strategy<Value = Vec<ModelInferRequest>> {
    use DataType::*;
    let port = (
        prop::sample::select(vec![Bool, Int16, Fp32, Fp64, Bf16, Bytes]),
        prop::collection::vec(0i64..3, 0..3),
    );
    let requests = |ports: Vec<(DataType, Vec<i64>)>| {
        let request = ("[a-z]{0,3}", 1usize..4).prop_flat_map(move |(id, rows)| {
            let ports = ports.clone();
            let data: Vec<_> = ports
                .iter()
                .map(|(datatype, row)| {
                    let count = rows * row.iter().product::<i64>() as usize;
                    let element = match datatype.size() {
                        Some(size) => prop::collection::vec(any::<u8>(), size).boxed(),
                        None => prop::collection::vec(any::<u8>(), 0..4)
                            .prop_map(|it| [&(it.len() as u32).to_le_bytes()[..], &it].concat())
                            .boxed(),
                    };
                    prop::collection::vec(element, count)
                        .prop_map(|elements| bytes::Bytes::from(elements.concat()))
                })
                .collect();
            data.prop_map(move |data| ModelInferRequest {
                model_name: "m".into(),
                id: id.clone(),
                inputs: ports
                    .iter()
                    .enumerate()
                    .map(|(index, (datatype, row))| {
                        let shape: Vec<i64> = [rows as i64].iter().chain(row).copied().collect();
                        input(&format!("x{index}"), datatype.name(), &shape)
                    })
                    .collect(),
                raw_input_contents: data,
                ..Default::default()
            })
        });
        prop::collection::vec(request, 1..6)
    };
    let ports = prop::collection::vec(port, 1..4);
    let some_values = |(_, row): &(DataType, Vec<i64>)| !row.contains(&0);
    ports.prop_filter("no values", move |ports| ports.iter().any(some_values)).prop_flat_map(requests)
}

proptest! {
    #[test]
    fn what_is_merged_comes_back_to_whom_it_belongs(requests in company()) {
        let (all, division) = merged(&requests);
        let rows: i64 = requests.iter().map(|request| request.inputs[0].shape[0]).sum();
        prop_assert_eq!(all.inputs[0].shape[0], rows);
        let answers = divided(&division, &echo(&all)).unwrap();
        prop_assert_eq!(answers, requests.iter().map(echo).collect::<Vec<_>>());
    }

    #[test]
    fn noise_is_survived(noise in prop::collection::vec(any::<u8>(), 0..100)) {
        let noise = Bytes::from(noise);
        let _ = Share::of(&noise);
        let (_, division) = merged(&[request("", &[[1, 2]]), request("", &[[3, 4]])]);
        let _ = division.divide(&noise);
    }
}
