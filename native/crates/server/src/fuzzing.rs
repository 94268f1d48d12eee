//! Doors for the fuzz targets to what the network reaches and other crates do not.
//!
//! Each feeds bytes to the code that gets them from a peer, and panics if what it lets through is not what it promises.

use crate::{
    http,
    inference::validate::{Valid, validate},
    memory::shared_memory::Regions,
    models::Version,
};
use bytes::Bytes;
use infermesh_batcher::{Backend, Tensor, TensorView};
use infermesh_transport::peer::authority::Lenient;
use infermesh_wire::{
    DataType, Error,
    datatype::elements,
    proto::inference::{self as pb, ModelConfig, ModelInput, ModelOutput},
    request::InferRequest,
};
use prost::Message;
use std::{
    io,
    path::Path,
    pin::Pin,
    sync::LazyLock,
    task::{Context, Poll, Waker},
};
use tokio::io::{AsyncRead, ReadBuf};

struct Idle;

impl Backend for Idle {
    fn run(&mut self, _: &[TensorView<'_>]) -> Result<Vec<Tensor>, Error> {
        Ok(Vec::new())
    }
}

/// Of fixed and open shape, with a batch and without, of every kind of element.
static MODELS: LazyLock<Vec<Version>> = LazyLock::new(|| {
    let port = |datatype: DataType, dims: &[i64]| ModelInput {
        name: "x".into(),
        data_type: datatype.to_config() as i32,
        dims: dims.to_vec(),
        ..Default::default()
    };
    let version = |input: Vec<ModelInput>, max_batch_size| {
        let output = ModelOutput { name: "y".into(), data_type: 11, dims: vec![2], ..Default::default() };
        let config = ModelConfig {
            name: "m".into(),
            input,
            output: vec![output],
            max_batch_size,
            ..Default::default()
        };
        Version::start(1, config, vec![Box::new(Idle)], Path::new("/"), Box::new(|_| ()))
    };
    let second = ModelInput { name: "z".into(), ..port(DataType::Int64, &[-1, 2]) };
    let optional = |input: ModelInput| ModelInput { optional: true, ..input };
    let maybe = ModelInput { name: "z".into(), ..optional(port(DataType::Bytes, &[-1])) };
    let models = [
        version(vec![port(DataType::Fp32, &[2])], 4),
        version(vec![port(DataType::Fp32, &[-1])], 0),
        version(vec![port(DataType::Bytes, &[-1])], 4),
        version(vec![port(DataType::Bool, &[2]), second], 0),
        version(vec![port(DataType::Int8, &[-1])], 0),
        version(vec![port(DataType::Fp16, &[-1, -1])], 2),
        version(vec![port(DataType::Fp32, &[2]), maybe], 4),
        version(vec![optional(port(DataType::Int64, &[]))], 0),
    ];
    models.into_iter().collect::<Result<_, _>>().expect("the models are right")
});

fn regions() -> Regions {
    Regions::open(1 << 20)
}

/// Bytes and shape of whatever was found valid agree: everything behind takes that for granted.
fn check(version: &Version, valid: &Valid) {
    for (tensor, port) in valid.inputs.iter().zip(&version.inputs) {
        if tensor.is_absent() {
            assert!(port.optional);
            continue;
        }
        let count: i64 = tensor.shape.iter().product();
        match port.datatype.size() {
            Some(size) => assert_eq!(tensor.data.len() as i64, count * size as i64),
            None => {
                assert!(elements(&tensor.data).all(|element| element.is_some()));
                assert_eq!(elements(&tensor.data).count() as i64, count);
            }
        }
        assert!(!version.is_batched() || tensor.shape[0] == valid.rows as i64);
    }
    assert!(!version.is_batched() || (1..=version.config.max_batch_size as usize).contains(&valid.rows));
}

/// A serialised `ModelInferRequest`.
pub fn grpc(message: &[u8]) {
    let message = Bytes::copy_from_slice(message);
    let Ok(request) = InferRequest::decode(&message) else { return };
    // prost decodes what stays undecoded here, so it may refuse what is read; what both read is the same.
    if let Ok(other) = pb::ModelInferRequest::decode(&message[..]) {
        assert_eq!((request.model_name, request.id), (&other.model_name[..], &other.id[..]));
        assert!(request.parameters.iter().count() >= other.parameters.len());
        assert!(request.inputs.iter().zip(&other.inputs).all(|(ours, it)| ours.shape[..] == it.shape));
        assert!(request.raw_input_contents.iter().eq(other.raw_input_contents.iter()));
    }
    for version in MODELS.iter() {
        if let Ok(valid) = validate(version, &request, &message, &regions()) {
            check(version, &valid);
        }
    }
}

/// The body of an inference whose first `length` bytes are JSON.
pub fn http(length: usize, body: &[u8]) {
    let body = Bytes::copy_from_slice(body);
    for version in MODELS.iter() {
        for valid in http::fuzzing::valid(version, length.min(body.len()), &body, &regions()) {
            check(version, &valid);
        }
    }
    if let Ok(path) = std::str::from_utf8(&body) {
        http::fuzzing::path(path);
    }
}

/// What a peer sends on a unix socket, `step` bytes at a time.
pub fn frames(sent: &[u8], step: usize) {
    let mut passed = Vec::new();
    let mut lenient = Lenient::new(Chunks { rest: sent, step });
    let mut context = Context::from_waker(Waker::noop());
    loop {
        let mut space = [0; 512];
        let mut out = ReadBuf::new(&mut space);
        let Poll::Ready(Ok(())) = Pin::new(&mut lenient).poll_read(&mut context, &mut out) else {
            panic!("the chunks are always there");
        };
        if out.filled().is_empty() {
            break;
        }
        passed.extend_from_slice(out.filled());
    }
    // Bytes are replaced, none is added or lost.
    assert_eq!(passed.len(), sent.len());
}

struct Chunks<'a> {
    rest: &'a [u8],
    step: usize,
}

impl AsyncRead for Chunks<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let count = self.step.min(self.rest.len()).min(out.remaining());
        let (now, rest) = self.rest.split_at(count);
        out.put_slice(now);
        self.rest = rest;
        Poll::Ready(Ok(()))
    }
}
