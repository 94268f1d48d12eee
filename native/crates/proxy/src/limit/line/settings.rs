//! What a route says about its requests under way.

use crate::{plan::duration_or, proto};
use http::HeaderName;
use infermesh_policy::{concurrency, queue, shed::Thresholds};

const PRIORITY: HeaderName = HeaderName::from_static("x-infermesh-priority");

#[derive(Debug)]
pub struct Settings {
    pub limit: concurrency::Settings,
    pub queue: queue::Settings,
    pub priority: HeaderName,
}

impl Settings {
    /// Fails with the field that is wrong.
    pub fn new(given: &proto::Concurrency) -> Result<Self, String> {
        let default = queue::Settings::default();
        let queue = queue::Settings {
            capacity: if given.queue > 0 { given.queue as usize } else { default.capacity },
            timeout: duration_or(given.queue_timeout_ns, default.timeout),
            thresholds: Thresholds::default(),
        };
        queue.check().map_err(|why| format!("queue_{why}"))?;
        let priority = match given.priority_header.as_str() {
            "" => PRIORITY,
            name => name.parse().map_err(|_| format!("priority_header: '{name}' is no header's name"))?,
        };
        Ok(Self { limit: bounds(given)?, queue, priority })
    }

    /// Whether the limit depends on how requests end.
    pub fn adapts(&self) -> bool {
        self.limit.min < self.limit.max
    }
}

fn bounds(given: &proto::Concurrency) -> Result<concurrency::Settings, String> {
    let &proto::Concurrency { limit, min, max, .. } = given;
    if limit > 0 && (min > 0 || max > 0) {
        return Err(format!(
            "limit is {limit}: expected none beside min or max, which are of one that adapts"
        ));
    }
    let default = concurrency::Settings::default();
    let or = |given: u32, default: usize| if given > 0 { given as usize } else { default };
    let settings = match limit as usize {
        0 => concurrency::Settings { min: or(min, default.min), max: or(max, default.max) },
        fixed => concurrency::Settings { min: fixed, max: fixed },
    };
    settings.check()?;
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_not_given_is_as_the_documentation_says() {
        let settings = Settings::new(&proto::Concurrency::default()).unwrap();
        assert_eq!(settings.limit, concurrency::Settings { min: 3, max: 1_000 });
        assert_eq!((settings.queue.capacity, settings.queue.timeout), (1_024, Duration::from_secs(1)));
        assert_eq!((settings.priority.as_str(), settings.adapts()), ("x-infermesh-priority", true));
    }

    #[test]
    fn a_limit_that_is_given_stays() {
        let given = proto::Concurrency { limit: 7, ..Default::default() };
        let settings = Settings::new(&given).unwrap();
        assert_eq!(settings.limit, concurrency::Settings { min: 7, max: 7 });
        assert!(!settings.adapts());
    }

    #[test]
    fn settings_that_are_wrong_say_so() {
        let said = |given| Settings::new(&given).unwrap_err();
        let default = proto::Concurrency::default;
        let both = proto::Concurrency { limit: 7, max: 9, ..default() };
        assert!(said(both).starts_with("limit is 7: expected none beside min or max"));
        let turned = proto::Concurrency { min: 9, max: 7, ..default() };
        assert_eq!(said(turned), "max is 7: expected no less than min, which is 9");
        let long = proto::Concurrency { queue_timeout_ns: u64::MAX, ..default() };
        assert!(said(long).starts_with("queue_timeout is "));
        let header = proto::Concurrency { priority_header: "a b".into(), ..default() };
        assert_eq!(said(header), "priority_header: 'a b' is no header's name");
    }
}
