//! What an HTTP request means to a model is what the gRPC request means that a proxy makes of it.

use super::infer::{valid_raw, values};
use crate::{
    inference::validate::{Valid, validate, validate_with},
    memory::shared_memory::Regions,
    models::Version,
};
use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use infermesh_batcher::{Backend, Tensor, TensorView};
use infermesh_rest::{
    Signature,
    header::{HEADER_LENGTH, Header},
    signature::Port,
    transcode::{Ask, Call, Step},
};
use infermesh_wire::{
    DataType, Error,
    framing::PREFIX,
    proto::inference::{ModelConfig, ModelInput, ModelOutput},
    request::InferRequest,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::path::Path;

struct Idle;

impl Backend for Idle {
    fn run(&mut self, _: &[TensorView<'_>]) -> Result<Vec<Tensor>, Error> {
        Ok(Vec::new())
    }
}

/// Batches; `x` has two numbers, `s` any number of words, and may be left out.
fn version() -> Version {
    let port = |name: &str, datatype: DataType, dim: i64| ModelInput {
        name: name.into(),
        data_type: datatype.to_config() as i32,
        dims: vec![dim],
        ..Default::default()
    };
    let output = |name: &str| ModelOutput {
        name: name.into(),
        data_type: DataType::Fp32.to_config() as i32,
        dims: vec![2],
        ..Default::default()
    };
    let config = ModelConfig {
        name: "m".into(),
        input: vec![
            port("x", DataType::Fp32, 2),
            ModelInput { optional: true, ..port("s", DataType::Bytes, -1) },
        ],
        output: vec![output("y"), output("z")],
        max_batch_size: 4,
        ..Default::default()
    };
    Version::start(1, config, vec![Box::new(Idle)], Path::new("/"), Box::new(|_| ())).unwrap()
}

fn regions() -> Regions {
    Regions::open(1 << 20)
}

/// As `infer` holds a body against the model.
fn directly(version: &Version, length: usize, mut body: Bytes) -> Result<Valid, Error> {
    let text = body.split_to(length);
    let header = Header::parse(&text)?;
    let data = header.data(body)?;
    validate_with(version, &header.request("m", "")?, &regions(), values(&data))
}

fn over_grpc(
    version: &Version,
    length: usize,
    body: Bytes,
    signature: Option<&Signature>,
) -> Result<Valid, Error> {
    let headers = HeaderMap::from_iter([(HEADER_LENGTH, length.into())]);
    let ask = Ask::of(&Method::POST, &Uri::from_static("/v2/models/m/infer"), &headers).unwrap();
    let Step::Call(Call { message, .. }) = ask.call(body, signature)? else { panic!("a call was expected") };
    let message = Bytes::from(message.concat()).slice(PREFIX..);
    validate(version, &InferRequest::decode(&message).unwrap(), &message, &regions())
}

fn said(valid: Result<Valid, Error>) -> Result<String, String> {
    valid.map(|valid| format!("{valid:?}")).map_err(|error| error.message.into_owned())
}

/// Requests that are right more often than not.
fn request() -> impl Strategy<Value = (Value, Vec<u8>)> {
    let rows = prop_oneof![9 => 1usize..5, 1 => Just(5)];
    let words = prop::option::of(prop::collection::vec("[a-z\u{fc}]{0,3}", 3));
    let parameters = prop_oneof![
        5 => Just(json!({})),
        5 => Just(json!({"timeout": 7, "priority": 1, "binary_data_output": true})),
        1 => Just(json!({"timeout": "soon"})),
        1 => Just(json!({"triton_x": 1})),
    ];
    let outputs = prop_oneof![
        4 => Just(json!([])),
        4 => Just(json!([{"name": "z"}, {"name": "y", "parameters": {"classification": 1}}])),
        4 => Just(json!([{"name": "y", "parameters": {"binary_data": true}}])),
        1 => Just(json!([{"name": "absent"}])),
    ];
    let numbers = prop::collection::vec(-9i32..9, 10);
    let name = prop_oneof![9 => Just("x"), 1 => Just("absent")];
    let one_too_few = prop::bool::weighted(0.1);
    (rows, words, parameters, outputs, numbers, name, one_too_few, any::<[bool; 2]>()).prop_map(
        |(rows, words, parameters, outputs, numbers, name, one_too_few, [x_is_binary, s_is_binary])| {
            let mut tail = Vec::new();
            let mut input = |name: &str, datatype: &str, dims: i64, values: Value, raw: Option<Vec<u8>>| {
                let mut input = json!({"name": name, "datatype": datatype, "shape": [rows, dims]});
                match raw {
                    None => input["data"] = values,
                    Some(raw) => {
                        input["parameters"] = json!({"binary_data_size": raw.len()});
                        tail.extend(raw);
                    }
                }
                input
            };
            let count = rows * 2 - usize::from(one_too_few);
            let raw = || numbers[..count].iter().flat_map(|&it| (it as f32).to_le_bytes()).collect();
            let x = input(name, "FP32", 2, json!(numbers[..count]), x_is_binary.then(raw));
            let s = words.map(|words| {
                let all = words.iter().cycle().take(3 * rows);
                let raw = || {
                    let element =
                        |it: &String| [&(it.len() as u32).to_le_bytes()[..], it.as_bytes()].concat();
                    all.clone().flat_map(element).collect()
                };
                input("s", "BYTES", 3, json!(all.clone().collect::<Vec<_>>()), s_is_binary.then(raw))
            });
            let inputs: Vec<_> = [Some(x), s].into_iter().flatten().collect();
            (json!({"inputs": inputs, "outputs": outputs, "parameters": parameters, "id": "7"}), tail)
        },
    )
}

proptest! {
    #[test]
    fn a_request_means_the_same_over_grpc((head, tail) in request()) {
        let version = version();
        let head = head.to_string().into_bytes();
        let (length, body) = (head.len(), Bytes::from([head, tail].concat()));
        let direct = said(directly(&version, length, body.clone()));
        prop_assert_eq!(said(over_grpc(&version, length, body, None)), direct);
    }
}

#[test]
fn a_body_that_is_one_tensor_means_the_same_over_grpc() {
    let config = ModelConfig {
        name: "m".into(),
        input: vec![ModelInput { name: "x".into(), data_type: 11, dims: vec![2], ..Default::default() }],
        output: vec![ModelOutput { name: "y".into(), data_type: 11, dims: vec![2], ..Default::default() }],
        max_batch_size: 4,
        ..Default::default()
    };
    let version = Version::start(1, config, vec![Box::new(Idle)], Path::new("/"), Box::new(|_| ())).unwrap();
    let ports = |ports: &[crate::models::Port]| {
        let ports = ports.iter().map(|port| Port {
            name: port.name.clone(),
            datatype: port.datatype,
            shape: port.shape.clone(),
        });
        ports.collect()
    };
    let signature =
        Signature { model: "m".into(), inputs: ports(&version.inputs), outputs: ports(&version.outputs) };
    for size in [8, 24, 40, 7] {
        let body = Bytes::from(vec![1; size]);
        let direct = said(valid_raw(&version, body.clone(), &regions()));
        assert_eq!(said(over_grpc(&version, 0, body, Some(&signature))), direct, "{size}");
    }
}
