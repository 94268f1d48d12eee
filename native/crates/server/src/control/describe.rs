//! Answers about the server and its models.

use crate::{
    models::{
        Port,
        registry::{Control, Entry},
    },
    shared::Local,
};
use infermesh_wire::{
    Code, Error,
    proto::inference::{
        ModelConfigRequest, ModelConfigResponse, ModelMetadataRequest, ModelMetadataResponse,
        ModelReadyRequest, ModelReadyResponse, RepositoryIndexRequest, RepositoryIndexResponse,
        RepositoryModelLoadRequest, RepositoryModelLoadResponse, RepositoryModelUnloadRequest,
        RepositoryModelUnloadResponse, ServerLiveResponse, ServerMetadataResponse, ServerReadyResponse,
        model_metadata_response::TensorMetadata, model_repository_parameter::ParameterChoice,
        repository_index_response::ModelIndex,
    },
};
use std::sync::Arc;

/// Extensions of the protocol that this server serves, besides those that depend on how it was started.
const EXTENSIONS: [&str; 8] = [
    "binary_tensor_data",
    "classification",
    "logging",
    "model_configuration",
    "model_repository",
    "parameters",
    "statistics",
    "trace",
];

pub fn server_live() -> ServerLiveResponse {
    ServerLiveResponse { live: true }
}

pub fn server_ready(local: &Local) -> ServerReadyResponse {
    ServerReadyResponse { ready: local.shared.registry.is_ready() }
}

pub fn server_metadata(local: &Local) -> ServerMetadataResponse {
    let shared_memory = local.regions.extensions();
    ServerMetadataResponse {
        name: local.shared.name.clone(),
        version: local.shared.version.clone(),
        extensions: EXTENSIONS.iter().chain(shared_memory).map(|&it| it.to_owned()).collect(),
    }
}

/// Not ready, rather than an error, for a model that is not there.
pub fn model_ready(local: &Local, request: ModelReadyRequest) -> Result<ModelReadyResponse, Error> {
    if !request.version.is_empty() {
        local.shared.registry.check_version(&request.name, &request.version)?;
    }
    Ok(ModelReadyResponse { ready: local.shared.registry.find(&request.name, &request.version).is_ok() })
}

pub fn model_metadata(local: &Local, request: ModelMetadataRequest) -> Result<ModelMetadataResponse, Error> {
    let version = local.shared.registry.find(&request.name, &request.version)?;
    let versions = if request.version.is_empty() {
        let all = local.shared.registry.list().into_iter();
        all.filter(|(name, _, entry)| *name == request.name && matches!(entry, Entry::Ready(_)))
            .map(|(_, number, _)| number.to_string())
            .collect()
    } else {
        vec![version.number.to_string()]
    };
    let tensors = |ports: &[Port]| {
        let metadata = ports.iter().map(|port| TensorMetadata {
            name: port.name.clone(),
            datatype: port.datatype.name().to_owned(),
            shape: port.shape.to_vec(),
        });
        metadata.collect()
    };
    Ok(ModelMetadataResponse {
        name: version.name.clone(),
        versions,
        platform: version.config.platform.clone(),
        inputs: tensors(&version.inputs),
        outputs: tensors(&version.outputs),
    })
}

pub fn model_config(local: &Local, request: ModelConfigRequest) -> Result<ModelConfigResponse, Error> {
    let version = local.shared.registry.find(&request.name, &request.version)?;
    Ok(ModelConfigResponse { config: Some(version.config.clone()) })
}

pub fn repository_index(local: &Local, request: RepositoryIndexRequest) -> RepositoryIndexResponse {
    let all = local.shared.registry.list().into_iter();
    let models = all.filter_map(|(name, number, entry)| match entry {
        Entry::Ready(_) => Some(ModelIndex {
            name,
            version: number.to_string(),
            state: "READY".into(),
            reason: String::new(),
        }),
        Entry::Unavailable(_) if request.ready => None,
        Entry::Unavailable(reason) => {
            // A model without any version has none to show.
            let version = if number > 0 { number.to_string() } else { String::new() };
            Some(ModelIndex { name, version, state: "UNAVAILABLE".into(), reason })
        }
    });
    RepositoryIndexResponse { models: models.collect() }
}

pub async fn load(
    local: &Local,
    request: RepositoryModelLoadRequest,
) -> Result<RepositoryModelLoadResponse, Error> {
    let control = control(local, "load")?;
    blocking(move || control.load(&request.model_name, request.parameters)).await?;
    Ok(RepositoryModelLoadResponse {})
}

pub async fn unload(
    local: &Local,
    request: RepositoryModelUnloadRequest,
) -> Result<RepositoryModelUnloadResponse, Error> {
    let control = control(local, "unload")?;
    let dependents = request
        .parameters
        .get("unload_dependents")
        .is_some_and(|it| it.parameter_choice == Some(ParameterChoice::BoolParam(true)));
    blocking(move || control.unload(&request.model_name, dependents)).await?;
    Ok(RepositoryModelUnloadResponse {})
}

fn control(local: &Local, action: &str) -> Result<Arc<dyn Control>, Error> {
    local.shared.control.get().cloned().ok_or_else(|| {
        Error::new(
            Code::Unavailable,
            format!("explicit model load / unload is not allowed: to {action} models, serve with --model-control-mode explicit"),
        )
    })
}

/// Loading takes as long as it takes; the network thread goes on meanwhile.
async fn blocking(work: impl FnOnce() -> Result<(), Error> + Send + 'static) -> Result<(), Error> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|_| Err(Error::internal("the repository control panicked")))
}
