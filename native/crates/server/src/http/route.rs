//! From a path to the one who answers it.

use super::{answer::Answer as Sent, body, errors, infer};
use crate::{
    control::{describe, settings, shared_memory, statistics},
    shared::Local,
};
use bytes::Bytes;
use hyper::{Method, Request, body::Incoming};
use infermesh_rest::{
    self as rest, Answer, OPENAPI, answer,
    path::{Action, Aspect, Memory, Route},
    repository,
};
use infermesh_transport::budget::Hold;
use infermesh_wire::{
    Error,
    proto::inference::{
        CudaSharedMemoryStatusRequest, CudaSharedMemoryUnregisterRequest, ModelConfigRequest,
        ModelMetadataRequest, ModelStatisticsRequest, SystemSharedMemoryStatusRequest,
        SystemSharedMemoryUnregisterRequest,
    },
};
use std::rc::Rc;

/// Answers one request, whatever it is.
pub async fn serve(local: Rc<Local>, request: Request<Incoming>) -> Sent {
    let route = match Route::of(request.method(), request.uri().path()) {
        Ok(route) => route,
        Err(refused) => return refused.map(Into::into),
    };
    match handle(&local, route, request).await {
        Ok(answer) => answer.map(Into::into),
        Err(error) => errors::answer(error),
    }
}

async fn handle(local: &Local, route: Route, request: Request<Incoming>) -> Result<Answer, Error> {
    if let Route::Model { name, version, aspect: Aspect::Infer } = &route {
        return infer::serve(local, name, version, request).await;
    }
    let (head, body) = request.into_parts();
    // Read even where it says nothing, so that the connection can be used again.
    let mut hold = Hold::none(&local.purse);
    let body = body::receive(local, &head.headers, body, &mut hold).await?;
    let body = if head.method == Method::POST { body } else { Bytes::new() };
    Box::pin(about(local, route, body)).await
}

/// Everything but inference.
async fn about(local: &Local, route: Route, body: Bytes) -> Result<Answer, Error> {
    match route {
        Route::Live => Ok(rest::describe::server_live(&describe::server_live())),
        Route::Ready => Ok(rest::describe::server_ready(&describe::server_ready(local))),
        Route::OpenApi => Ok(answer::json(OPENAPI)),
        Route::Server => rest::describe::server_metadata(&describe::server_metadata(local)),
        Route::Index => {
            repository::index(&describe::repository_index(local, repository::index_request(&body)?))
        }
        Route::Load(model) => {
            describe::load(local, repository::load_request(model, &body)?).await?;
            Ok(answer::empty())
        }
        Route::Unload(model) => {
            describe::unload(local, repository::unload_request(model, &body)?).await?;
            Ok(answer::empty())
        }
        Route::Traces(model) => {
            let request = rest::settings::trace_request(model, &body)?;
            settings::trace_setting(local, request).map(rest::settings::trace)
        }
        Route::Logging => {
            let request = rest::settings::log_request(&body)?;
            settings::log_settings(local, request).await.map(rest::settings::log)
        }
        Route::SharedMemory { memory: Memory::System, region, action } => {
            system_memory(local, region, action, &body)
        }
        Route::SharedMemory { memory: Memory::Cuda, region, action } => {
            cuda_memory(local, region, action, &body).await
        }
        Route::AllStatistics => statistics(local, String::new(), String::new()),
        Route::Model { name, version, aspect } => model(local, name, version, aspect),
    }
}

fn model(local: &Local, name: String, version: String, aspect: Aspect) -> Result<Answer, Error> {
    match aspect {
        Aspect::Ready | Aspect::Infer => match local.shared.registry.find(&name, &version) {
            Ok(_) => Ok(answer::empty()),
            Err(error) => Ok(rest::describe::model_not_ready(&error)),
        },
        Aspect::Metadata => rest::describe::model_metadata(&describe::model_metadata(
            local,
            ModelMetadataRequest { name, version },
        )?),
        Aspect::Config => rest::describe::model_config(&describe::model_config(
            local,
            ModelConfigRequest { name, version },
        )?),
        Aspect::Statistics => statistics(local, name, version),
    }
}

fn statistics(local: &Local, name: String, version: String) -> Result<Answer, Error> {
    let found = statistics::model_statistics(local, ModelStatisticsRequest { name, version })?;
    rest::describe::statistics(&found)
}

fn system_memory(local: &Local, name: String, action: Action, body: &[u8]) -> Result<Answer, Error> {
    match action {
        Action::Status => {
            let found = shared_memory::system_status(local, SystemSharedMemoryStatusRequest { name })?;
            return rest::shared_memory::system_status(found);
        }
        Action::Register => {
            let request = rest::shared_memory::system_register_request(name, body)?;
            shared_memory::system_register(local, request)?;
        }
        Action::Unregister => {
            shared_memory::system_unregister(local, SystemSharedMemoryUnregisterRequest { name })?;
        }
    }
    Ok(answer::empty())
}

async fn cuda_memory(local: &Local, name: String, action: Action, body: &[u8]) -> Result<Answer, Error> {
    match action {
        Action::Status => {
            let found = shared_memory::cuda_status(local, CudaSharedMemoryStatusRequest { name })?;
            return rest::shared_memory::cuda_status(found);
        }
        Action::Register => {
            let request = rest::shared_memory::cuda_register_request(name, body)?;
            shared_memory::cuda_register(local, request).await?;
        }
        Action::Unregister => {
            shared_memory::cuda_unregister(local, CudaSharedMemoryUnregisterRequest { name })?;
        }
    }
    Ok(answer::empty())
}
