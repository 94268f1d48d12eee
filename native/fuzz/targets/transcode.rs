//! What a proxy gets from both sides: requests over HTTP, which become gRPC, and answers over gRPC, which
//! become HTTP.

#![no_main]

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use infermesh_rest::{
    Signature,
    coalesce::{Share, merge},
    header::HEADER_LENGTH,
    signature::Port,
    transcode::{Ask, Step},
};
use infermesh_wire::{DataType, Shape, framing::PREFIX, request::InferRequest};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static SIGNATURE: LazyLock<Signature> = LazyLock::new(|| {
    let port = |name: &str, datatype, shape: &[i64]| Port {
        name: name.into(),
        datatype,
        shape: Shape::from_slice(shape),
    };
    let inputs = vec![
        port("x", DataType::Fp32, &[-1, 2]),
        port("n", DataType::Int8, &[-1, 1]),
        port("s", DataType::Bytes, &[-1, -1]),
    ];
    let outputs = vec![port("y", DataType::Fp32, &[-1, 2]), port("s", DataType::Bytes, &[-1])];
    Signature { model: "m".into(), inputs, outputs }
});

const PATHS: [&str; 4] =
    ["/v2/models/m/infer", "/models/m/versions/1?timeout=5", "/v2/models/m/trace/setting", "/v2/logging"];

fuzz_target!(|input: &[u8]| {
    // What is asked for, how long the JSON part is, and how much is the request; the rest is the answer.
    let Some(([path, length, request], input)) = input.split_first_chunk() else { return };
    let (body, answer) = input.split_at(input.len().min(usize::from(*request)));
    let (body, answer) = (Bytes::copy_from_slice(body), Bytes::copy_from_slice(answer));
    let length = HeaderMap::from_iter([(HEADER_LENGTH, usize::from(*length).into())]);
    for headers in [HeaderMap::new(), length] {
        let uri = Uri::from_static(PATHS[usize::from(*path) % PATHS.len()]);
        let ask = Ask::of(&Method::POST, &uri, &headers).expect("the path is served");
        let is_inference = ask.inference().is_some();
        let Ok(Step::Call(call)) = ask.call(body.clone(), Some(&SIGNATURE)) else { continue };
        let message = Bytes::from(call.message.concat()).slice(PREFIX..);
        if is_inference {
            // A server can read it.
            let request = InferRequest::decode(&message).expect("what is written is a request");
            assert!(request.raw_input_contents.len() <= request.inputs.len());
            share(&message, &answer);
        }
        call.back.answer(answer.clone());
    }
    share(&body, &answer);
});

/// With itself.
fn share(message: &Bytes, answer: &Bytes) {
    let Ok(share) = Share::of(message) else { return };
    let rows = share.rows();
    let (pieces, division) =
        merge(&[share, Share::of(message).expect("it was one")]).expect("they are equal");
    let both = Bytes::from(pieces.concat()).slice(PREFIX..);
    // Twice as many rows of nothing may be more than a shape can say.
    if let Ok(both) = Share::of(&both) {
        assert_eq!(both.rows(), 2 * rows);
    }
    if let Ok(answers) = division.divide(answer) {
        assert_eq!(answers.len(), 2);
    }
}
