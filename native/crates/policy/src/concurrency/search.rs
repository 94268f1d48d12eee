//! Where a limit begins: doubled or halved until the knee lies between two levels that were seen.

use super::window::Seen;

#[derive(Debug, Default)]
pub struct Search {
    before: Option<Seen>,
    /// Whether doubling was worth it before.
    rose: bool,
}

#[derive(Debug, PartialEq)]
pub enum Step {
    Try(f64),
    Settle(f64),
}

impl Search {
    /// What comes after a window; `is_worth_it` says whether the second of two levels is worth its latency.
    pub fn step(&mut self, seen: Seen, is_worth_it: impl Fn(&Seen, &Seen) -> bool) -> Step {
        let Some(before) = self.before.replace(seen) else { return Step::Try(seen.level * 2.0) };
        if seen.level < before.level {
            return match is_worth_it(&seen, &before) {
                true => Step::Settle(knee(&seen, &before)),
                false => Step::Try(seen.level / 2.0),
            };
        }
        if is_worth_it(&before, &seen) {
            self.rose = true;
            return Step::Try(seen.level * 2.0);
        }
        if self.rose {
            return Step::Settle(knee(&before, &seen));
        }
        self.before = Some(before);
        Step::Try(before.level / 2.0)
    }
}

/// By Little's law what is in flight at the higher level's throughput with the lower level's latency.
fn knee(low: &Seen, high: &Seen) -> f64 {
    (high.level / high.latency * low.latency).max(low.level)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a search tries at a server with so many workers that answer in a second, and where it settles.
    fn search(workers: f64, from: f64) -> (Vec<f64>, f64) {
        let (mut search, mut level, mut tried) = (Search::default(), from, Vec::new());
        loop {
            tried.push(level);
            let seen = Seen { level, latency: (level / workers).max(1.0), doubt: 0.0, queued: None };
            match search.step(seen, |low, high| low.elasticity(high).0 < 0.8) {
                Step::Try(next) => level = next,
                Step::Settle(level) => return (tried, level),
            }
        }
    }

    #[test]
    fn it_rises_past_the_knee_and_settles_at_it() {
        assert_eq!(search(100.0, 16.0), (vec![16.0, 32.0, 64.0, 128.0, 256.0], 128.0));
        assert_eq!(search(60.0, 16.0), (vec![16.0, 32.0, 64.0, 128.0], 64.0));
        assert_eq!(search(110.0, 16.0), (vec![16.0, 32.0, 64.0, 128.0, 256.0], 128.0));
    }

    #[test]
    fn it_falls_to_it_from_above() {
        assert_eq!(search(3.0, 16.0), (vec![16.0, 32.0, 8.0, 4.0, 2.0], 3.0));
        assert_eq!(search(10.0, 16.0), (vec![16.0, 32.0, 8.0], 10.0));
    }
}
