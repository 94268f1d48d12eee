//! Rules against messages that an app or its callers wrote: values taken out of a body as tensors, a value put into it.
//!
//! In front a byte that says which kind of input the model has, then where the value comes from and where it goes, each
//! ended by a line break; the rest is the body.

#![no_main]

use infermesh_proxy::{
    enrich::{Found, Rule, Source, Sources, View},
    proto::{Enrichment, InputField, OutputField},
};
use infermesh_wire::{
    DataType,
    datatype::elements,
    proto::inference::{
        ModelInferRequest, ModelInferResponse, ModelMetadataResponse,
        model_infer_response::InferOutputTensor, model_metadata_response::TensorMetadata,
    },
};
use libfuzzer_sys::fuzz_target;
use prost::Message;

/// What a request's tensors may take.
const LIMIT: usize = 1 << 16;
const KINDS: [(DataType, &[i64]); 8] = [
    (DataType::Fp32, &[-1, 1]),
    (DataType::Fp64, &[-1, -1]),
    (DataType::Bytes, &[-1]),
    (DataType::Int64, &[-1, 3]),
    (DataType::Uint8, &[]),
    (DataType::Bool, &[2]),
    (DataType::Fp16, &[-1, -1, -1]),
    (DataType::Bf16, &[1]),
];

fuzz_target!(|input: &[u8]| {
    let Some((kind, input)) = input.split_first() else { return };
    let mut lines = input.splitn(3, |byte| *byte == b'\n');
    let (Some(source), Some(target), Some(body)) = (lines.next(), lines.next(), lines.next()) else { return };
    let (Ok(source), Ok(target)) = (str::from_utf8(source), str::from_utf8(target)) else { return };
    let (kind, has_default) = (usize::from(kind % 16), kind & 16 != 0);
    if let Some((rule, sources)) = rule(source, target, has_default) {
        take_out(&rule, &sources, KINDS[kind % 8], kind > 7, body);
        put_in(&rule, target, body);
    }
});

/// Whatever is accepted as a place is the same place when it is written down.
fn rule(source: &str, target: &str, has_default: bool) -> Option<(Rule, Sources)> {
    let input = |name: &str, source: &str| InputField {
        name: name.into(),
        source: source.into(),
        default_json: if has_default { "1".into() } else { String::new() },
        ..Default::default()
    };
    let config = Enrichment {
        model: "m".into(),
        inputs: vec![input("x", source), input("once", "method")],
        outputs: vec![OutputField { name: "y".into(), index: 0, target: target.into() }],
        ..Default::default()
    };
    let mut sources = Sources::default();
    let rule = Rule::new(&config, &mut sources).ok()?;
    for text in [source, target] {
        if let Ok(source) = text.parse::<Source>() {
            assert_eq!(source.to_string().parse(), Ok(source));
        }
    }
    Some((rule, sources))
}

/// Tensors have as many bytes as their shape says.
fn take_out(rule: &Rule, sources: &Sources, kind: (DataType, &[i64]), is_batched: bool, body: &[u8]) {
    let tensor = |name: &str, datatype: DataType, shape: &[i64]| TensorMetadata {
        name: name.into(),
        datatype: datatype.name().into(),
        shape: shape.to_vec(),
    };
    let once: &[i64] = if is_batched { &[-1, 1] } else { &[1] };
    let inputs = vec![tensor("x", kind.0, kind.1), tensor("once", DataType::Bytes, once)];
    let metadata = ModelMetadataResponse { inputs, ..Default::default() };
    let ports = rule.bind(&metadata).expect("the model has both");
    let headers = Default::default();
    let view = View { method: "POST", path: "/orders", query: "a=1&b=%20", headers: &headers, body };
    let Ok(request) = rule.request(&ports, &sources.read(view), "", LIMIT) else { return };
    let request = ModelInferRequest::decode(request).expect("it is a message");
    assert!(request.raw_input_contents.iter().map(|raw| raw.len()).sum::<usize>() <= LIMIT);
    for (input, raw) in request.inputs.iter().zip(&request.raw_input_contents) {
        let wanted =
            metadata.inputs.iter().find(|tensor| tensor.name == input.name).expect("it was asked for");
        assert_eq!(input.shape.len(), wanted.shape.len());
        assert!(input.shape.iter().zip(&wanted.shape).all(|(dim, wanted)| *wanted == -1 || dim == wanted));
        let count = input.shape.iter().product::<i64>() as usize;
        match DataType::from_name(&input.datatype).and_then(DataType::size) {
            Some(size) => assert_eq!(raw.len(), count * size),
            None => assert_eq!(elements(raw).flatten().count(), count),
        }
    }
}

/// What was put in is found there, and everything else is as it was.
fn put_in(rule: &Rule, target: &str, body: &[u8]) {
    let output = InferOutputTensor { name: "y".into(), datatype: "FP32".into(), ..Default::default() };
    let raw = 123456.5f32.to_le_bytes().to_vec().into();
    let response =
        ModelInferResponse { outputs: vec![output], raw_output_contents: vec![raw], ..Default::default() };
    let placed = rule.take(&response).expect("it is all there");
    let Ok(Some(spliced)) = placed.body(body) else { return };
    let text = str::from_utf8(&spliced).expect("it was text");
    assert!(serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok());
    let same = |(a, b): &(&u8, &u8)| a == b;
    let head = spliced.iter().zip(body).take_while(same).count();
    let tail = spliced.iter().rev().zip(body.iter().rev()).take_while(same).count();
    let old = value_at(target, body);
    let lost = old.as_deref().or(Some("null")).map_or(0, str::len);
    assert!(head + tail + lost >= body.len(), "more than the value has gone");
    assert_eq!(value_at(target, &spliced).as_deref(), Some("123456.5"));
}

/// As it is written in the body.
fn value_at(target: &str, body: &[u8]) -> Option<String> {
    let source = target.parse().ok()?;
    let (mut sources, headers) = (Sources::default(), Default::default());
    sources.add(&source);
    let view = View { method: "", path: "", query: "", headers: &headers, body };
    match sources.read(view).get(&source).ok()? {
        Found::Json(json) => Some(json.to_owned()),
        _ => None,
    }
}
