//! Leaves endpoints alone that do worse than the others.
//!
//! As Envoy's outlier detection: on failures in a row, and on a share of successes far below the mean of all,
//! looked at once per interval. An ejection lasts longer each time, and what may be ejected is bounded: where
//! most endpoints fail, it is not the endpoints.

use crate::{
    outcome::Class,
    settings::{self, Checked},
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Failures in a row.
    pub consecutive_failures: u32,
    /// Between two looks at the shares of successes.
    pub interval: Duration,
    /// Time of the first ejection; times their count.
    pub base_ejection: Duration,
    /// The longest.
    pub max_ejection: Duration,
    /// Endpoints that may be ejected, as a share: one of two or more in any case, and never all of them.
    pub max_ejected: f64,
    /// How far below the mean a share of successes has to be, in standard deviations. Of n endpoints none is
    /// further away than (n - 1) / sqrt(n), which is 1.79 for five and 2.04 for six.
    pub success_rate_sigma: f64,
    /// Shares are compared if so many endpoints...
    pub success_rate_endpoints: u32,
    /// ...have each had so many requests in the interval.
    pub success_rate_requests: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            interval: Duration::from_secs(10),
            base_ejection: Duration::from_secs(30),
            max_ejection: Duration::from_secs(300),
            max_ejected: 0.5,
            success_rate_sigma: 1.9,
            success_rate_endpoints: 5,
            success_rate_requests: 100,
        }
    }
}

impl Settings {
    pub fn check(&self) -> Checked {
        settings::at_least_one("consecutive_failures", self.consecutive_failures)?;
        settings::above_zero("interval", self.interval)?;
        settings::above_zero("base_ejection", self.base_ejection)?;
        settings::ordered(("base_ejection", self.base_ejection), ("max_ejection", self.max_ejection))?;
        settings::share("max_ejected", self.max_ejected)?;
        let sigma = self.success_rate_sigma;
        settings::holds("success_rate_sigma", sigma, "more than 0", sigma > 0.0)?;
        settings::at_least_one("success_rate_endpoints", self.success_rate_endpoints)?;
        settings::at_least_one("success_rate_requests", self.success_rate_requests)
    }
}

/// Names an endpoint for as long as it is one of the set, and nothing afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(u64);

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ejection {
    pub id: Id,
    pub until: Instant,
    pub cause: Cause,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cause {
    /// So many failures in a row.
    Consecutive(u32),
    /// Its share of successes, and the least that would have been enough.
    SuccessRate { found: f64, enough: f64 },
}

#[derive(Debug, Default)]
struct Endpoint {
    in_a_row: u32,
    /// Of this interval.
    successes: u32,
    failures: u32,
    /// It is ejected until then, or was.
    until: Option<Instant>,
    /// How often, less one for each interval since.
    ejections: u32,
}

impl Endpoint {
    fn is_ejected(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

/// A set of endpoints that do the same.
#[derive(Debug)]
pub struct Outliers {
    settings: Settings,
    endpoints: BTreeMap<Id, Endpoint>,
    next_id: u64,
    /// When the interval began.
    since: Instant,
}

impl Outliers {
    pub fn new(now: Instant, settings: Settings) -> Self {
        Self { settings, endpoints: BTreeMap::new(), next_id: 0, since: now }
    }

    pub fn add(&mut self) -> Id {
        let id = Id(self.next_id);
        self.next_id += 1;
        self.endpoints.insert(id, Endpoint::default());
        id
    }

    /// Of those that remain, some come back if too many of them are ejected.
    pub fn remove(&mut self, now: Instant, id: Id) {
        self.endpoints.remove(&id);
        while self.ejected(now) > self.most() {
            let soonest = self.endpoints.values_mut().filter(|endpoint| endpoint.is_ejected(now));
            match soonest.min_by_key(|endpoint| endpoint.until) {
                Some(endpoint) => endpoint.until = None,
                None => break,
            }
        }
    }

    pub fn is_ejected(&self, now: Instant, id: Id) -> bool {
        self.endpoints.get(&id).is_some_and(|endpoint| endpoint.is_ejected(now))
    }

    /// How many are at this moment.
    pub fn ejected(&self, now: Instant) -> usize {
        self.endpoints.values().filter(|endpoint| endpoint.is_ejected(now)).count()
    }

    /// A request to it has ended. Says who is ejected now: mostly nobody.
    pub fn record(&mut self, now: Instant, id: Id, class: Class) -> Vec<Ejection> {
        let mut ejections = self.look(now);
        // What was sent to it before it was ejected is not held against it twice.
        let Some(endpoint) = self.endpoints.get_mut(&id).filter(|endpoint| !endpoint.is_ejected(now)) else {
            return ejections;
        };
        match class {
            Class::Success => {
                endpoint.in_a_row = 0;
                endpoint.successes += 1;
            }
            Class::Failure => {
                endpoint.in_a_row += 1;
                endpoint.failures += 1;
                let in_a_row = endpoint.in_a_row;
                if in_a_row >= self.settings.consecutive_failures {
                    ejections.extend(self.eject(now, id, Cause::Consecutive(in_a_row)));
                }
            }
            Class::Overload | Class::Ignored => {}
        }
        ejections
    }

    /// Compares the endpoints, if the interval is over.
    fn look(&mut self, now: Instant) -> Vec<Ejection> {
        if now < self.since + self.settings.interval {
            return Vec::new();
        }
        let ejections = self
            .laggards()
            .into_iter()
            .filter_map(|(id, found, enough)| self.eject(now, id, Cause::SuccessRate { found, enough }))
            .collect();
        for endpoint in self.endpoints.values_mut() {
            (endpoint.successes, endpoint.failures) = (0, 0);
            let good = now
                .saturating_duration_since(endpoint.until.map_or(self.since, |until| until.max(self.since)));
            let intervals = good.as_nanos() / self.settings.interval.as_nanos();
            endpoint.ejections = endpoint.ejections.saturating_sub(intervals.min(u32::MAX.into()) as u32);
        }
        self.since = now;
        ejections
    }

    /// Those that are too far below the mean, the worst first: their shares of successes, and what would be
    /// enough.
    fn laggards(&self) -> Vec<(Id, f64, f64)> {
        let least = self.settings.success_rate_requests;
        let mut rates: Vec<(Id, f64)> = self
            .endpoints
            .iter()
            .map(|(id, endpoint)| (*id, endpoint.successes, endpoint.successes + endpoint.failures))
            .filter(|(_, _, requests)| *requests >= least)
            .map(|(id, successes, requests)| (id, f64::from(successes) / f64::from(requests)))
            .collect();
        if rates.len() < self.settings.success_rate_endpoints as usize {
            return Vec::new();
        }
        let count = rates.len() as f64;
        let mean = rates.iter().map(|(_, rate)| rate).sum::<f64>() / count;
        let variance = rates.iter().map(|(_, rate)| (rate - mean).powi(2)).sum::<f64>() / count;
        let enough = mean - self.settings.success_rate_sigma * variance.sqrt();
        rates.sort_by(|one, other| one.1.total_cmp(&other.1));
        rates
            .into_iter()
            .take_while(|(_, rate)| *rate < enough)
            .map(|(id, rate)| (id, rate, enough))
            .collect()
    }

    fn eject(&mut self, now: Instant, id: Id, cause: Cause) -> Option<Ejection> {
        if self.ejected(now) >= self.most() {
            return None;
        }
        let endpoint = self.endpoints.get_mut(&id).filter(|endpoint| !endpoint.is_ejected(now))?;
        endpoint.ejections = endpoint.ejections.saturating_add(1);
        endpoint.in_a_row = 0;
        let time = self.settings.base_ejection.saturating_mul(endpoint.ejections);
        let until = now + time.min(self.settings.max_ejection);
        endpoint.until = Some(until);
        Some(Ejection { id, until, cause })
    }

    /// How many may be ejected.
    fn most(&self) -> usize {
        let count = self.endpoints.len();
        let share = (count as f64 * self.settings.max_ejected) as usize;
        share.max(1).min(count.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Class::{Failure, Success};
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    struct Cluster {
        outliers: Outliers,
        ids: Vec<Id>,
        now: Instant,
    }

    impl Cluster {
        fn new(count: usize, settings: Settings) -> Self {
            let now = Instant::now();
            let mut outliers = Outliers::new(now, settings);
            let ids = (0..count).map(|_| outliers.add()).collect();
            Self { outliers, ids, now }
        }

        fn record(&mut self, index: usize, class: Class, times: usize) -> Vec<Ejection> {
            (0..times).flat_map(|_| self.outliers.record(self.now, self.ids[index], class)).collect()
        }

        /// Fails an endpoint until it is ejected; for how long that is.
        fn eject(&mut self, index: usize) -> Option<Duration> {
            self.record(index, Failure, 5).first().map(|ejection| ejection.until - self.now)
        }

        /// One in a hundred requests fails at each of them, with these more at some.
        fn interval(&mut self, more: &[(usize, usize)]) -> Vec<Ejection> {
            for index in 0..self.ids.len() {
                let more = more.iter().find(|(at, _)| *at == index).map_or(0, |(_, more)| *more);
                // Never many in a row.
                for turn in 0..200 {
                    let class = if turn % 3 == 0 && turn / 3 < 2 + more { Failure } else { Success };
                    assert_eq!(self.record(index, class, 1), []);
                }
            }
            self.now += 10 * SECOND;
            self.record(0, Success, 1)
        }

        fn ejected(&self) -> Vec<usize> {
            let is_ejected = |index: &usize| self.outliers.is_ejected(self.now, self.ids[*index]);
            (0..self.ids.len()).filter(is_ejected).collect()
        }
    }

    #[test]
    fn failures_in_a_row_eject_for_half_a_minute() {
        let mut cluster = Cluster::new(3, Settings::default());
        assert_eq!(cluster.record(1, Failure, 4), []);
        cluster.record(1, Success, 1);
        assert_eq!(cluster.record(1, Failure, 4), []);
        let until = cluster.now + 30 * SECOND;
        let cause = Cause::Consecutive(5);
        assert_eq!(cluster.record(1, Failure, 1), [Ejection { id: cluster.ids[1], until, cause }]);
        assert_eq!(cluster.ejected(), [1]);
        cluster.now += 30 * SECOND;
        assert_eq!(cluster.ejected(), []);
    }

    #[test]
    fn overloads_and_the_faults_of_callers_eject_nobody() {
        let mut cluster = Cluster::new(3, Settings::default());
        cluster.record(0, Failure, 4);
        cluster.record(0, Class::Overload, 100);
        cluster.record(0, Class::Ignored, 100);
        assert_eq!(cluster.ejected(), []);
        // They interrupt no row of failures either.
        assert_eq!(cluster.record(0, Failure, 1).len(), 1);
    }

    #[test]
    fn each_ejection_is_longer_up_to_five_minutes() {
        let mut cluster = Cluster::new(3, Settings::default());
        for count in 1..=12 {
            let time = cluster.eject(0).unwrap();
            assert_eq!(time, (count * 30 * SECOND).min(300 * SECOND));
            cluster.now += time;
        }
    }

    #[test]
    fn good_conduct_is_rewarded_interval_by_interval() {
        let mut cluster = Cluster::new(3, Settings::default());
        for _ in 0..3 {
            let time = cluster.eject(0).unwrap();
            cluster.now += time;
        }
        // Two intervals make up for two of three ejections.
        for _ in 0..2 {
            cluster.record(0, Success, 1);
            cluster.now += 10 * SECOND;
        }
        assert_eq!(cluster.eject(0), Some(60 * SECOND));
        cluster.now += 3600 * SECOND;
        assert_eq!(cluster.eject(0), Some(30 * SECOND));
    }

    #[test]
    fn no_more_are_ejected_than_may_be() {
        for (count, share, most) in
            [(1, 1.0, 0), (2, 0.1, 1), (2, 1.0, 1), (3, 0.5, 1), (4, 0.5, 2), (10, 0.1, 1), (10, 1.0, 9)]
        {
            let mut cluster = Cluster::new(count, Settings { max_ejected: share, ..Settings::default() });
            let tried = (0..count).filter_map(|index| cluster.eject(index)).count();
            assert_eq!(tried, most);
            assert_eq!(cluster.ejected().len(), most, "of {count} with {share}");
        }
    }

    #[test]
    fn one_that_could_not_be_ejected_is_when_there_is_room() {
        let mut cluster = Cluster::new(2, Settings::default());
        cluster.eject(0);
        assert_eq!(cluster.eject(1), None);
        cluster.now += 30 * SECOND;
        assert_eq!(cluster.record(1, Failure, 1).len(), 1);
        assert_eq!(cluster.ejected(), [1]);
    }

    #[test]
    fn a_share_of_successes_far_below_the_mean_ejects() {
        let mut cluster = Cluster::new(6, Settings::default());
        let ejections = cluster.interval(&[(4, 40)]);
        assert_eq!(cluster.ejected(), [4]);
        assert!(matches!(
            ejections[..],
            [Ejection { cause: Cause::SuccessRate { found, enough }, .. }] if found == 0.79 && found < enough
        ));
    }

    #[test]
    fn where_all_fail_alike_nobody_is_ejected() {
        let mut cluster = Cluster::new(6, Settings::default());
        let all: Vec<(usize, usize)> = (0..6).map(|index| (index, 40)).collect();
        assert_eq!(cluster.interval(&all), []);
        assert_eq!(cluster.interval(&[]), []);
    }

    #[test]
    fn few_endpoints_or_few_requests_are_not_compared() {
        assert_eq!(Cluster::new(4, Settings::default()).interval(&[(3, 60)]), []);
        let more = Settings { success_rate_requests: 201, ..Settings::default() };
        assert_eq!(Cluster::new(6, more).interval(&[(3, 60)]), []);
    }

    #[test]
    fn each_interval_is_judged_by_itself() {
        let mut cluster = Cluster::new(6, Settings::default());
        // It fails before the interval is over and is good in the next one, before anything is said of it.
        cluster.now += 20 * SECOND;
        cluster.record(0, Success, 1);
        assert_eq!(cluster.interval(&[]), []);
        assert_eq!(cluster.interval(&[(2, 50)]).len(), 1);
        assert_eq!(cluster.interval(&[]), []);
    }

    #[test]
    fn an_endpoint_that_left_is_neither_counted_nor_ejected() {
        let mut cluster = Cluster::new(3, Settings::default());
        let gone = cluster.ids[0];
        cluster.outliers.remove(cluster.now, gone);
        assert_eq!(cluster.eject(0), None);
        assert!(!cluster.outliers.is_ejected(cluster.now, gone));
        assert_ne!(cluster.outliers.add(), gone);
    }

    #[test]
    fn the_last_one_that_remains_comes_back() {
        let mut cluster = Cluster::new(4, Settings::default());
        cluster.eject(0);
        cluster.now += SECOND;
        cluster.eject(1);
        assert_eq!(cluster.ejected(), [0, 1]);
        cluster.outliers.remove(cluster.now, cluster.ids[2]);
        assert_eq!(cluster.ejected(), [1]);
        cluster.outliers.remove(cluster.now, cluster.ids[3]);
        assert_eq!(cluster.ejected(), [1]);
        cluster.outliers.remove(cluster.now, cluster.ids[0]);
        assert_eq!(cluster.ejected(), []);
    }

    #[test]
    fn settings_that_make_no_sense_are_named() {
        let bad = Settings { max_ejected: 50.0, ..Settings::default() };
        assert_eq!(bad.check(), Err("max_ejected is 50.0: expected 0 to 1".into()));
        assert_eq!(Settings::default().check(), Ok(()));
    }

    proptest! {
        /// Whatever happens, one endpoint is left, and no ejection lasts longer than the longest.
        #[test]
        fn one_is_always_left(
            steps in prop::collection::vec((0usize..8, 0u8..8, 0u64..5_000), 1..400),
            share in 0.0..=1.0f64,
        ) {
            let mut cluster = Cluster::new(4, Settings { max_ejected: share, ..Settings::default() });
            for (index, what, millis) in steps {
                cluster.now += Duration::from_millis(millis);
                match what {
                    0 => cluster.ids.push(cluster.outliers.add()),
                    1 if cluster.ids.len() > 1 => {
                        let id = cluster.ids.remove(index % cluster.ids.len());
                        cluster.outliers.remove(cluster.now, id);
                    }
                    what => {
                        let class = if what == 2 { Success } else { Failure };
                        let ejections = cluster.record(index % cluster.ids.len(), class, 1);
                        let latest = cluster.now + 300 * SECOND;
                        prop_assert!(ejections.iter().all(|ejection| ejection.until <= latest));
                    }
                }
                prop_assert!(cluster.ejected().len() < cluster.ids.len());
            }
        }
    }
}
