//! The promise to run a model's next batch on this thread at the end of its turn, so that all requests that were read in
//! this turn share the batch.

use crate::models::Version;
use infermesh_batcher::Drive;
use std::{
    sync::Arc,
    task::{Context, Poll},
};
use tokio::task::{spawn_local, yield_now};

/// Dropped, it is kept by a task that is made for it.
pub struct Promise {
    /// `None` once it is kept.
    version: Option<Arc<Version>>,
    /// Whether everything else that was ready has had its turn.
    has_waited: bool,
}

impl Promise {
    pub fn new(version: Arc<Version>) -> Self {
        Self { version: Some(version), has_waited: false }
    }

    /// Keeps it in the task that asks, the second time it asks: which is at the end of the turn if the task is asked for
    /// nothing else. That saves making a task and waking this one.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if !self.has_waited {
            self.has_waited = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Some(version) = self.version.take()
            && version.scheduler().is_some_and(|scheduler| scheduler.run_here() == Drive::Here)
        {
            spawn_local(keep(version));
        }
        Poll::Ready(())
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        if let Some(version) = self.version.take() {
            spawn_local(keep(version));
        }
    }
}

/// As a task it comes behind every one that is ready now.
async fn keep(version: Arc<Version>) {
    let Some(scheduler) = version.scheduler() else { return };
    while scheduler.run_here() == Drive::Here {
        yield_now().await;
    }
}
