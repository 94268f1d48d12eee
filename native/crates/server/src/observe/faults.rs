//! Failures of models, told to the log: once per batch, and not more than an operator can read.

use crate::models::Version;
use infermesh_batcher::trace;
use infermesh_telemetry::{
    Log, Value,
    log::{Throttle, trace_fields},
};
use std::sync::Arc;

/// Records per second of one model version.
const RATE: u32 = 10;

/// Tells the log about every batch of this version that fails.
pub fn watch(version: &Version, log: Arc<Log>) {
    let Some(scheduler) = version.scheduler() else { return };
    // The adapter in front of a Python model has logged it already, with the traceback.
    if version.config.platform == "python" {
        return;
    }
    let (name, number, throttle) = (version.name.clone(), version.number, Throttle::new(RATE));
    scheduler.on_failure(Box::new(move |error| {
        let Some(skipped) = throttle.admit() else { return };
        let mut fields = vec![
            ("infermesh.model.name", Value::from(&name[..])),
            ("infermesh.model.version", number.to_string().into()),
            ("error.message", error.message.to_string().into()),
        ];
        if skipped > 0 {
            fields.push(("infermesh.log.skipped", skipped.into()));
        }
        fields.extend(trace_fields(trace::current().iter().map(|ids| (ids.trace, ids.span))));
        let message = format!("model '{name}' version {number} failed a batch: {error}");
        log.error("inference-failed", message, fields);
    }));
}
