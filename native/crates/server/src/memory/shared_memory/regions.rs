//! The regions that are registered, by name. One that is unregistered is released when the last request that uses it
//! is done.

use super::{
    cuda,
    region::{Memory, Region},
};
use infermesh_wire::{Code, Error, framing::too_large};
use std::{
    collections::{BTreeMap, btree_map},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

/// Each region of the system holds a file descriptor, and connections need some, too.
const MAX_REGIONS: usize = 512;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    System,
    Cuda,
}

impl Kind {
    /// As messages call it: in front of "shared memory region", and as the kind of another.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::System => ("system", "system"),
            Self::Cuda => ("cuda", "CUDA"),
        }
    }
}

impl Region {
    fn kind(&self) -> Kind {
        match self.memory {
            Memory::System(_) => Kind::System,
            Memory::Cuda(_) => Kind::Cuda,
        }
    }
}

pub struct Regions {
    /// Why there can be none, where there can be none.
    closed: Option<&'static str>,
    /// What a message may not carry, a region does not get in either: a request of a few bytes would cost as much.
    max_tensor_bytes: usize,
    regions: RwLock<BTreeMap<String, Arc<Region>>>,
}

impl Regions {
    pub fn open(max_tensor_bytes: usize) -> Self {
        Self { closed: None, max_tensor_bytes, regions: RwLock::default() }
    }

    /// For clients that may have none: there are none, and whatever would use one is refused with these words.
    pub fn closed(why: &'static str) -> Self {
        Self { closed: Some(why), ..Self::open(0) }
    }

    /// The extensions of the protocol that are served: CUDA's where there is a device.
    pub fn extensions(&self) -> &'static [&'static str] {
        match self.closed {
            Some(_) => &[],
            None if !cuda::is_there() => &["system_shared_memory"],
            None => &["system_shared_memory", "cuda_shared_memory"],
        }
    }

    /// Fails with RESOURCE_EXHAUSTED for a tensor that is larger than a message may be.
    pub fn check_size(&self, size: usize) -> Result<(), Error> {
        if size <= self.max_tensor_bytes { Ok(()) } else { Err(too_large(size, self.max_tensor_bytes)) }
    }

    /// Registers what `open` opens. Fails with ALREADY_EXISTS, INVALID_ARGUMENT (no name), RESOURCE_EXHAUSTED (too
    /// many), UNIMPLEMENTED (not allowed), or as `open` does.
    pub fn register(
        &self,
        name: String,
        open: impl FnOnce(&str) -> Result<Region, Error>,
    ) -> Result<(), Error> {
        self.check_open()?;
        if name.is_empty() {
            return Err(Error::invalid("'region name' is necessary to register a shared memory region"));
        }
        // Asked before the work, and decided behind it: to open may take long and must not hold the lock.
        self.check_free(&self.read(), &name)?;
        let region = Arc::new(open(&name)?);
        let mut regions = self.write();
        self.check_free(&regions, &name)?;
        regions.insert(name, region);
        Ok(())
    }

    /// Forgets one region of this kind, or all of them if there is no name; one that is unknown is as good as forgotten.
    pub fn unregister(&self, name: &str, kind: Kind) -> Result<(), Error> {
        self.check_open()?;
        let mut regions = self.write();
        if name.is_empty() {
            regions.retain(|_, region| region.kind() != kind);
        } else if let btree_map::Entry::Occupied(entry) = regions.entry(name.to_owned())
            && entry.get().kind() == kind
        {
            entry.remove();
        }
        Ok(())
    }

    /// The region of this kind with this name, or all of the kind if there is no name. Fails with NOT_FOUND.
    pub fn list(&self, name: &str, kind: Kind) -> Result<Vec<Arc<Region>>, Error> {
        let regions = self.read();
        if name.is_empty() {
            return Ok(regions.values().filter(|region| region.kind() == kind).cloned().collect());
        }
        match regions.get(name) {
            Some(region) if region.kind() == kind => Ok(vec![region.clone()]),
            Some(region) => Err(not_found(format!(
                "The region named '{name}' is registered as {} shared memory, not {} shared memory",
                region.kind().names().1,
                kind.names().1
            ))),
            None => {
                Err(not_found(format!("Unable to find {} shared memory region: '{name}'", kind.names().0)))
            }
        }
    }

    /// The region that a request means. Fails with NOT_FOUND, or UNIMPLEMENTED (not allowed).
    pub fn find(&self, name: &str) -> Result<Arc<Region>, Error> {
        self.check_open()?;
        let found = self.read().get(name).cloned();
        found.ok_or_else(|| not_found(format!("Unable to find shared memory region: '{name}'")))
    }

    fn check_open(&self) -> Result<(), Error> {
        self.closed.map_or(Ok(()), |why| Err(Error::new(Code::Unimplemented, why)))
    }

    fn check_free(&self, regions: &BTreeMap<String, Arc<Region>>, name: &str) -> Result<(), Error> {
        if regions.contains_key(name) {
            return Err(Error::new(
                Code::AlreadyExists,
                format!("shared memory region '{name}' already in manager"),
            ));
        }
        if regions.len() >= MAX_REGIONS {
            return Err(Error::new(
                Code::ResourceExhausted,
                format!("shared memory region '{name}' is one too many: there may be {MAX_REGIONS}"),
            ));
        }
        Ok(())
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Arc<Region>>> {
        self.regions.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Arc<Region>>> {
        self.regions.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_found(message: String) -> Error {
    Error::new(Code::NotFound, message)
}
