//! What answers a version's requests.

use super::ensemble::Ensemble;
use infermesh_batcher::{Scheduler, Stats};

// There is one per version, behind an `Arc`, and the scheduler is the common one.
#[allow(clippy::large_enum_variant)]
pub enum Engine {
    /// A queue with instances behind it.
    Scheduler(Scheduler),
    /// Other models.
    Ensemble(Ensemble),
}

impl Engine {
    pub fn stats(&self) -> &Stats {
        match self {
            Self::Scheduler(scheduler) => scheduler.stats(),
            Self::Ensemble(ensemble) => ensemble.stats(),
        }
    }

    /// Requests that wait for an instance; those of an ensemble wait with its members.
    pub fn pending(&self) -> usize {
        match self {
            Self::Scheduler(scheduler) => scheduler.pending(),
            Self::Ensemble(_) => 0,
        }
    }

    /// Whether it admits nothing more, because its model is being unloaded or replaced.
    pub fn is_closed(&self) -> bool {
        match self {
            Self::Scheduler(scheduler) => scheduler.is_closed(),
            Self::Ensemble(ensemble) => ensemble.admission.is_closed(),
        }
    }

    /// Little more will come: what waits for company waits no longer.
    pub fn wind_down(&self) {
        if let Self::Scheduler(scheduler) = self {
            scheduler.wind_down();
        }
    }

    /// Whether requests belong together here or in a member.
    pub fn keeps_sequences(&self) -> bool {
        match self {
            Self::Scheduler(scheduler) => scheduler.policy().sequences.is_some(),
            Self::Ensemble(ensemble) => ensemble.keeps_sequences,
        }
    }

    /// Admits nothing more and returns when everything accepted is over.
    pub fn close(&self) {
        match self {
            Self::Scheduler(scheduler) => scheduler.close(),
            Self::Ensemble(ensemble) => ensemble.admission.close(),
        }
    }
}
