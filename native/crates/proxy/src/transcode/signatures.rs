//! What models take and give, asked for once in a while: of a route's own cluster, whatever share of its requests goes to others.

use crate::{
    call::Call,
    request::unary::{self, Reply},
};
use http::HeaderMap;
use infermesh_rest::{
    Answer, Signature,
    signature::{METADATA, request},
    transcode::refused,
};
use infermesh_wire::{
    Error,
    framing::frame,
    proto::inference::{ModelConfigRequest, ModelConfigResponse, ModelMetadataResponse},
    response::Pieces,
};
use lru::LruCache;
use prost::Message;
use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

/// The path of the call that tells how many rows a model takes.
const CONFIG: &str = "/inference.GRPCInferenceService/ModelConfig";

/// Models that are remembered.
const MOST: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

/// Of a cluster, a model and a version.
type Key = (String, String, String);

/// Shared by the threads of a proxy.
pub struct Signatures {
    known: Mutex<LruCache<Key, (Arc<Known>, Instant)>>,
    batches: Mutex<LruCache<Key, (usize, Instant)>>,
}

/// What a model says of itself.
pub struct Known {
    pub metadata: ModelMetadataResponse,
    pub signature: Signature,
}

impl Default for Signatures {
    fn default() -> Self {
        Self { known: Mutex::new(LruCache::new(MOST)), batches: Mutex::new(LruCache::new(MOST)) }
    }
}

impl Signatures {
    fn get(&self, key: &Key, now: Instant) -> Option<Arc<Known>> {
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, until) = all.get(key)?;
        (now < *until).then(|| known.clone())
    }

    fn put(&self, key: Key, known: Arc<Known>, until: Instant) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).put(key, (known, until));
    }

    fn batch(&self, key: &Key, now: Instant) -> Option<usize> {
        let mut all = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(key).filter(|(_, until)| now < *until).map(|(rows, _)| *rows)
    }

    fn put_batch(&self, key: Key, rows: usize, until: Instant) {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner).put(key, (rows, until));
    }
}

/// The signature of a model, or the answer to who asked for a model that the servers do not have.
pub async fn of(
    call: &Call<'_>,
    model: &str,
    version: &str,
    headers: &HeaderMap,
) -> Result<Result<Arc<Known>, Answer>, Error> {
    let signatures = &call.local.shared.signatures;
    let key = (call.route.cluster.name.clone(), model.to_owned(), version.to_owned());
    if let Some(known) = signatures.get(&key, Instant::now()) {
        return Ok(Ok(known));
    }
    let message = Pieces::from_iter([request(model, version)]);
    match unary::ask(call, &call.route.cluster, METADATA, headers.clone(), message).await? {
        Reply::Message(message) => {
            let metadata = ModelMetadataResponse::decode(message)
                .map_err(|error| Error::internal(format!("a model's metadata cannot be read: {error}")))?;
            let known = Arc::new(Known { signature: Signature::of(metadata.clone())?, metadata });
            signatures.put(key, known.clone(), Instant::now() + call.route.metadata_ttl);
            Ok(Ok(known))
        }
        Reply::Refused { code, message } => Ok(Err(refused(code, &message))),
    }
}

/// Rows that the model takes at once; 1 if that cannot be told.
pub async fn max_batch(call: &Call<'_>, model: &str, version: &str, headers: &HeaderMap) -> usize {
    let signatures = &call.local.shared.signatures;
    let key = (call.route.cluster.name.clone(), model.to_owned(), version.to_owned());
    if let Some(rows) = signatures.batch(&key, Instant::now()) {
        return rows;
    }
    let request = ModelConfigRequest { name: model.to_owned(), version: version.to_owned() };
    let message = Pieces::from_iter([frame(&request)]);
    let rows = match unary::ask(call, &call.route.cluster, CONFIG, headers.clone(), message).await {
        Ok(Reply::Message(message)) => {
            let config = ModelConfigResponse::decode(message).ok().and_then(|answer| answer.config);
            config.map_or(1, |config| usize::try_from(config.max_batch_size).unwrap_or(0).max(1))
        }
        // A server without the call does not say; one that is away is asked again.
        Ok(Reply::Refused { .. }) => 1,
        Err(_) => return 1,
    };
    signatures.put_batch(key, rows, Instant::now() + call.route.metadata_ttl);
    rows
}
