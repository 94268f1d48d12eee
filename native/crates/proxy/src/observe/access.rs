//! Requests in the process's log: all of them where that is wanted, and otherwise those that the proxy could not have answered.

use super::{
    failure::Source,
    record::{Begun, Over},
};
use infermesh_telemetry::{Log, log::Throttle};

/// Failures told in a second.
const RATE: u32 = 10;

pub struct Access {
    failures: Throttle,
}

impl Default for Access {
    fn default() -> Self {
        Self { failures: Throttle::new(RATE) }
    }
}

impl Access {
    /// A request has ended. `is_own`: with an answer of the proxy's own.
    pub fn over(&self, log: &Log, begun: &Begun<'_>, over: &Over<'_>, is_own: bool) {
        if log.accesses() {
            log.info("request", said(begun, over), [begun.fields(), over.fields()].concat());
        } else if is_own && over.failure.is_some_and(|failure| failure.source != Source::Caller) {
            self.failed(log, begun, over);
        }
    }

    fn failed(&self, log: &Log, begun: &Begun<'_>, over: &Over<'_>) {
        let Some(skipped) = self.failures.admit() else { return };
        let mut fields = [begun.fields(), over.fields()].concat();
        if skipped > 0 {
            fields.push(("infermesh.log.skipped", skipped.into()));
        }
        log.warning("request-failed", said(begun, over), fields);
    }
}

fn said(begun: &Begun<'_>, over: &Over<'_>) -> String {
    let what = match begun.grpc {
        true => begun.path.to_owned(),
        false => format!("{} {}", begun.method, begun.path),
    };
    let took = over.took.as_secs_f64() * 1e3;
    let why = match over.failure {
        Some(failure) if !failure.message.is_empty() => format!(": {}", failure.message),
        _ => String::new(),
    };
    format!("{what} {took:.3} ms {}{why}", over.end.name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::{
        ending::End,
        failure::Failure,
        record::tests::{BEGUN, OVER},
    };
    use infermesh_telemetry::log::Level;
    use std::time::Duration;

    #[test]
    fn every_request_has_a_record_where_that_is_wanted() {
        let (access, log) = (Access::default(), Log::default());
        access.over(&log, &BEGUN, &OVER, false);
        assert!(log.take(Duration::ZERO).is_empty());
        log.set_accesses(true);
        access.over(&log, &BEGUN, &OVER, false);
        let [record] = &log.take(Duration::ZERO)[..] else { panic!("one record") };
        assert_eq!((record.level, record.action), (Level::Info, "request"));
        assert_eq!(record.message, "/inference.GRPCInferenceService/ModelInfer 3.000 ms OK");
    }

    #[test]
    fn failures_of_ours_are_told_in_any_case_but_not_all_of_them() {
        let (access, log) = (Access::default(), Log::default());
        let over = |source| {
            let failure = Failure::new(source, "no endpoint");
            let over = Over { end: End::Grpc(14), failure: Some(&failure), ..OVER };
            access.over(&log, &BEGUN, &over, true);
        };
        over(Source::Caller);
        assert!(log.take(Duration::ZERO).is_empty());
        (0..100).for_each(|_| over(Source::Upstream));
        let told = log.take(Duration::ZERO);
        assert_eq!(told.len(), RATE as usize);
        assert_eq!((told[0].level, told[0].action), (Level::Warning, "request-failed"));
        assert!(told[0].message.ends_with("UNAVAILABLE: no endpoint"), "{}", told[0].message);
    }
}
