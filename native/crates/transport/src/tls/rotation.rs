//! What is made of files that are replaced while the process runs: new connections get what is made of the
//! new ones.

use super::files::{Contents, Files};
use crate::connections::Connections;
use infermesh_telemetry::Log;
use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{task::spawn_blocking, time::interval};

/// How often the files are looked at. They are compared by content, so that it does not matter whether they
/// are written, moved into place or, as Kubernetes does, reached through a symbolic link that is swapped.
const PERIOD: Duration = Duration::from_secs(1);

type Make<T> = dyn Fn(&Files, &Contents) -> Result<T, String> + Send + Sync;

pub struct Rotated<T> {
    files: Files,
    make: Box<Make<T>>,
    current: RwLock<Arc<T>>,
    seen: Mutex<Seen>,
    followed: AtomicBool,
}

struct Seen {
    /// As the files were when they could last be read.
    contents: Contents,
    /// Why nothing could be made of these.
    unusable: Option<String>,
    /// What is wrong now, be it that they cannot be read.
    wrong: Option<String>,
    /// Whether somebody has heard of it.
    told: bool,
}

impl<T: Send + Sync + 'static> Rotated<T> {
    /// Fails with what is wrong with which file, and what to do about it.
    pub fn load(
        files: Files,
        make: impl Fn(&Files, &Contents) -> Result<T, String> + Send + Sync + 'static,
    ) -> Result<Self, String> {
        let contents = files.read()?;
        let current = RwLock::new(Arc::new(make(&files, &contents)?));
        let seen = Mutex::new(Seen { contents, unusable: None, wrong: None, told: false });
        Ok(Self { files, make: Box::new(make), current, seen, followed: AtomicBool::new(false) })
    }

    pub fn current(&self) -> Arc<T> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why what there is now is not made of the files as they are now.
    pub fn wrong(&self) -> Option<String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).wrong.clone()
    }

    /// Takes the files anew if they have changed; tells whether that went well, if there is anything to tell.
    /// What was made of the files before stays if these cannot be used. That is told of once, and only when
    /// it is found a second time: half of a pair may have been replaced so far, and the other half makes it
    /// whole.
    pub fn refresh(&self) -> Option<Result<(), String>> {
        let contents = self.files.read();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let contents = match contents {
            Ok(contents) => contents,
            Err(wrong) => return seen.complain(wrong),
        };
        if contents == seen.contents {
            let unusable = seen.unusable.clone();
            if unusable.is_none() {
                seen.wrong = None;
            }
            return unusable.and_then(|wrong| seen.complain(wrong));
        }
        let made = (self.make)(&self.files, &contents);
        seen.contents = contents;
        match made {
            Ok(made) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(made);
                (seen.unusable, seen.wrong) = (None, None);
                Some(Ok(()))
            }
            Err(wrong) => {
                seen.unusable = Some(wrong.clone());
                seen.complain(wrong)
            }
        }
    }

    /// Runs until the process drains, for the first who asks.
    pub async fn follow(self: Arc<Self>, log: Arc<Log>, connections: Arc<Connections>) {
        if self.followed.swap(true, Relaxed) {
            return;
        }
        let path = self.files.certificate.display().to_string();
        let mut ticks = interval(PERIOD);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = connections.drained() => return,
            }
            let rotated = self.clone();
            match spawn_blocking(move || rotated.refresh()).await {
                Ok(None) => {}
                Ok(Some(Ok(()))) => {
                    let said = format!("New connections get the new certificate in {path}");
                    log.info("tls-reloaded", said, [("file.path", path.as_str().into())]);
                }
                Ok(Some(Err(wrong))) => {
                    let said = format!("{wrong}. The certificate before it stays in use");
                    log.warning("tls-reload-failed", said, [("file.path", path.as_str().into())]);
                }
                Err(_) => return,
            }
        }
    }
}

impl Seen {
    fn complain(&mut self, wrong: String) -> Option<Result<(), String>> {
        if self.wrong.as_ref() != Some(&wrong) {
            (self.wrong, self.told) = (Some(wrong), false);
            return None;
        }
        let is_news = !std::mem::replace(&mut self.told, true);
        is_news.then_some(Err(wrong))
    }
}

impl<T> fmt::Debug for Rotated<T> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Rotated").field("files", &self.files).finish_non_exhaustive()
    }
}
