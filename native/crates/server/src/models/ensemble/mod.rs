//! Ensembles: models whose requests other models of this server compute, step by step.
//!
//! `plan` holds a configuration against its members when it is loaded, `admission` counts the requests under way.

mod admission;
pub mod plan;
mod tensors;

use crate::models::{Port, registry::Registry};
use admission::Admission;
use infermesh_batcher::Stats;
use infermesh_wire::{Error, proto::inference::ModelConfig};
use plan::Plan;

pub struct Ensemble {
    pub plan: Plan,
    /// Whether a member needs to know which sequence a request belongs to.
    pub keeps_sequences: bool,
    stats: Stats,
    pub admission: Admission,
}

impl Ensemble {
    /// Fails with INVALID_ARGUMENT naming step, model and tensor.
    pub fn new(
        config: &ModelConfig,
        inputs: &[Port],
        outputs: &[Port],
        registry: &Registry,
    ) -> Result<Self, Error> {
        let plan = Plan::new(config, inputs, outputs, registry)?;
        let sequences = |step: &plan::Step| {
            registry.find(&step.model, &step.version).is_ok_and(|it| it.keeps_sequences())
        };
        let keeps_sequences = plan.steps.iter().any(sequences);
        Ok(Self { plan, keeps_sequences, stats: Stats::default(), admission: Admission::default() })
    }

    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Names and versions of the models it calls, in the order of its steps; no version is the newest.
    pub fn members(&self) -> impl Iterator<Item = (&str, &str)> {
        self.plan.steps.iter().map(|step| (step.model.as_str(), step.version.as_str()))
    }
}
