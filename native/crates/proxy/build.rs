//! Compiles the proxy's protos in process, so that a build needs no protoc.

use std::{env, error::Error, path::PathBuf};

const PROTOS: [&str; 2] = ["infermesh/proxy/v1/proxy.proto", "infermesh/capture/v1/capture.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../../protos");
    for proto in PROTOS {
        println!("cargo:rerun-if-changed={}", root.join(proto).display());
    }
    prost_build::Config::new().compile_fds(protox::compile(PROTOS, [&root])?)?;
    Ok(())
}
