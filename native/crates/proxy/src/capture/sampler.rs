//! Which requests are kept.

use infermesh_wire::Error;

/// The bits of a trace id that are random in any case.
const RANDOM: u64 = (1 << 56) - 1;

/// Decides by a trace's id, so that every proxy on its way which has the same rate, or a larger one, keeps it
/// too.
///
/// OpenTelemetry's consistent probability sampling: a trace is kept if the last 56 bits of its id are not
/// below the share that is not kept.
/// <https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampler {
    threshold: u64,
}

impl Sampler {
    /// Fails with INVALID_ARGUMENT if `rate` is no share.
    pub fn new(rate: f64) -> Result<Self, Error> {
        if !(0.0..=1.0).contains(&rate) {
            return Err(Error::invalid(format!(
                "sample_rate: found {rate}, expected a share between 0 and 1"
            )));
        }
        Ok(Self { threshold: ((1.0 - rate) * (RANDOM + 1) as f64).round() as u64 })
    }

    /// Whether a request is kept. `random` is asked for where no trace is.
    pub fn takes(self, trace: Option<u128>, random: impl FnOnce() -> u64) -> bool {
        let number = match trace {
            // Nothing to ask for: most proxies keep nothing.
            _ if self.threshold > RANDOM => return false,
            Some(trace) => trace as u64,
            None => random(),
        };
        number & RANDOM >= self.threshold
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use infermesh_telemetry::context::trace_id;

    fn sampler(rate: f64) -> Sampler {
        Sampler::new(rate).unwrap()
    }

    #[test]
    fn all_or_nothing() {
        for id in [0, 1, u128::MAX] {
            assert!(sampler(1.0).takes(Some(id), || 0) && !sampler(0.0).takes(Some(id), || 0));
        }
        assert!(!sampler(0.0).takes(None, || panic!("nobody asks")));
    }

    #[test]
    fn a_trace_is_kept_by_every_larger_rate() {
        for _ in 0..10_000 {
            let id = Some(trace_id());
            let kept = [0.001, 0.1, 0.5, 0.999].map(|rate| sampler(rate).takes(id, || 0));
            assert!(kept.is_sorted(), "{id:?}: {kept:?}");
        }
    }

    #[test]
    fn a_rate_is_a_share_of_the_ids() {
        let kept = |rate| {
            (0..1000).filter(|it| sampler(rate).takes(None, || (it << 56) | (it * (RANDOM / 999)))).count()
        };
        assert_eq!([kept(0.01), kept(0.25), kept(0.9)], [10, 250, 900]);
    }

    #[test]
    fn what_is_no_share_is_refused() {
        for rate in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            let error = Sampler::new(rate).unwrap_err();
            assert!(error.message.ends_with("expected a share between 0 and 1"), "{error}");
        }
    }
}
