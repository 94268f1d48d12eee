//! What a server sends to the load generator: frames of HTTP/2 with answers of gRPC in them, or HTTP/1.1.

#![no_main]

use infermesh_loadgen::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    // The protocol, what one read gives, and how much the server reads at a time.
    let Some(([protocol, step, room], input)) = input.split_first_chunk() else { return };
    fuzzing::answers(*protocol, usize::from(*step) + 1, usize::from(*room), input);
});
