//! Follows the files of TLS: what replaces them is used by new connections.

use super::Tls;
use crate::connections::Connections;
use infermesh_telemetry::Log;
use std::{sync::Arc, time::Duration};
use tokio::{task::spawn_blocking, time::interval};

/// How often the files are looked at. They are compared by content, so that it does not matter whether they are
/// written, moved into place or, as Kubernetes does, reached through a symbolic link that is swapped.
const PERIOD: Duration = Duration::from_secs(1);

impl Tls {
    /// Runs until the process drains. Files that cannot be used are reported, and the ones before them stay in use.
    pub async fn follow(self: Arc<Self>, log: Arc<Log>, connections: Arc<Connections>) {
        if !self.begin_following() {
            return;
        }
        let mut ticks = interval(PERIOD);
        let mut reported = None;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = connections.drained() => return,
            }
            let tls = self.clone();
            let Ok(refreshed) = spawn_blocking(move || tls.refresh()).await else { return };
            let path = self.files.certificate.display().to_string();
            match refreshed {
                Ok(false) => {}
                Ok(true) => {
                    reported = None;
                    let said = format!("New connections get the new certificate in {path}");
                    log.info("tls-reloaded", said, [("file.path", path.into())]);
                }
                // Half of a pair may have been replaced so far: the other half makes it whole.
                Err(wrong) if reported.as_ref() != Some(&wrong) => {
                    let said = format!("{wrong}. The certificate before it stays in use");
                    log.warning("tls-reload-failed", said, [("file.path", path.into())]);
                    reported = Some(wrong);
                }
                Err(_) => {}
            }
        }
    }
}
