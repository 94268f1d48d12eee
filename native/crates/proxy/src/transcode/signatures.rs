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
use infermesh_wire::{Error, response::Pieces};
use lru::LruCache;
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
pub struct Signatures(Mutex<LruCache<Key, (Arc<Signature>, Instant)>>);

impl Default for Signatures {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(MOST)))
    }
}

impl Signatures {
    fn get(&self, key: &Key, now: Instant) -> Option<Arc<Signature>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (signature, until) = known.get(key)?;
        (now < *until).then(|| signature.clone())
    }

    fn put(&self, key: Key, signature: Arc<Signature>, until: Instant) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put(key, (signature, until));
    }
}

/// The signature of a model, or the answer to who asked for a model that the servers do not have.
pub async fn of(
    call: &Call<'_>,
    model: &str,
    version: &str,
    headers: &HeaderMap,
) -> Result<Result<Arc<Signature>, Answer>, Error> {
    let known = &call.local.shared.signatures;
    let key = (call.route.cluster.name.clone(), model.to_owned(), version.to_owned());
    if let Some(signature) = known.get(&key, Instant::now()) {
        return Ok(Ok(signature));
    }
    let message = Pieces::from_iter([request(model, version)]);
    match unary::ask(call, METADATA, headers.clone(), message).await? {
        Reply::Message(message) => {
            let signature = Arc::new(Signature::decode(message)?);
            known.put(key, signature.clone(), Instant::now() + call.route.metadata_ttl);
            Ok(Ok(signature))
        }
        Reply::Refused { code, message } => Ok(Err(refused(code, &message))),
    }
}
