use super::*;
use crate::{answer::Answer, signature::Port};
use bytes::Bytes;
use infermesh_wire::{
    DataType,
    framing::PREFIX,
    proto::inference::{
        InferParameter, ModelInferRequest, ModelInferResponse, infer_parameter::ParameterChoice,
        model_infer_response::InferOutputTensor,
    },
};
use prost::Message;

fn port(name: &str, datatype: DataType, shape: &[i64]) -> Port {
    Port { name: name.into(), datatype, shape: Shape::from_slice(shape) }
}

fn signature(inputs: &[(&str, DataType, &[i64])]) -> Signature {
    let inputs = inputs.iter().map(|&(name, datatype, shape)| port(name, datatype, shape)).collect();
    let outputs = vec![port("y", DataType::Fp32, &[-1, 2]), port("label", DataType::Bytes, &[-1])];
    Signature { model: "m".into(), inputs, outputs }
}

/// A row of four numbers, one of two words and one number.
fn shop() -> Signature {
    use DataType::*;
    signature(&[("a", Fp32, &[-1, 4]), ("words", Bytes, &[-1, -1]), ("n", Int8, &[-1, 1])])
}

fn asked(uri: &'static str, id: Option<&str>) -> Simple {
    let id = id.map(|id| (http::HeaderName::from_static(ID), id.parse().unwrap()));
    Simple::of(&Uri::from_static(uri), &HeaderMap::from_iter(id)).unwrap()
}

fn sent(signature: &Signature, body: &str) -> Result<(ModelInferRequest, Unrow), Error> {
    let (message, unrow) = asked("/models/m", None).request(signature, body.as_bytes())?;
    Ok((ModelInferRequest::decode(&message.concat()[PREFIX..]).unwrap(), unrow))
}

fn shapes(request: &ModelInferRequest) -> Vec<(&str, &[i64])> {
    request.inputs.iter().map(|input| (&input.name[..], &input.shape[..])).collect()
}

fn refused(signature: &Signature, body: &str) -> String {
    sent(signature, body).map(|_| ()).unwrap_err().message.into_owned()
}

fn answered(rows: i64, unrow: &Unrow) -> String {
    let output = |name: &str, datatype: &str, shape: &[i64]| InferOutputTensor {
        name: name.into(),
        datatype: datatype.into(),
        shape: shape.to_vec(),
        ..Default::default()
    };
    let scores = [0.1f32.to_le_bytes(), 2f32.to_le_bytes()].concat().repeat(rows as usize);
    let message = ModelInferResponse {
        outputs: vec![output("y", "FP32", &[rows, 2]), output("label", "BYTES", &[rows])],
        raw_output_contents: vec![scores.into(), b"\x02\0\0\0ok".repeat(rows as usize).into()],
        ..Default::default()
    };
    let answer: Answer = unrow.answer(message.encode_to_vec().into()).unwrap();
    String::from_utf8(answer.body().concat()).unwrap()
}

#[test]
fn paths_name_a_model_and_a_version() {
    let simple = asked("/models/a%2Fb/versions/3", None);
    assert_eq!((&simple.model[..], &simple.version[..]), ("a/b", "3"));
    for path in ["/models", "/models/", "/models/m/infer", "/v2/models/m", "/models/m/versions/1/x", "/"] {
        assert!(Simple::of(&Uri::from_static(path), &HeaderMap::new()).is_none(), "{path}");
    }
}

#[test]
fn a_row_becomes_a_batch_of_one_and_its_answer_a_row() {
    let (request, unrow) = sent(&shop(), r#"{"words": ["x", "yz"], "n": -7, "a": [1, 2.5, 3, 4]}"#).unwrap();
    assert_eq!(shapes(&request), [("words", &[1, 2][..]), ("n", &[1, 1]), ("a", &[1, 4])]);
    assert_eq!(&request.raw_input_contents[0][..], b"\x01\0\0\0x\x02\0\0\0yz");
    assert_eq!(request.raw_input_contents[1][..], [0xf9]);
    assert_eq!(request.raw_input_contents[2][4..8], 2.5f32.to_le_bytes());
    assert_eq!(request.inputs[1].datatype, "INT8");
    assert_eq!(answered(1, &unrow), r#"{"y":[0.1,2.0],"label":"ok"}"#);
    // More rows than were sent are not made fewer.
    assert_eq!(answered(2, &unrow), r#"{"y":[[0.1,2.0],[0.1,2.0]],"label":["ok","ok"]}"#);
}

#[test]
fn a_batch_stays_one() {
    let (request, unrow) = sent(&shop(), r#"{"a": [[1, 2, 3, 4]], "n": [[5]], "words": null}"#).unwrap();
    assert_eq!(shapes(&request), [("a", &[1, 4][..]), ("n", &[1, 1])]);
    assert_eq!(answered(1, &unrow), r#"{"y":[[0.1,2.0]],"label":["ok"]}"#);
}

#[test]
fn rows_are_stacked() {
    let body = r#"{"instances": [{"n": 1, "a": [1, 2, 3, 4]}, {"a": [5, 6, 7, 8], "n": [2]}]}"#;
    let (request, unrow) = sent(&shop(), body).unwrap();
    assert_eq!(shapes(&request), [("n", &[2, 1][..]), ("a", &[2, 4])]);
    assert_eq!(request.raw_input_contents[0][..], [1, 2]);
    assert_eq!(request.raw_input_contents[1][16..20], 5f32.to_le_bytes());
    assert_eq!(answered(2, &unrow), r#"{"y":[[0.1,2.0],[0.1,2.0]],"label":["ok","ok"]}"#);
    let (_, unrow) = sent(&shop(), r#"{"instances": [{"n": 1}]}"#).unwrap();
    assert_eq!(answered(1, &unrow), r#"{"y":[[0.1,2.0]],"label":["ok"]}"#);
}

#[test]
fn parameters_come_from_the_query_and_the_body() {
    let simple = asked("/models/m?timeout=5&a=x+y%21&flag&b=true&n=1.5&timeout=6", Some("id-7"));
    let body = br#"{"n": 1, "parameters": {"timeout": 7, "priority": 1}}"#;
    let (message, _) = simple.request(&shop(), body).unwrap();
    let request = ModelInferRequest::decode(&message.concat()[PREFIX..]).unwrap();
    assert_eq!((&request.id[..], &request.model_name[..]), ("id-7", "m"));
    let of = |choice| InferParameter { parameter_choice: Some(choice) };
    use ParameterChoice::*;
    let expected = [
        ("timeout", Int64Param(7)),
        ("priority", Int64Param(1)),
        ("a", StringParam("x y!".into())),
        ("flag", StringParam(String::new())),
        ("b", BoolParam(true)),
        ("n", DoubleParam(1.5)),
    ];
    assert_eq!(request.parameters, expected.map(|(key, choice)| (key.to_owned(), of(choice))).into());
    let error = asked("/models/m?a=%ff", None).request(&shop(), body).unwrap_err();
    assert_eq!(error.message, "'a=%ff' in the query is not percent-encoded UTF-8");
}

#[test]
fn a_model_may_have_inputs_with_any_name() {
    let signature = signature(&[("parameters", DataType::Int8, &[-1]), ("instances", DataType::Int8, &[-1])]);
    let (request, _) = sent(&signature, r#"{"parameters": 1, "instances": [2]}"#).unwrap();
    assert_eq!(shapes(&request), [("parameters", &[1][..]), ("instances", &[1])]);
}

#[test]
fn what_the_model_does_not_have_is_named_with_what_it_has() {
    let known = "it has 'a' FP32[-1,4], 'words' BYTES[-1,-1], 'n' INT8[-1,1]";
    assert_eq!(refused(&shop(), r#"{"x": 1}"#), format!("model 'm' has no input 'x'; {known}"));
    let row = refused(&shop(), r#"{"instances": [{"n": 1}, {"x": 1}]}"#);
    assert_eq!(row, format!("row 1 of 'instances': model 'm' has no input 'x'; {known}"));
}

#[test]
fn what_does_not_fit_is_refused() {
    for (body, said) in [
        (r#"{"n": 300}"#, "unexpected data for input 'n' of type 'INT8': value 300 does not fit"),
        (r#"{"n": 1.0}"#, "value 1.0 does not fit"),
        (r#"{"n": "1"}"#, r#"value "1" is a string"#),
        (r#"{"words": [1]}"#, "value 1 is a number"),
        (r#"{"a": [1, 2, null, 4]}"#, "expected values of type 'FP32'"),
        (r#"{"a": [1, 2, 3]}"#, "input 'a' of model 'm': expected [-1,4] or one row of it, got [3]"),
        (r#"{"a": 1}"#, "got []"),
        (r#"{"a": [[1, 2, 3, 4], [5]]}"#, "lists side by side have 4 and 1 items"),
        (r#"{"n": 1, "n": 1}"#, "field 'n' is given twice"),
        ("[]", "expected an object of named fields"),
        (r#"{"n": 1} x"#, "trailing characters"),
        (r#"{"parameters": 1}"#, "'parameters' is not an object"),
        (r#"{"parameters": {"k": []}}"#, "parameter 'k' is neither"),
        (r#"{"instances": []}"#, "'instances' is empty"),
        (r#"{"instances": {}}"#, "'instances' is not a list of objects"),
        (r#"{"instances": [1]}"#, "row 0 of 'instances': failed to parse"),
        (r#"{"instances": [{"n": 1}], "n": 1}"#, "found both 'instances' and the input 'n'"),
        (r#"{"instances": [{"n": 1}, {}]}"#, "row 1 of 'instances': it has no 'n', which row 0 has"),
        (r#"{"instances": [{}, {"n": 1}]}"#, "it has 'n', which row 0 has not"),
        (r#"{"instances": [{"words": ["a"]}, {"words": []}]}"#, "has shape [0], but [1] in row 0"),
        (r#"{"instances": [{"a": [[1, 2, 3, 4]]}]}"#, "expected [4], got [1,4]"),
    ] {
        let error = refused(&shop(), body);
        assert!(error.contains(said), "{body}: {error}");
    }
}

#[test]
fn models_that_do_not_batch_are_asked_as_they_are() {
    let fixed = signature(&[("x", DataType::Fp64, &[2]), ("s", DataType::Fp64, &[])]);
    let (request, unrow) = sent(&fixed, r#"{"x": [1, 2], "s": 0.5}"#).unwrap();
    assert_eq!(shapes(&request), [("x", &[2][..]), ("s", &[])]);
    assert_eq!(answered(1, &unrow), r#"{"y":[[0.1,2.0]],"label":["ok"]}"#);
    assert!(refused(&fixed, r#"{"x": [[1, 2]]}"#).contains("expected [2], got [1,2]"));
    let rows = refused(&fixed, r#"{"instances": [{"x": [1, 2]}]}"#);
    assert!(rows.contains("model 'm' takes no rows: it has the input 'x' FP64[2]"), "{rows}");
}

#[test]
fn outputs_without_a_form_in_json_are_refused_before_anything_runs() {
    let mut half = shop();
    half.outputs[0].datatype = DataType::Fp16;
    assert!(refused(&half, r#"{"n": 1}"#).contains("FP16"));
}

#[test]
fn of_fields_without_end_no_more_are_kept_than_show_what_is_wrong() {
    let many: Vec<String> = (0..10_000).map(|index| format!("\"f{index}\":1")).collect();
    let body = format!("{{{}}}", many.join(","));
    assert!(refused(&shop(), &body).contains("no input 'f0'"));
}

#[test]
fn an_answer_that_is_none_is_the_servers_fault() {
    let (_, unrow) = sent(&shop(), "{}").unwrap();
    assert_eq!(unrow.answer(Bytes::from_static(b"junk")).unwrap_err().code, infermesh_wire::Code::Internal);
}
