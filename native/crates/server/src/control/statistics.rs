//! `ModelStatistics`.

use crate::{
    models::{
        Version,
        registry::{Entry, parse_version},
    },
    shared::Local,
};
use infermesh_batcher::stats::{Counters, Tally};
use infermesh_wire::{
    Code, Error,
    proto::inference::{
        InferBatchStatistics, InferResponseStatistics, InferStatistics, ModelStatistics,
        ModelStatisticsRequest, ModelStatisticsResponse, StatisticDuration,
    },
};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Of one version, of all versions of a model, or of everything. INVALID_ARGUMENT for what is not there.
pub fn model_statistics(
    local: &Local,
    request: ModelStatisticsRequest,
) -> Result<ModelStatisticsResponse, Error> {
    let registry = &local.shared.registry;
    if !request.version.is_empty() && !request.name.is_empty() {
        let version = registry.find(&request.name, &request.version).map_err(|error| {
            // A string that is no number says itself what is wrong with it, unless it is the model that is unknown.
            let labelled = parse_version(&request.version).is_err()
                && registry.check_version(&request.name, &request.version).is_ok();
            match error.code {
                Code::InvalidArgument => error,
                _ if labelled => error,
                _ => match registry.find(&request.name, "") {
                    Ok(_) => Error::invalid(format!(
                        "requested model version is not available for model '{}'",
                        request.name
                    )),
                    Err(_) => not_available(&request),
                },
            }
        })?;
        return Ok(ModelStatisticsResponse { model_stats: vec![describe(&version)] });
    }
    let all = registry.list().into_iter();
    let model_stats: Vec<_> = all
        .filter(|(name, _, _)| request.name.is_empty() || *name == request.name)
        .filter_map(|(_, _, entry)| match entry {
            Entry::Ready(version) => Some(describe(&version)),
            Entry::Unavailable(_) => None,
        })
        .collect();
    if model_stats.is_empty() && !request.name.is_empty() {
        return Err(not_available(&request));
    }
    Ok(ModelStatisticsResponse { model_stats })
}

fn not_available(request: &ModelStatisticsRequest) -> Error {
    Error::invalid(format!("requested model '{}' is not available", request.name))
}

fn describe(version: &Version) -> ModelStatistics {
    let Counters {
        last,
        inferences,
        executions,
        success,
        fail,
        queue,
        compute_input,
        compute_infer,
        compute_output,
        cache_hit,
        cache_miss,
        by_rows,
        responses,
        ..
    } = version.engine.stats().snapshot();
    let duration = |tally: Tally| Some(StatisticDuration { count: tally.count, ns: tally.ns });
    ModelStatistics {
        name: version.name.clone(),
        version: version.number.to_string(),
        last_inference: last.map_or(0, wall_clock_ms),
        inference_count: inferences,
        execution_count: executions,
        inference_stats: Some(InferStatistics {
            success: duration(success),
            fail: duration(fail),
            queue: duration(queue),
            compute_input: duration(compute_input),
            compute_infer: duration(compute_infer),
            compute_output: duration(compute_output),
            cache_hit: duration(cache_hit),
            cache_miss: duration(cache_miss),
        }),
        batch_stats: by_rows
            .into_iter()
            .map(|(rows, [input, infer, output])| InferBatchStatistics {
                batch_size: rows as u64,
                compute_input: duration(input),
                compute_infer: duration(infer),
                compute_output: duration(output),
            })
            .collect(),
        response_stats: responses
            .into_iter()
            .map(|(index, it)| {
                let [success, fail, empty_response, cancel] = it.outcomes.map(duration);
                let (compute_infer, compute_output) =
                    (duration(it.compute_infer), duration(it.compute_output));
                let stats = InferResponseStatistics {
                    compute_infer,
                    compute_output,
                    success,
                    fail,
                    empty_response,
                    cancel,
                };
                (index.to_string(), stats)
            })
            .collect(),
        ..Default::default()
    }
}

/// The protocol shows a moment as milliseconds since 1970; everything before this edge is monotonic.
#[allow(clippy::disallowed_methods)]
fn wall_clock_ms(moment: Instant) -> u64 {
    let then = SystemTime::now().checked_sub(moment.elapsed());
    then.and_then(|then| then.duration_since(UNIX_EPOCH).ok()).map_or(0, |since| since.as_millis() as u64)
}
