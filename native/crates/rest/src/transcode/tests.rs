use super::*;
use crate::{
    header::Carriers,
    infer::{self as direct, Carrier, Head},
    signature::{self, Port, Signature},
    tensor::to_json,
};
use http::StatusCode;
use infermesh_wire::{
    DataType, Shape,
    framing::PREFIX,
    proto::inference as pb,
    request::{Parameter, Parameters},
    response::{OutputTensor, ResponseWriter},
};
use proptest::prelude::*;
use prost::Message;
use serde_json::{Value, json};

const INFER_M: &str = "/v2/models/m/versions/3/infer";

fn ask(method: Method, path: &str, headers: &[(&'static str, String)]) -> Result<Ask, StatusCode> {
    let headers =
        headers.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
    Ask::of(&method, &path.parse().unwrap(), &headers.collect()).map_err(|answer| answer.status())
}

fn called(ask: Ask, body: impl Into<Bytes>) -> Result<Call, Error> {
    match ask.call(body.into(), None)? {
        Step::Call(call) => Ok(call),
        Step::Answer(_) => panic!("a call was expected"),
    }
}

/// A message as it comes in: without its prefix.
fn received(pieces: &Pieces) -> Bytes {
    Bytes::from(pieces.concat()).slice(PREFIX..)
}

fn text(answer: &Answer) -> String {
    String::from_utf8(answer.body().concat()).unwrap()
}

/// The call that a request without inference makes, and what becomes of its answer.
fn about<M: Message>(method: Method, path: &str, body: &'static str, answer: M) -> (Call, u16, String) {
    let call = called(ask(method, path, &[]).unwrap(), body).unwrap();
    let answer = call.back.answer(answer.encode_to_vec().into());
    let (status, text) = (answer.status().as_u16(), text(&answer));
    (call, status, text)
}

#[test]
fn health_is_a_status() {
    let get = Method::GET;
    let (call, status, text) =
        about(get.clone(), "/v2/health/live", "", pb::ServerLiveResponse { live: true });
    assert_eq!(call.path, "/inference.GRPCInferenceService/ServerLive");
    assert_eq!((&received(&call.message)[..], status, &text[..]), (&[][..], 200, ""));
    let (_, status, text) =
        about(get.clone(), "/v2/health/ready", "", pb::ServerReadyResponse { ready: false });
    assert_eq!((status, &text[..]), (400, r#"{"error":"the server is not ready"}"#));
    let (call, status, text) =
        about(get, "/v2/models/m/versions/3/ready", "", pb::ModelReadyResponse { ready: false });
    let request = pb::ModelReadyRequest::decode(received(&call.message)).unwrap();
    assert_eq!((&request.name[..], &request.version[..]), ("m", "3"));
    assert_eq!((status, &text[..]), (400, r#"{"error":"Model version not ready"}"#));
}

#[test]
fn what_is_said_of_a_model_is_the_message_in_json() {
    let metadata =
        pb::ModelMetadataResponse { name: "m".into(), versions: vec!["3".into()], ..Default::default() };
    let (call, status, text) = about(Method::GET, "/v2/models/m", "", metadata);
    assert_eq!((call.path, status), (signature::METADATA, 200));
    let found: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(found, json!({"name": "m", "versions": ["3"], "platform": "", "inputs": [], "outputs": []}));
    let config = pb::ModelConfig { name: "m".into(), max_batch_size: 8, ..Default::default() };
    let response = pb::ModelConfigResponse { config: Some(config) };
    let found: Value =
        serde_json::from_str(&about(Method::GET, "/v2/models/m/config", "", response).2).unwrap();
    assert_eq!((&found["name"], &found["max_batch_size"]), (&json!("m"), &json!(8)));
    let stats = pb::ModelStatistics { name: "m".into(), inference_count: 9, ..Default::default() };
    let response = pb::ModelStatisticsResponse { model_stats: vec![stats] };
    let (call, _, text) = about(Method::GET, "/v2/models/stats", "", response);
    assert_eq!(call.path, "/inference.GRPCInferenceService/ModelStatistics");
    assert!(text.contains(r#""inference_count":9"#), "{text}");
}

#[test]
fn bodies_become_messages() {
    let (call, status, text) = about(
        Method::POST,
        "/v2/repository/models/m/load",
        r#"{"parameters": {"config": "{}"}}"#,
        pb::RepositoryModelLoadResponse {},
    );
    let request = pb::RepositoryModelLoadRequest::decode(received(&call.message)).unwrap();
    assert_eq!((&request.model_name[..], request.parameters.len()), ("m", 1));
    assert_eq!((status, &text[..]), (200, ""));
    // That of a GET says nothing.
    let (call, _, _) =
        about(Method::GET, "/v2/logging", r#"{"log_info": true}"#, pb::LogSettingsResponse::default());
    assert!(received(&call.message).is_empty());
    let (call, _, _) = about(
        Method::POST,
        "/v2/models/m/trace/setting",
        r#"{"trace_rate": "5"}"#,
        pb::TraceSettingResponse::default(),
    );
    let request = pb::TraceSettingRequest::decode(received(&call.message)).unwrap();
    assert_eq!(
        (&request.model_name[..], &request.settings["trace_rate"].value[..]),
        ("m", &["5".to_owned()][..])
    );
    let (call, _, _) = about(
        Method::POST,
        "/v2/cudasharedmemory/region/r/unregister",
        "",
        pb::CudaSharedMemoryUnregisterResponse {},
    );
    assert_eq!(call.path, "/inference.GRPCInferenceService/CudaSharedMemoryUnregister");
}

#[test]
fn what_is_not_served_has_its_answer_at_once() {
    assert_eq!(ask(Method::GET, "/v3", &[]).unwrap_err(), 404);
    assert_eq!(ask(Method::GET, INFER_M, &[]).unwrap_err(), 405);
    assert_eq!(ask(Method::GET, "/models/m", &[]).unwrap_err(), 405);
    let document = ask(Method::GET, "/v2/openapi.json", &[]).unwrap().call(Bytes::new(), None).unwrap();
    assert!(matches!(document, Step::Answer(answer) if answer.status() == 200));
}

#[test]
fn some_requests_need_the_models_signature() {
    let needs = |path: &str, length: &[(&'static str, String)]| {
        ask(Method::POST, path, length).unwrap().needs_signature()
    };
    let length = |length: &str| [(HEADER_LENGTH_NAME, length.to_owned())];
    assert!(!needs(INFER_M, &[]) && !needs(INFER_M, &length("7")));
    assert!(needs(INFER_M, &length("0")) && needs("/models/m", &[]));
    let ask = ask(Method::POST, "/models/m/versions/3", &[]).unwrap();
    assert_eq!(ask.inference(), Some(("m", "3")));
    let unknown = called(ask, "{}").unwrap_err();
    assert_eq!(
        (unknown.code, &unknown.message[..]),
        (infermesh_wire::Code::Internal, "the model's signature is not known")
    );
}

const HEADER_LENGTH_NAME: &str = "inference-header-content-length";

#[test]
fn a_body_that_is_one_tensor() {
    let port =
        |name: &str| Port { name: name.into(), datatype: DataType::Fp32, shape: Shape::from_slice(&[-1, 2]) };
    let signature = Signature { model: "m".into(), inputs: vec![port("x")], outputs: vec![port("y")] };
    let ask = ask(Method::POST, INFER_M, &[(HEADER_LENGTH_NAME, "0".into())]).unwrap();
    let Step::Call(call) = ask.call(Bytes::from(vec![7; 24]), Some(&signature)).unwrap() else {
        panic!("a call was expected")
    };
    let request = pb::ModelInferRequest::decode(received(&call.message)).unwrap();
    assert_eq!((&request.inputs[0].name[..], &request.inputs[0].shape[..]), ("x", &[3, 2][..]));
    assert_eq!(request.raw_input_contents, [vec![7; 24]]);
    let shape = Shape::from_slice(&[3, 2]);
    let output = OutputTensor {
        name: "y",
        datatype: DataType::Fp32,
        shape: &shape,
        parameters: Parameters::none(),
        data: vec![1; 24].into(),
    };
    let written = ResponseWriter::new("m", "3").write("", Parameters::none(), &[output]);
    let answer = call.back.answer(received(&written));
    assert_eq!(answer.headers()["content-type"], "application/octet-stream");
    assert!(answer.body().concat().ends_with(&[1; 24]));
}

#[test]
fn what_is_wrong_with_a_request_is_said_before_anybody_is_asked() {
    for (body, said) in [
        ("", "failed to parse"),
        (r#"{"inputs": [{"name": "x", "datatype": "FP8", "shape": [1], "data": [1]}]}"#, "data-type 'FP8'"),
        (r#"{"inputs": [{"name": "x", "datatype": "INT8", "shape": [1], "data": [300]}]}"#, "does not fit"),
        (r#"{"inputs": [{"name": "x", "datatype": "INT8", "shape": [1]}]}"#, "no field is set"),
    ] {
        let error = called(ask(Method::POST, INFER_M, &[]).unwrap(), body).unwrap_err();
        assert_eq!(error.code, infermesh_wire::Code::InvalidArgument);
        assert!(error.message.contains(said), "{error}");
    }
}

#[test]
fn values_in_shared_memory_do_not_travel() {
    let place = json!({"shared_memory_region": "r", "shared_memory_byte_size": 4});
    let body = json!({
        "inputs": [
            {"name": "x", "datatype": "FP32", "shape": [1], "parameters": place},
            {"name": "z", "datatype": "INT8", "shape": [1], "data": [7]},
        ],
        "outputs": [{"name": "y", "parameters": place}],
    });
    let call = called(ask(Method::POST, INFER_M, &[]).unwrap(), body.to_string()).unwrap();
    let request = pb::ModelInferRequest::decode(received(&call.message)).unwrap();
    assert_eq!((request.raw_input_contents, request.inputs[0].parameters.len()), (vec![vec![7].into()], 2));
    let output = pb::model_infer_response::InferOutputTensor {
        name: "y".into(),
        datatype: "FP32".into(),
        shape: vec![1],
        ..Default::default()
    };
    let response = pb::ModelInferResponse {
        outputs: vec![output],
        raw_output_contents: vec![Bytes::new()],
        ..Default::default()
    };
    let found: Value =
        serde_json::from_str(&text(&call.back.answer(response.encode_to_vec().into()))).unwrap();
    assert_eq!(found["outputs"][0], json!({"name": "y", "datatype": "FP32", "shape": [1]}));
}

#[test]
fn large_binary_tensors_are_slices_of_the_body() {
    let head = json!({"inputs": [
        {"name": "x", "datatype": "UINT8", "shape": [100_000], "parameters": {"binary_data_size": 100_000}}
    ]});
    let mut body = head.to_string().into_bytes();
    let length = body.len();
    body.resize(length + 100_000, 1);
    let (body, header) = (Bytes::from(body), (HEADER_LENGTH_NAME, length.to_string()));
    let call = called(ask(Method::POST, INFER_M, &[header]).unwrap(), body.clone()).unwrap();
    assert_eq!(call.message.len(), 2);
    assert_eq!(call.message[1].as_ptr(), body[length..].as_ptr());
}

#[test]
fn a_server_that_answers_nonsense_is_an_error() {
    let body = r#"{"inputs": []}"#;
    let call = called(ask(Method::POST, INFER_M, &[]).unwrap(), body).unwrap();
    assert_eq!(call.back.answer(Bytes::from_static(b"junk")).status(), 500);
    let call = called(ask(Method::GET, "/v2", &[]).unwrap(), "").unwrap();
    assert_eq!(call.back.answer(Bytes::from_static(b"junk")).status(), 500);
}

#[test]
fn a_refusal_keeps_its_words() {
    let answer = refused(5, "Request for unknown model: 'm' is not found");
    assert_eq!(answer.status(), 404);
    assert_eq!(text(&answer), r#"{"error":"Request for unknown model: 'm' is not found"}"#);
}

/// A tensor of any type with values that JSON can carry.
fn tensor() -> impl Strategy<Value = (DataType, Vec<i64>, Bytes)> {
    use DataType::*;
    let types = [Bool, Uint8, Uint16, Uint32, Uint64, Int8, Int16, Int32, Int64, Fp32, Fp64, Bytes];
    let shape = prop::collection::vec(0i64..4, 0..4);
    (prop::sample::select(types.to_vec()), shape).prop_flat_map(|(datatype, shape)| {
        let count = shape.iter().product::<i64>() as usize;
        let element = match datatype {
            Bool => any::<bool>().prop_map(|it| vec![it.into()]).boxed(),
            // NaN has more than one form, and JSON but one.
            Fp32 => any::<f32>()
                .prop_filter("NaN", |it| !it.is_nan())
                .prop_map(|it| it.to_le_bytes().to_vec())
                .boxed(),
            Fp64 => any::<f64>()
                .prop_filter("NaN", |it| !it.is_nan())
                .prop_map(|it| it.to_le_bytes().to_vec())
                .boxed(),
            Bytes => {
                ".{0,5}".prop_map(|it| [&(it.len() as u32).to_le_bytes()[..], it.as_bytes()].concat()).boxed()
            }
            other => prop::collection::vec(any::<u8>(), other.size().unwrap()).boxed(),
        };
        let data = prop::collection::vec(element, count).prop_map(|elements| elements.concat().into());
        (Just(datatype), Just(shape), data)
    })
}

fn array(datatype: DataType, data: &[u8]) -> Value {
    let mut text = Vec::new();
    to_json(&mut text, datatype, data, "x").unwrap();
    serde_json::from_slice(&text).unwrap()
}

proptest! {
    #[test]
    fn a_request_says_over_grpc_what_it_says_over_http(
        tensors in prop::collection::vec((tensor(), any::<bool>()), 0..4),
        id in "[a-z]{0,4}",
        priority in any::<u64>(),
    ) {
        let (mut inputs, mut tail) = (Vec::new(), Vec::new());
        for (index, ((datatype, shape, data), binary)) in tensors.iter().enumerate() {
            let mut input = json!({"name": format!("x{index}"), "datatype": datatype.name(), "shape": shape});
            if *binary {
                input["parameters"] = json!({"binary_data_size": data.len()});
                tail.extend_from_slice(data);
            } else {
                input["data"] = array(*datatype, data);
            }
            inputs.push(input);
        }
        let parameters = json!({"priority": priority, "binary_data_output": true});
        let head = json!({"id": id, "inputs": inputs, "parameters": parameters}).to_string().into_bytes();
        let length = (HEADER_LENGTH_NAME, head.len().to_string());
        let call = called(ask(Method::POST, INFER_M, &[length]).unwrap(), [head, tail].concat()).unwrap();
        prop_assert_eq!(call.path, INFER);
        let request = pb::ModelInferRequest::decode(received(&call.message)).unwrap();
        prop_assert_eq!((&request.model_name[..], &request.model_version[..], &request.id), ("m", "3", &id));
        prop_assert_eq!(request.parameters.keys().collect::<Vec<_>>(), ["priority"]);
        for (index, ((datatype, shape, data), _)) in tensors.iter().enumerate() {
            let input = &request.inputs[index];
            prop_assert_eq!((&input.datatype[..], &input.shape), (datatype.name(), shape));
            prop_assert!(input.parameters.is_empty());
            prop_assert_eq!(&request.raw_input_contents[index], data);
        }
        prop_assert_eq!(request.raw_input_contents.len(), tensors.len());
    }

    /// A server that is asked over HTTP writes its answer with `infer::answer`.
    #[test]
    fn an_answer_over_grpc_is_shown_as_the_server_itself_would(
        tensors in prop::collection::vec((tensor(), any::<bool>()), 0..4),
        id in "[a-z]{0,4}",
        parameter in prop::option::of(any::<i64>()),
    ) {
        let names: Vec<_> = (0..tensors.len()).map(|index| format!("y{index}")).collect();
        let shapes: Vec<Shape> = tensors.iter().map(|((_, shape, _), _)| shape.iter().copied().collect()).collect();
        let mut parameters = Parameters::default();
        parameter.into_iter().for_each(|it| parameters.push("k", Parameter::Int64(it)));
        let outputs = || tensors.iter().zip(&names).zip(&shapes).map(|((((datatype, _, data), _), name), shape)| {
            OutputTensor { name, datatype: *datatype, shape, parameters: &parameters, data: data.clone() }
        });
        let carriers = tensors.iter().map(|(_, binary)| if *binary { Carrier::Binary } else { Carrier::Json });
        let head = Head { model: "m", version: "3", id: &id, parameters: &parameters };
        let expected = direct::answer(head, outputs().zip(carriers)).unwrap();

        let wanted = tensors.iter().zip(&names).map(|((_, binary), name)| {
            json!({"name": name, "parameters": {"binary_data": binary}})
        });
        let body = json!({"inputs": [], "outputs": wanted.collect::<Vec<_>>()}).to_string();
        let call = called(ask(Method::POST, INFER_M, &[]).unwrap(), body).unwrap();
        let written = ResponseWriter::new("m", "3").write(&id, &parameters, &outputs().collect::<Vec<_>>());
        let found = call.back.answer(received(&written));
        prop_assert_eq!(found.headers(), expected.headers());
        prop_assert_eq!(found.body().concat(), expected.body().concat());
    }

    #[test]
    fn whatever_a_server_answers_is_an_answer(noise in prop::collection::vec(any::<u8>(), 0..200)) {
        let back = Back(Form::Infer(Carriers::all(Carrier::Json)));
        let answer = back.answer(noise.into());
        prop_assert!([200, 400, 500].contains(&answer.status().as_u16()));
    }
}
