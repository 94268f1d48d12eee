//! Compiles the proxy's proto in process, so that a build needs no protoc.

use std::{env, error::Error, path::PathBuf};

const PROTO: &str = "infermesh/proxy/v1/proxy.proto";

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../../protos");
    println!("cargo:rerun-if-changed={}", root.join(PROTO).display());
    prost_build::Config::new().compile_fds(protox::compile([PROTO], [&root])?)?;
    Ok(())
}
