//! From a path to the method that answers it.

use super::{
    call::{Body, Call},
    health, reflection, stream, unary,
};
use crate::{
    control::{describe, settings, shared_memory, statistics},
    inference::timing,
    observe::watch::{Edge, Origin},
    shared::{Local, shutting_down},
};
use bytes::Bytes;
use infermesh_wire::{Code, Error, framing::frame, reader::malformed};
use prost::Message;
use std::rc::Rc;
use tokio::task::spawn_local;

/// The service of the protocol; `package.Service` as in `protos/`.
pub const INFERENCE: &str = "inference.GRPCInferenceService";

/// Of the paths of its methods.
const PREFIX: &str = "/inference.GRPCInferenceService/";

/// Answers one call, whatever it is, in a task of its own. Each kind of call has its own kind of task, as a task is as
/// large as what it may ever hold, and moved as a whole several times.
pub fn answer(local: &Rc<Local>, call: Call) {
    if let Some(status) = call.http_error() {
        return call.reject_http(status);
    }
    let uri = call.uri.clone();
    let path = uri.path();
    let in_stream_errors = stream::wants_status(&call.headers);
    let grpc = |method| Edge::Grpc { service: INFERENCE, method };
    let origin = match path.strip_prefix(PREFIX) {
        Some("ModelInfer") => Origin::of(local, &call.headers, || grpc("ModelInfer")),
        Some("ModelStreamInfer") => Origin::of(local, &call.headers, || grpc("ModelStreamInfer")),
        _ => None,
    };
    let timed = timing::is_asked(&call.headers);
    let (messages, reply) = match call.open(local.shared.max_message_bytes) {
        Ok(opened) => opened,
        Err((error, reply)) => return reply.close(Err(error)),
    };
    if local.shared.is_draining() {
        return reply.close(Err(shutting_down("GRPC")));
    }
    let Some(name) = path.strip_prefix('/').and_then(|path| path.rsplit_once('/')) else {
        return reply.close(Err(unknown(path)));
    };
    let local = local.clone();
    match name {
        (INFERENCE, "ModelInfer") => drop(spawn_local(unary::infer(local, messages, reply, origin, timed))),
        (INFERENCE, "ModelStreamInfer") => {
            drop(spawn_local(stream::serve(local, messages, reply, in_stream_errors, origin)));
        }
        ("grpc.health.v1.Health", "Watch") => drop(spawn_local(health::watch(local, messages, reply))),
        (
            "grpc.reflection.v1.ServerReflection" | "grpc.reflection.v1alpha.ServerReflection",
            "ServerReflectionInfo",
        ) => drop(spawn_local(reflection::serve(local, messages, reply))),
        _ => drop(spawn_local(unary::control(local, messages, reply, uri))),
    }
}

/// The answer to the one message of a call that is no inference.
pub async fn control(local: &Local, path: &str, message: Bytes) -> Result<Body, Error> {
    match path.strip_prefix('/').and_then(|path| path.rsplit_once('/')) {
        Some((INFERENCE, method)) => inference(local, method, message).await,
        Some(("grpc.health.v1.Health", "Check")) => {
            health::check(local, decode(&message)?).map(|it| body(&it))
        }
        Some(("grpc.health.v1.Health", "List")) => Ok(body(&health::list(local))),
        _ => Err(unknown(path)),
    }
}

/// The methods of the inference service that are not inferences.
async fn inference(local: &Local, method: &str, message: Bytes) -> Result<Body, Error> {
    match method {
        "ServerLive" => Ok(body(&describe::server_live())),
        "ServerReady" => Ok(body(&describe::server_ready(local))),
        "ServerMetadata" => Ok(body(&describe::server_metadata(local))),
        "ModelReady" => describe::model_ready(local, decode(&message)?).map(|it| body(&it)),
        "ModelMetadata" => describe::model_metadata(local, decode(&message)?).map(|it| body(&it)),
        "ModelConfig" => describe::model_config(local, decode(&message)?).map(|it| body(&it)),
        "ModelStatistics" => statistics::model_statistics(local, decode(&message)?).map(|it| body(&it)),
        "RepositoryIndex" => Ok(body(&describe::repository_index(local, decode(&message)?))),
        "RepositoryModelLoad" => describe::load(local, decode(&message)?).await.map(|it| body(&it)),
        "RepositoryModelUnload" => describe::unload(local, decode(&message)?).await.map(|it| body(&it)),
        "TraceSetting" => settings::trace_setting(local, decode(&message)?).map(|it| body(&it)),
        "LogSettings" => settings::log_settings(local, decode(&message)?).await.map(|it| body(&it)),
        "SystemSharedMemoryStatus" => {
            shared_memory::system_status(local, decode(&message)?).map(|it| body(&it))
        }
        "SystemSharedMemoryRegister" => {
            shared_memory::system_register(local, decode(&message)?).map(|it| body(&it))
        }
        "SystemSharedMemoryUnregister" => {
            shared_memory::system_unregister(local, decode(&message)?).map(|it| body(&it))
        }
        "CudaSharedMemoryStatus" => shared_memory::cuda_status(local, decode(&message)?).map(|it| body(&it)),
        "CudaSharedMemoryRegister" => {
            shared_memory::cuda_register(local, decode(&message)?).await.map(|it| body(&it))
        }
        "CudaSharedMemoryUnregister" => {
            shared_memory::cuda_unregister(local, decode(&message)?).map(|it| body(&it))
        }
        _ => Err(unknown(&format!("/{INFERENCE}/{method}"))),
    }
}

fn decode<M: Message + Default>(message: &Bytes) -> Result<M, Error> {
    M::decode(message.clone()).map_err(|error| malformed(&error.to_string()))
}

fn body(message: &impl Message) -> Body {
    frame(message).into()
}

fn unknown(path: &str) -> Error {
    Error::new(
        Code::Unimplemented,
        format!("unknown method {path}; reflection lists the services of this server"),
    )
}
