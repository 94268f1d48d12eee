//! A `ModelInferRequest` as it arrives, compressed or not: decoded, held against models, or refused.

#![no_main]

use infermesh_server::fuzzing;
use infermesh_wire::framing::{Encoding, encode_message, parse_timeout};
use libfuzzer_sys::fuzz_target;

/// What an inflated message may take.
const LIMIT: usize = 1 << 16;

fuzz_target!(|input: &[u8]| {
    fuzzing::grpc(input);
    for encoding in [Encoding::Gzip, Encoding::Deflate] {
        if let Ok(message) = encoding.decompress(input, LIMIT) {
            assert!(message.len() <= LIMIT);
            fuzzing::grpc(&message);
        }
    }
    if let Ok(text) = std::str::from_utf8(input) {
        let _ = parse_timeout(text);
        assert!(encode_message(text).bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    }
});
