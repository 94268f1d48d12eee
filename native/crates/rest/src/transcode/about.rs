//! Everything but inference: the message of a call, and what is shown of its answer.

use super::{Back, Call, Form, Step};
use crate::{
    OPENAPI,
    answer::{self, Answer},
    describe,
    path::{Action, Aspect, Memory, Route},
    repository, settings, shared_memory, signature,
};
use bytes::Bytes;
use infermesh_wire::{Error, framing::frame, proto::inference as pb, response::Pieces};
use prost::Message;

/// What is asked of the server; `body` is that of a POST.
pub fn ask(route: Route, body: &[u8]) -> Result<Step, Error> {
    Ok(Step::Call(match route {
        Route::OpenApi => return Ok(Step::Answer(answer::json(OPENAPI))),
        Route::Live => call(grpc!("ServerLive"), &pb::ServerLiveRequest {}, |answer| {
            shown(answer, |found| Ok(describe::server_live(&found)))
        }),
        Route::Ready => call(grpc!("ServerReady"), &pb::ServerReadyRequest {}, |answer| {
            shown(answer, |found| Ok(describe::server_ready(&found)))
        }),
        Route::Server => call(grpc!("ServerMetadata"), &pb::ServerMetadataRequest {}, |answer| {
            shown(answer, |found| describe::server_metadata(&found))
        }),
        Route::Index => call(grpc!("RepositoryIndex"), &repository::index_request(body)?, |answer| {
            shown(answer, |found| repository::index(&found))
        }),
        Route::Load(model) => {
            call(grpc!("RepositoryModelLoad"), &repository::load_request(model, body)?, done)
        }
        Route::Unload(model) => {
            call(grpc!("RepositoryModelUnload"), &repository::unload_request(model, body)?, done)
        }
        Route::Traces(model) => {
            call(grpc!("TraceSetting"), &settings::trace_request(model, body)?, |answer| {
                shown(answer, |found| Ok(settings::trace(found)))
            })
        }
        Route::Logging => call(grpc!("LogSettings"), &settings::log_request(body)?, |answer| {
            shown(answer, |found| Ok(settings::log(found)))
        }),
        Route::SharedMemory { memory: Memory::System, region, action } => {
            system_memory(region, action, body)?
        }
        Route::SharedMemory { memory: Memory::Cuda, region, action } => cuda_memory(region, action, body)?,
        Route::AllStatistics => statistics(String::new(), String::new()),
        Route::Model { name, version, aspect } => model(name, version, aspect),
    }))
}

fn model(name: String, version: String, aspect: Aspect) -> Call {
    match aspect {
        Aspect::Metadata => called(signature::METADATA, signature::request(&name, &version), |answer| {
            shown(answer, |found| describe::model_metadata(&found))
        }),
        // An inference is asked for elsewhere; what can be said of one without a body is whether it can be
        // asked for.
        Aspect::Ready | Aspect::Infer => {
            call(grpc!("ModelReady"), &pb::ModelReadyRequest { name, version }, |answer| {
                shown(answer, |found| Ok(describe::model_ready(&found)))
            })
        }
        Aspect::Config => call(grpc!("ModelConfig"), &pb::ModelConfigRequest { name, version }, |answer| {
            shown(answer, |found| describe::model_config(&found))
        }),
        Aspect::Statistics => statistics(name, version),
    }
}

fn statistics(name: String, version: String) -> Call {
    call(grpc!("ModelStatistics"), &pb::ModelStatisticsRequest { name, version }, |answer| {
        shown(answer, |found| describe::statistics(&found))
    })
}

fn system_memory(name: String, action: Action, body: &[u8]) -> Result<Call, Error> {
    Ok(match action {
        Action::Status => {
            let request = pb::SystemSharedMemoryStatusRequest { name };
            call(grpc!("SystemSharedMemoryStatus"), &request, |answer| {
                shown(answer, shared_memory::system_status)
            })
        }
        Action::Register => {
            let request = shared_memory::system_register_request(name, body)?;
            call(grpc!("SystemSharedMemoryRegister"), &request, done)
        }
        Action::Unregister => {
            let request = pb::SystemSharedMemoryUnregisterRequest { name };
            call(grpc!("SystemSharedMemoryUnregister"), &request, done)
        }
    })
}

fn cuda_memory(name: String, action: Action, body: &[u8]) -> Result<Call, Error> {
    Ok(match action {
        Action::Status => {
            let request = pb::CudaSharedMemoryStatusRequest { name };
            call(grpc!("CudaSharedMemoryStatus"), &request, |answer| {
                shown(answer, shared_memory::cuda_status)
            })
        }
        Action::Register => {
            let request = shared_memory::cuda_register_request(name, body)?;
            call(grpc!("CudaSharedMemoryRegister"), &request, done)
        }
        Action::Unregister => {
            let request = pb::CudaSharedMemoryUnregisterRequest { name };
            call(grpc!("CudaSharedMemoryUnregister"), &request, done)
        }
    })
}

fn call(path: &'static str, request: &impl Message, show: fn(Bytes) -> Result<Answer, Error>) -> Call {
    called(path, frame(request), show)
}

fn called(path: &'static str, message: Bytes, show: fn(Bytes) -> Result<Answer, Error>) -> Call {
    Call { path, message: Pieces::from_iter([message]), back: Back(Form::About(show)) }
}

/// Fails with INTERNAL for what is not the answer that it should be.
fn shown<M: Message + Default>(
    answer: Bytes,
    show: impl FnOnce(M) -> Result<Answer, Error>,
) -> Result<Answer, Error> {
    let found = M::decode(answer)
        .map_err(|error| Error::internal(format!("what was answered cannot be read: {error}")))?;
    show(found)
}

/// Of an answer that says nothing.
fn done(_: Bytes) -> Result<Answer, Error> {
    Ok(answer::empty())
}
