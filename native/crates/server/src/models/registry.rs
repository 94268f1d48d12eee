//! The models that are there, by name and version.

use super::model::Version;
use infermesh_batcher::Scheduler;
use infermesh_wire::{Code, Error, proto::inference::ModelRepositoryParameter};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};
use tokio::sync::watch;

/// Loads and unloads models on a client's wish; absent where the repository is not under such control. Called on a
/// thread that may block.
pub trait Control: Send + Sync {
    fn load(&self, name: &str, parameters: HashMap<String, ModelRepositoryParameter>) -> Result<(), Error>;
    fn unload(&self, name: &str, dependents: bool) -> Result<(), Error>;
}

#[derive(Clone)]
pub enum Entry {
    Ready(Arc<Version>),
    /// With the reason.
    Unavailable(String),
}

/// What is listed under one name.
#[derive(Default)]
struct Model {
    versions: BTreeMap<i64, Entry>,
    /// Names that stand for a version: `stable`, `canary`.
    labels: BTreeMap<String, i64>,
}

type Models = BTreeMap<String, Model>;

pub struct Registry {
    models: RwLock<Models>,
    ready: watch::Sender<bool>,
}

impl Default for Registry {
    fn default() -> Self {
        Self { models: RwLock::default(), ready: watch::Sender::new(false) }
    }
}

impl Registry {
    /// Makes a version ready; one of the same number that it replaces finishes what it has accepted.
    pub fn insert(&self, version: Version) {
        let (name, number) = (version.name.clone(), version.number);
        let entry = Entry::Ready(Arc::new(version));
        let replaced = self.write().entry(name).or_default().versions.insert(number, entry);
        close(replaced);
    }

    pub fn set_unavailable(&self, name: &str, number: i64, reason: &str) {
        let entry = Entry::Unavailable(reason.to_owned());
        let replaced = self.write().entry(name.to_owned()).or_default().versions.insert(number, entry);
        close(replaced);
    }

    /// Takes a version that has failed for good out of service, and returns it if it still was in it: to be closed on a
    /// thread that may wait for its instances.
    pub fn break_down(&self, name: &str, number: i64, reason: &str) -> Option<Arc<Version>> {
        let mut models = self.write();
        let entry = models.get_mut(name)?.versions.get_mut(&number)?;
        match entry {
            // A later load of the same number may be in its place by now.
            Entry::Ready(version) if version.scheduler().is_some_and(Scheduler::has_failed) => {
                let version = version.clone();
                *entry = Entry::Unavailable(reason.to_owned());
                Some(version)
            }
            _ => None,
        }
    }

    /// Replaces a model's labels, all at once. False if nothing is listed under that name.
    pub fn set_labels(&self, name: &str, labels: BTreeMap<String, i64>) -> bool {
        self.write().get_mut(name).map(|model| model.labels = labels).is_some()
    }

    /// Stops admitting requests and waits for the accepted ones. False if there is no such version.
    pub fn unload(&self, name: &str, number: i64) -> bool {
        let mut models = self.write();
        let Some(model) = models.get_mut(name) else { return false };
        let removed = model.versions.remove(&number);
        if model.versions.is_empty() {
            models.remove(name);
        }
        drop(models);
        let known = removed.is_some();
        close(removed);
        known
    }

    /// Tells every model that little more will come.
    pub fn wind_down(&self) {
        for (_, _, entry) in self.list() {
            if let Entry::Ready(version) = entry {
                version.engine.wind_down();
            }
        }
    }

    /// Finishes and releases every model.
    pub fn clear(&self) {
        let models = std::mem::take(&mut *self.write());
        models
            .into_values()
            .flat_map(|model| model.versions.into_values())
            .for_each(|entry| close(Some(entry)));
    }

    /// Lets go of every model without waiting for what it still runs: for a process that is about to end.
    pub fn abandon(&self) {
        // Forgotten, because dropping a version waits for its threads.
        std::mem::forget(std::mem::take(&mut *self.write()));
    }

    /// The version a request names, by its number or its label; the highest ready one if it names none.
    ///
    /// Fails with NOT_FOUND (unknown), UNAVAILABLE (not ready) or INVALID_ARGUMENT (neither a number nor, where the
    /// model has labels, one of them).
    pub fn find(&self, name: &str, version: &str) -> Result<Arc<Version>, Error> {
        let models = self.read();
        let Some(model) = models.get(name) else { return not_found(&format!("'{name}' is not found")) };
        if version.is_empty() {
            let ready = model.versions.values().rev().find_map(|entry| match entry {
                Entry::Ready(version) => Some(version.clone()),
                Entry::Unavailable(_) => None,
            });
            return ready.map_or_else(|| not_found(&format!("'{name}' has no available versions")), Ok);
        }
        let number = model.number(name, version)?;
        // A label may be anything its owner likes; the number tells what it means now.
        let labelled =
            || if model.labels.contains_key(version) { format!(" ('{version}')") } else { String::new() };
        match model.versions.get(&number) {
            Some(Entry::Ready(version)) => Ok(version.clone()),
            Some(Entry::Unavailable(_)) => Err(Error::new(
                Code::Unavailable,
                format!(
                    "Request for unknown model: '{name}' version {number}{} is not at ready state",
                    labelled()
                ),
            )),
            None => not_found(&format!("'{name}' version {number}{} is not found", labelled())),
        }
    }

    /// Fails with INVALID_ARGUMENT for what no version of the model could be called.
    pub fn check_version(&self, name: &str, version: &str) -> Result<(), Error> {
        match self.read().get(name) {
            Some(model) if !model.labels.is_empty() => Ok(()),
            _ => parse_version(version).map(drop),
        }
    }

    /// Does `work` on a version, and once more on its successor where it was replaced between being found and being used.
    pub fn on<T>(
        &self,
        name: &str,
        version: &str,
        mut work: impl FnMut(Arc<Version>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let found = self.find(name, version)?;
        let outcome = work(found.clone());
        if outcome.is_ok() || !found.engine.is_closed() {
            return outcome;
        }
        work(self.find(name, version)?)
    }

    /// Every version of every model, by name.
    pub fn list(&self) -> Vec<(String, i64, Entry)> {
        let models = self.read();
        let versions = models.iter().flat_map(|(name, model)| {
            model.versions.iter().map(|(number, entry)| (name.clone(), *number, entry.clone()))
        });
        versions.collect()
    }

    pub fn set_ready(&self, ready: bool) {
        self.ready.send_if_modified(|current| std::mem::replace(current, ready) != ready);
    }

    pub fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// Readiness and its changes.
    pub fn watch_ready(&self) -> watch::Receiver<bool> {
        self.ready.subscribe()
    }

    fn read(&self) -> RwLockReadGuard<'_, Models> {
        self.models.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Models> {
        self.models.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Model {
    fn number(&self, name: &str, version: &str) -> Result<i64, Error> {
        let labels = || self.labels.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        match (parse_version(version), self.labels.get(version)) {
            (Ok(number), _) | (Err(_), Some(&number)) => Ok(number),
            (Err(error), None) if self.labels.is_empty() || version.parse::<f64>().is_ok() => Err(error),
            _ => not_found(&format!(
                "'{name}' has no version labelled '{version}', its labels are {}",
                labels()
            )),
        }
    }
}

fn not_found<T>(what: &str) -> Result<T, Error> {
    Err(Error::new(Code::NotFound, format!("Request for unknown model: {what}")))
}

/// Waits here, on the thread that asked for it, so that a network thread that drops the last reference never waits.
fn close(entry: Option<Entry>) {
    if let Some(Entry::Ready(version)) = entry {
        version.close();
    }
}

pub fn parse_version(version: &str) -> Result<i64, Error> {
    version.parse().ok().filter(|number| *number > 0).ok_or_else(|| {
        Error::invalid(format!(
            "failed to get model version from specified version string '{version}', version should be an integral value > 0"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use infermesh_batcher::{Backend, Tensor, TensorView};
    use infermesh_wire::proto::inference::ModelConfig;
    use std::path::Path;

    struct Idle;

    impl Backend for Idle {
        fn run(&mut self, _: &[TensorView<'_>]) -> Result<Vec<Tensor>, Error> {
            Ok(Vec::new())
        }
    }

    fn version(number: i64) -> Version {
        let config = ModelConfig { name: "m".into(), ..Default::default() };
        Version::start(number, config, vec![Box::new(Idle)], Path::new("/"), Box::new(|_| ())).unwrap()
    }

    fn refused<T>() -> Result<T, Error> {
        Err(Error::new(Code::Unavailable, "refused"))
    }

    #[test]
    fn what_was_replaced_after_it_was_found_is_found_again() {
        let registry = Registry::default();
        registry.insert(version(1));
        let mut replacements = 1;
        let served = registry.on("m", "", |found| {
            if replacements > 0 {
                replacements -= 1;
                registry.insert(version(2));
                registry.unload("m", 1);
                return refused();
            }
            Ok(found.number)
        });
        assert_eq!(served.unwrap(), 2);
    }

    #[test]
    fn a_version_that_is_in_service_is_asked_once() {
        let registry = Registry::default();
        registry.insert(version(1));
        let mut asked = 0;
        let outcome: Result<(), _> = registry.on("m", "1", |_| {
            asked += 1;
            refused()
        });
        assert_eq!((outcome.unwrap_err().code, asked), (Code::Unavailable, 1));
    }

    #[test]
    fn what_is_gone_is_not_found() {
        let registry = Registry::default();
        registry.insert(version(1));
        let outcome: Result<(), _> = registry.on("m", "", |_| {
            registry.unload("m", 1);
            refused()
        });
        assert_eq!(outcome.unwrap_err().code, Code::NotFound);
    }
}
