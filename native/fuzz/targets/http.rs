//! A body of `POST /v2/models/.../infer`: JSON, JSON with a binary tail, and one raw tensor; and a path.

#![no_main]

use infermesh_server::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    // The first two bytes stand for the header that says how long the JSON part is.
    let Some((length, body)) = input.split_first_chunk() else { return };
    fuzzing::http(usize::from(u16::from_le_bytes(*length)), body);
});
