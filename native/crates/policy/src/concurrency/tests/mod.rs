//! Limits in front of servers that batch and of servers that do not, in virtual time.

mod play;

use super::*;
use play::{Load, Noise, Play, Server, Tally};
use proptest::prelude::*;

const fn workers(slots: usize, fixed: f64, noise: Noise) -> Server {
    Server { slots, largest: 1, fixed, each: 0.0, noise }
}

const fn batches(slots: usize, largest: usize, fixed: f64, each: f64) -> Server {
    Server { slots, largest, fixed, each, noise: Noise::None }
}

/// Batches that are limited by their size, or by what a row costs, on several instances, and with noise.
const BATCHING: [Server; 6] = [
    batches(1, 32, 5.0, 0.25),
    batches(1, 1024, 5.0, 0.25),
    batches(1, 8, 10.0, 0.1),
    batches(2, 32, 10.0, 0.1),
    Server { noise: Noise::Exponential, ..batches(1, 32, 5.0, 0.25) },
    batches(1, 128, 5.0, 0.2),
];

/// Levels in steps of a quarter, with what a server does at each.
fn curve(server: Server) -> Vec<(usize, Tally)> {
    let levels = std::iter::successors(Some(1), |level| Some(level + 1 + level / 4));
    levels.take_while(|level| *level <= 1_000).map(|level| (level, Play::fixed(server, level, 2.0))).collect()
}

fn best(curve: &[(usize, Tally)]) -> f64 {
    curve.iter().map(|(_, tally)| tally.rate).fold(0.0, f64::max)
}

/// The least level with so large a share of the best throughput.
fn level_with(curve: &[(usize, Tally)], share: f64) -> usize {
    let best = best(curve);
    curve.iter().find(|(_, tally)| tally.rate >= share * best).unwrap().0
}

#[test]
fn workers_that_do_not_batch_are_all_busy_and_little_waits() {
    for (count, noise) in [
        (4, Noise::None),
        (4, Noise::Exponential),
        (16, Noise::None),
        (16, Noise::Exponential),
        (16, Noise::Mixed),
        (50, Noise::Exponential),
    ] {
        let server = workers(count, 10.0, noise);
        let mut play = Play::new(server, 1, &Settings::default(), 1);
        play.run(60.0);
        let (limit, tally) = (play.limits[0].limit(), play.run(20.0));
        // With a lot of noise the knee is a matter of chance.
        let (mean, most) = if matches!(noise, Noise::Mixed) { (0.039, 2.5) } else { (0.01, 1.5) };
        let range = 0.75 * count as f64..=most * count as f64 + 1.0;
        assert!(range.contains(&(limit as f64)), "{server:?}: {limit}");
        assert!(tally.latency < most * mean, "{server:?}: {tally:?}");
        assert!(tally.rate > 0.85 * count as f64 / mean, "{server:?}: {tally:?}");
    }
}

#[test]
fn batches_are_as_large_as_they_are_worth() {
    for server in BATCHING {
        let curve = curve(server);
        let mut play = Play::new(server, 1, &Settings::default(), 1);
        play.run(20.0);
        for _ in 0..10 {
            let tally = play.run(5.0);
            assert!(tally.rate > 0.75 * best(&curve), "{server:?}: {tally:?} of {}", best(&curve));
        }
        let (limit, enough) = (play.limits[0].limit(), level_with(&curve, 0.95));
        assert!(limit <= 2 * enough, "{server:?}: {limit} in flight, {enough} are enough");
    }
}

/// What this is instead of: `clamp(1.25 * least / latency, 0.5, 2)` and the square root as headroom.
#[test]
fn the_gradient_against_the_least_latency_leaves_a_third_unused() {
    let (server, best) = (BATCHING[0], best(&curve(BATCHING[0])));
    let least = Play::fixed(server, 3, 2.0).latency;
    let mut limit = 16.0_f64;
    for _ in 0..100 {
        let latency = Play::fixed(server, limit as usize, 0.2).latency;
        let aim = limit * (1.25 * least / latency).clamp(0.5, 2.0);
        limit = aim + aim.sqrt();
    }
    assert!(Play::fixed(server, limit as usize, 5.0).rate < 0.67 * best, "{limit}");
    let mut play = Play::new(server, 1, &Settings::default(), 1);
    play.run(20.0);
    assert!(play.run(5.0).rate > 0.95 * best);
}

#[test]
fn where_batches_gain_nothing_the_limit_is_the_least() {
    let mut play = Play::new(batches(1, 16, 0.1, 5.0), 1, &Settings::default(), 1);
    play.run(20.0);
    assert_eq!(play.limits[0].limit(), 3);
}

#[test]
fn it_has_found_the_knee_after_a_hundred_latencies() {
    for server in [workers(100, 10.0, Noise::Exponential), batches(2, 32, 10.0, 0.1)] {
        let mut play = Play::new(server, 1, &Settings::default(), 1);
        let best = best(&curve(server));
        play.run(1.0);
        assert!(play.run(1.0).rate > 0.85 * best, "{server:?}");
    }
}

#[test]
fn below_capacity_nothing_waits_and_the_limit_stays() {
    for server in [workers(100, 10.0, Noise::Exponential), BATCHING[0], BATCHING[3]] {
        let rate = 0.6 * Play::fixed(server, 500, 2.0).rate;
        let mut play = Play::new(server, 1, &Settings::default(), 1);
        play.load = Load::Random(rate);
        play.run(10.0);
        let limit = play.limits[0].limit();
        let tally = play.run(20.0);
        assert!(tally.at_once > 0.99 && (0.95..1.05).contains(&(tally.rate / rate)), "{server:?} {tally:?}");
        assert_eq!(play.limits[0].limit(), limit, "{server:?}");
    }
}

#[test]
fn an_upstream_that_grows_and_shrinks_is_followed() {
    let mut play = Play::new(workers(16, 10.0, Noise::Exponential), 1, &Settings::default(), 1);
    for count in [16, 64, 16] {
        play.server.slots = count;
        play.run(30.0);
        let limit = play.limits[0].limit();
        assert!((count * 3 / 4..=count * 3 / 2).contains(&limit), "{count}: {limit}");
    }
}

#[test]
fn an_upstream_that_became_much_slower_is_believed() {
    let mut play = Play::new(workers(16, 5.0, Noise::None), 1, &Settings::default(), 1);
    play.run(10.0);
    play.server.fixed = 100.0;
    play.run(120.0);
    let tally = play.run(20.0);
    assert!(tally.rate > 0.85 * 16.0 / 0.1, "{} {tally:?}", play.limits[0].limit());
}

#[test]
fn clients_that_share_an_upstream_share_a_bounded_queue() {
    for (server, tells, longest) in [
        (workers(16, 10.0, Noise::Exponential), true, 0.03),
        (workers(16, 10.0, Noise::Exponential), false, 0.2),
        (BATCHING[0], true, 0.05),
        (BATCHING[0], false, 0.3),
    ] {
        let mut play = Play::new(server, 4, &Settings { min: 3, max: 10_000 }, 1);
        play.tells = tells;
        for _ in 0..6 {
            play.run(5.0);
            let tally = play.run(5.0);
            assert!(tally.latency < longest, "{server:?} {tells}: {tally:?}");
            assert!(tally.rate > 0.85 * Play::fixed(server, 200, 2.0).rate, "{server:?} {tells}: {tally:?}");
        }
    }
}

#[test]
fn a_refusal_takes_from_the_limit_once_for_all_that_were_in_flight() {
    let start = Instant::now();
    let mut limit = Limit::new(Settings::default(), start);
    let now = start + Duration::from_millis(20);
    let dropped = Ended::Dropped { latency: Duration::from_millis(10) };
    assert!((0..16).all(|_| limit.acquire(start)));
    assert!(!limit.acquire(start));
    (0..10).for_each(|_| limit.release(dropped, now));
    assert_eq!((limit.limit(), limit.in_flight()), (11, 6));
    assert!((0..5).all(|_| limit.acquire(now)) && !limit.acquire(now));
    // Sent after the first was refused.
    limit.release(dropped, now + Duration::from_millis(11));
    assert_eq!(limit.limit(), 8);
    for round in 1..100 {
        limit.release(dropped, now + Duration::from_secs(round));
    }
    assert_eq!(limit.limit(), 3);
}

#[test]
fn failures_say_nothing_about_the_limit() {
    let mut now = Instant::now();
    let mut limit = Limit::new(Settings::default(), now);
    for _ in 0..10_000 {
        now += Duration::from_millis(1);
        assert!(limit.acquire(now));
        limit.release(Ended::Otherwise, now);
    }
    assert_eq!((limit.limit(), limit.in_flight()), (16, 0));
}

#[test]
fn an_upstream_that_says_nothing_has_no_more_than_the_limit() {
    let mut now = Instant::now();
    let mut limit = Limit::new(Settings::default(), now);
    let mut sent = 0;
    for _ in 0..1_000 {
        now += Duration::from_secs(1);
        sent += usize::from(limit.acquire(now));
    }
    assert_eq!(sent, 16);
}

#[test]
fn equal_bounds_fix_it() {
    for bound in [1, 5, 400] {
        let mut play = Play::new(BATCHING[0], 1, &Settings { min: bound, max: bound }, 1);
        for _ in 0..100 {
            play.run(0.02);
            assert_eq!((play.limits[0].limit(), play.limits[0].in_flight()), (bound, bound));
        }
    }
}

#[test]
fn settings_that_are_wrong_say_so() {
    assert_eq!(Settings::default().check(), Ok(()));
    let check = |min, max| Settings { min, max }.check().unwrap_err();
    assert_eq!(check(0, 5), "min is 0: expected at least 1");
    assert_eq!(check(7, 5), "max is 5: expected no less than min, which is 7");
}

proptest! {
    /// Whatever happens, it stays within its bounds, and so does what is in flight.
    #[test]
    fn bounds_hold(
        steps in prop::collection::vec((0u64..50, 0u64..100, 0u8..8), 1..2_000),
        min in 1usize..20,
        more in 0usize..100,
    ) {
        let settings = Settings { min, max: min + more };
        let mut now = Instant::now();
        let mut limit = Limit::new(settings, now);
        for (gap, latency, what) in steps {
            now += Duration::from_millis(gap);
            let latency = Duration::from_millis(latency);
            match what {
                0..4 => { limit.acquire(now); }
                4 => limit.release(Ended::Dropped { latency }, now),
                5 => limit.release(Ended::Otherwise, now),
                6 => limit.release(Ended::Answered { latency, queued: None }, now),
                _ => limit.release(Ended::Answered { latency, queued: Some(latency * 2) }, now),
            }
            prop_assert!((min..=min + more).contains(&limit.limit()));
            prop_assert!(limit.in_flight() <= min + more);
        }
    }
}
