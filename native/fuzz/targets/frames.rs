//! The bytes of a connection on a unix socket, which are looked at before HTTP/2 sees them.

#![no_main]

use infermesh_server::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((step, input)) = input.split_first() else { return };
    fuzzing::frames(input, usize::from(*step) + 1);
});
