//! What models take and give, asked for once in a while.

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
use infermesh_wire::{Error, proto::inference::ModelMetadataResponse, response::Pieces};
use lru::LruCache;
use prost::Message;
use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

/// Models that are remembered.
const MOST: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

/// Of a cluster, a model and a version.
type Key = (String, String, String);

/// Shared by the threads of a proxy.
pub struct Signatures(Mutex<LruCache<Key, (Arc<Known>, Instant)>>);

/// What a model says of itself.
pub struct Known {
    pub metadata: ModelMetadataResponse,
    pub signature: Signature,
}

impl Default for Signatures {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(MOST)))
    }
}

impl Signatures {
    fn get(&self, key: &Key, now: Instant) -> Option<Arc<Known>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, until) = all.get(key)?;
        (now < *until).then(|| known.clone())
    }

    fn put(&self, key: Key, known: Arc<Known>, until: Instant) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put(key, (known, until));
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
    match unary::ask(call, METADATA, headers.clone(), message).await? {
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
