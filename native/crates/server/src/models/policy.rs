//! A model configuration's scheduling, as the batcher takes it.

use infermesh_batcher::{LevelPolicy, Policy, TimeoutAction, parameters, queue::DEFAULT_MAX_QUEUE_SIZE};
use infermesh_wire::{
    Error,
    proto::inference::{
        ModelConfig, ModelDynamicBatching, ModelQueuePolicy, model_config::SchedulingChoice,
        model_queue_policy,
    },
};
use std::time::Duration;

/// Each level has memory of its own and is looked at for every batch.
const MOST_PRIORITY_LEVELS: u64 = 1_000;

/// Fails with INVALID_ARGUMENT naming the field, what was found and what is expected.
pub fn policy(config: &ModelConfig) -> Result<Policy, Error> {
    let max_batch_size = usize::try_from(config.max_batch_size).map_err(|_| {
        Error::invalid(format!("max_batch_size is {}, expected 0 or more", config.max_batch_size))
    })?;
    let plain = Policy { max_batch_size, slo: parameters::slo(config)?, ..Policy::default() };
    let decoupled = config.model_transaction_policy.is_some_and(|policy| policy.decoupled);
    if decoupled && plain.slo.is_some() {
        return Err(Error::invalid("slo_ms is for requests with one answer, but the model is decoupled"));
    }
    match &config.scheduling_choice {
        None => Ok(plain),
        Some(SchedulingChoice::DynamicBatching(dynamic)) => {
            let levels = levels(dynamic)?;
            if decoupled && dynamic.preserve_ordering {
                return Err(Error::invalid(
                    "preserve_ordering is for requests with one answer, but the model is decoupled",
                ));
            }
            Ok(Policy {
                // Answers of a request that come one by one cannot be split from those of another.
                dynamic: max_batch_size > 0 && !decoupled,
                preferred_batch_sizes: preferred(dynamic, max_batch_size)?,
                max_queue_delay: Duration::from_micros(dynamic.max_queue_delay_microseconds),
                preserve_ordering: dynamic.preserve_ordering,
                default_level: default_level(dynamic)?,
                levels,
                ..plain
            })
        }
        // Its sequences form the batches; a request may say how long it waits.
        Some(SchedulingChoice::SequenceBatching(_)) => {
            if plain.slo.is_some() {
                return Err(Error::invalid("slo_ms is not for models that serve sequences"));
            }
            let level = LevelPolicy { allow_timeout_override: true, ..LevelPolicy::default() };
            Ok(Policy { levels: vec![level], ..plain })
        }
        Some(SchedulingChoice::EnsembleScheduling(_)) => {
            Err(Error::invalid("ensemble_scheduling is for models of platform \"ensemble\""))
        }
    }
}

fn preferred(dynamic: &ModelDynamicBatching, max_batch_size: usize) -> Result<Vec<usize>, Error> {
    let sizes = dynamic.preferred_batch_size.iter().map(|&size| {
        usize::try_from(size).ok().filter(|size| (1..=max_batch_size).contains(size)).ok_or_else(|| {
            Error::invalid(format!(
                "preferred_batch_size {size} is not between 1 and max_batch_size, which is {max_batch_size}"
            ))
        })
    });
    let mut sizes = sizes.collect::<Result<Vec<_>, _>>()?;
    sizes.sort_unstable();
    Ok(sizes)
}

fn levels(dynamic: &ModelDynamicBatching) -> Result<Vec<LevelPolicy>, Error> {
    let count = dynamic.priority_levels;
    if count > MOST_PRIORITY_LEVELS {
        return Err(Error::invalid(format!(
            "priority_levels is {count}, expected at most {MOST_PRIORITY_LEVELS}"
        )));
    }
    if let Some(level) = dynamic.priority_queue_policy.keys().find(|level| !(1..=count).contains(level)) {
        return Err(Error::invalid(format!(
            "priority_queue_policy is for level {level}, expected a level from 1 to priority_levels, which is {count}"
        )));
    }
    let usual = dynamic.default_queue_policy.unwrap_or_default();
    let policy = |level| dynamic.priority_queue_policy.get(&level).copied().unwrap_or(usual);
    Ok((1..=count.max(1)).map(|level| level_policy(policy(level))).collect())
}

fn default_level(dynamic: &ModelDynamicBatching) -> Result<usize, Error> {
    let (count, level) = (dynamic.priority_levels, dynamic.default_priority_level);
    if count == 0 {
        return Ok(0);
    }
    if !(1..=count).contains(&level) {
        return Err(Error::invalid(format!(
            "default_priority_level is {level}, expected a level from 1 to priority_levels, which is {count}"
        )));
    }
    Ok(level as usize - 1)
}

fn level_policy(policy: ModelQueuePolicy) -> LevelPolicy {
    LevelPolicy {
        max_queue_size: match policy.max_queue_size {
            0 => DEFAULT_MAX_QUEUE_SIZE,
            size => size as usize,
        },
        timeout: match policy.default_timeout_microseconds {
            0 => None,
            micros => Some(Duration::from_micros(micros)),
        },
        allow_timeout_override: policy.allow_timeout_override,
        timeout_action: match policy.timeout_action() {
            model_queue_policy::TimeoutAction::Reject => TimeoutAction::Refuse,
            model_queue_policy::TimeoutAction::Delay => TimeoutAction::Delay,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(dynamic: ModelDynamicBatching) -> Result<Policy, Error> {
        policy(&ModelConfig {
            max_batch_size: 8,
            scheduling_choice: Some(SchedulingChoice::DynamicBatching(dynamic)),
            ..Default::default()
        })
    }

    #[test]
    fn every_level_has_its_own_policy_or_the_default() {
        let own = ModelQueuePolicy { max_queue_size: 3, timeout_action: 1, ..Default::default() };
        let usual = ModelQueuePolicy { default_timeout_microseconds: 7, ..Default::default() };
        let policy = read(ModelDynamicBatching {
            priority_levels: 3,
            default_priority_level: 2,
            default_queue_policy: Some(usual),
            priority_queue_policy: [(3, own)].into(),
            ..Default::default()
        });
        let policy = policy.unwrap();
        let usual = LevelPolicy { timeout: Some(Duration::from_micros(7)), ..LevelPolicy::default() };
        let own =
            LevelPolicy { max_queue_size: 3, timeout_action: TimeoutAction::Delay, ..LevelPolicy::default() };
        assert_eq!((policy.levels, policy.default_level), (vec![usual, usual, own], 1));
    }

    #[test]
    fn what_needs_one_answer_is_refused_for_decoupled_models() {
        use infermesh_wire::proto::inference::{ModelParameter, ModelTransactionPolicy};
        let decoupled = ModelConfig {
            model_transaction_policy: Some(ModelTransactionPolicy { decoupled: true }),
            ..Default::default()
        };
        assert!(policy(&decoupled).is_ok());
        let parameters = [("slo_ms".to_owned(), ModelParameter { string_value: "5".into() })].into();
        let error = policy(&ModelConfig { parameters, ..decoupled.clone() }).unwrap_err();
        assert!(error.message.starts_with("slo_ms is for"), "{error}");
        let dynamic = ModelDynamicBatching { preserve_ordering: true, ..Default::default() };
        let scheduling_choice = Some(SchedulingChoice::DynamicBatching(dynamic));
        let error = policy(&ModelConfig { scheduling_choice, ..decoupled }).unwrap_err();
        assert!(error.message.starts_with("preserve_ordering is for"), "{error}");
    }

    #[test]
    fn what_cannot_be_is_named() {
        let levels = |priority_levels, default_priority_level| ModelDynamicBatching {
            priority_levels,
            default_priority_level,
            ..Default::default()
        };
        let stray = [(3, ModelQueuePolicy::default())].into();
        for (dynamic, message) in [
            (
                levels(2, 0),
                "default_priority_level is 0, expected a level from 1 to priority_levels, which is 2",
            ),
            (levels(2, 3), "default_priority_level is 3"),
            (levels(1_001, 1), "priority_levels is 1001, expected at most 1000"),
            (ModelDynamicBatching { priority_queue_policy: stray, ..levels(2, 1) }, "is for level 3"),
            (
                ModelDynamicBatching { preferred_batch_size: vec![9], ..levels(0, 0) },
                "preferred_batch_size 9",
            ),
        ] {
            let error = read(dynamic).unwrap_err();
            assert!(error.message.contains(message), "{error}");
        }
    }
}
