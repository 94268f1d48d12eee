//! How long a batch takes, as a line over its rows, learnt from the batches that ran.
//!
//! Weighted least squares with exponential forgetting: sums of the samples' moments, each multiplied by a factor
//! below one before the next sample is added (Åström and Wittenmark, *Adaptive Control*, 2nd ed., section 2.2). It
//! remembers some fifty batches, in six numbers.

use std::time::Duration;

/// The weight of a batch in the eyes of the next one: 1 / (1 - 0.98) are fifty batches.
const FORGETTING: f64 = 0.98;

/// Batches before the first prediction. The first of all is not counted: it pays for what happens only once.
const ENOUGH: usize = 6;

/// A sample counts for at most this many times its prediction, so that one hiccup does not spoil fifty predictions.
/// A model that does become slower is followed all the same, within a few batches. Below the floor, in seconds, nothing
/// is an outlier.
const OUTLIER: f64 = 5.0;
const OUTLIER_FLOOR: f64 = 1e-4;

/// How much the sizes must vary, as a share of their mean, before they say anything about the slope. Below it the
/// line is level: larger batches look free, are tried, and teach the slope.
const LEAST_VARIATION: f64 = 0.03;

/// Bounds of the margin, as a share of the prediction.
const LEAST_MARGIN: f64 = 0.05;
const MOST_MARGIN: f64 = 0.25;

#[derive(Debug, Default)]
pub struct Fit {
    samples: usize,
    weight: f64,
    rows: f64,
    seconds: f64,
    rows_rows: f64,
    rows_seconds: f64,
    seconds_seconds: f64,
    line: Option<Line>,
}

/// Seconds as a function of rows.
#[derive(Debug, Clone, Copy)]
struct Line {
    intercept: f64,
    slope: f64,
    /// Two standard deviations of what was seen around the line, as a share of the mean.
    margin: f64,
}

impl Line {
    fn at(&self, rows: usize) -> f64 {
        self.intercept + self.slope * rows as f64
    }
}

impl Fit {
    /// A batch of so many rows ran.
    pub fn observe(&mut self, rows: usize, took: Duration) {
        self.samples = self.samples.saturating_add(1);
        if self.samples == 1 {
            return;
        }
        let (x, mut y) = (rows.max(1) as f64, took.as_secs_f64());
        if let Some(line) = self.line {
            y = y.min(OUTLIER * line.at(rows) + OUTLIER_FLOOR);
        }
        for (sum, term) in [
            (&mut self.weight, 1.0),
            (&mut self.rows, x),
            (&mut self.seconds, y),
            (&mut self.rows_rows, x * x),
            (&mut self.rows_seconds, x * y),
            (&mut self.seconds_seconds, y * y),
        ] {
            *sum = *sum * FORGETTING + term;
        }
        if self.samples >= ENOUGH {
            self.line = Some(self.solve());
        }
    }

    /// How long a batch of so many rows will take; `None` until enough of them ran.
    pub fn predict(&self, rows: usize) -> Option<Duration> {
        Some(Duration::from_secs_f64(self.line?.at(rows)))
    }

    /// By how much reality may well exceed a prediction, as a share of it.
    pub fn margin(&self) -> f64 {
        self.line.map_or(MOST_MARGIN, |line| line.margin)
    }

    /// The largest batch that takes no longer, with the margin; `None` until enough of them ran.
    pub fn rows_within(&self, time: Duration) -> Option<usize> {
        let line = self.line?;
        let rows = (time.as_secs_f64() / (1.0 + line.margin) - line.intercept) / line.slope;
        // A level line divides by zero: everything fits or nothing does. The cast keeps to the bounds of usize.
        Some(if rows.is_nan() { 0 } else { rows as usize })
    }

    fn solve(&self) -> Line {
        let (rows, seconds) = (self.rows / self.weight, self.seconds / self.weight);
        let variance = (self.rows_rows / self.weight - rows * rows).max(0.0);
        let covariance = self.rows_seconds / self.weight - rows * seconds;
        let mut slope = 0.0;
        if variance > (LEAST_VARIATION * rows).powi(2) {
            slope = (covariance / variance).max(0.0);
        }
        let mut intercept = seconds - slope * rows;
        if intercept < 0.0 {
            // Nothing takes less than no time: the line through the origin.
            (intercept, slope) = (0.0, self.rows_seconds / self.rows_rows);
        }
        let residual = self.seconds_seconds - intercept * self.seconds - slope * self.rows_seconds
            + intercept * (intercept * self.weight + slope * self.rows - self.seconds)
            + slope * (intercept * self.rows + slope * self.rows_rows - self.rows_seconds);
        let deviation = (residual / self.weight).max(0.0).sqrt();
        let margin = (2.0 * deviation / seconds).clamp(LEAST_MARGIN, MOST_MARGIN);
        Line { intercept, slope, margin: if margin.is_nan() { MOST_MARGIN } else { margin } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn micros(micros: f64) -> Duration {
        Duration::from_secs_f64(micros / 1e6)
    }

    /// A fit of batches of these sizes that each took `fixed + each * rows` microseconds.
    fn taught(sizes: impl IntoIterator<Item = usize>, fixed: f64, each: f64) -> Fit {
        let mut fit = Fit::default();
        sizes.into_iter().for_each(|rows| fit.observe(rows, micros(fixed + each * rows as f64)));
        fit
    }

    fn predicted(fit: &Fit, rows: usize) -> f64 {
        fit.predict(rows).unwrap().as_secs_f64() * 1e6
    }

    #[test]
    fn a_few_batches_predict_nothing() {
        assert_eq!(taught(1..ENOUGH, 100.0, 10.0).predict(1), None);
        assert_eq!(taught(1..ENOUGH, 100.0, 10.0).rows_within(micros(1.0)), None);
        assert!(taught(1..=ENOUGH, 100.0, 10.0).predict(1).is_some());
    }

    #[test]
    fn the_first_batch_does_not_count() {
        let mut fit = Fit::default();
        fit.observe(1, Duration::from_secs(9));
        (1..ENOUGH).for_each(|_| fit.observe(1, micros(100.0)));
        assert!((predicted(&fit, 1) - 100.0).abs() < 1e-6);
    }

    #[test]
    fn one_size_says_nothing_about_others() {
        let fit = taught([8; 20], 1_000.0, 0.0);
        assert!([1, 8, 64].iter().all(|&rows| (predicted(&fit, rows) - 1_000.0).abs() < 1e-3));
        assert_eq!(fit.rows_within(micros(1_100.0)), Some(usize::MAX));
        assert_eq!(fit.rows_within(micros(900.0)), Some(0));
    }

    #[test]
    fn a_hiccup_is_survived_and_a_slower_model_followed() {
        let mut fit = taught((0..60).map(|index| 1 + index % 8), 1_000.0, 100.0);
        fit.observe(4, Duration::from_secs(2));
        assert!(predicted(&fit, 4) < 1_400.0 * 1.15);
        for index in 0..100 {
            fit.observe(1 + index % 8, micros(10_000.0 + 1_000.0 * (1 + index % 8) as f64));
        }
        assert!(predicted(&fit, 4) > 14_000.0 * 0.85);
    }

    #[test]
    fn the_margin_grows_with_the_noise_within_bounds() {
        assert_eq!(taught(1..50, 1_000.0, 100.0).margin(), LEAST_MARGIN);
        let mut fit = Fit::default();
        (0..50).for_each(|index| fit.observe(8, micros(if index % 2 == 0 { 900.0 } else { 1_100.0 })));
        assert!((0.15..0.25).contains(&fit.margin()), "{}", fit.margin());
        (0..50).for_each(|index| fit.observe(8, micros(if index % 2 == 0 { 200.0 } else { 2_000.0 })));
        assert_eq!(fit.margin(), MOST_MARGIN);
    }

    proptest! {
        #[test]
        fn a_line_is_found(fixed in 0.0..10_000.0f64, each in 1.0..1_000.0f64, sizes in prop::collection::vec(1usize..65, 30..80)) {
            let distinct = sizes.iter().skip(1).collect::<std::collections::BTreeSet<_>>().len();
            prop_assume!(distinct > 4);
            let fit = taught(sizes, fixed, each);
            for rows in [1, 8, 64] {
                let expected = fixed + each * rows as f64;
                prop_assert!((predicted(&fit, rows) - expected).abs() <= 0.01 * expected + 1.0);
            }
            let room = micros((fixed + each * 20.0) * (1.0 + fit.margin()) + 0.5 * each);
            prop_assert_eq!(fit.rows_within(room), Some(20));
        }

        /// Whatever it is told, it predicts something finite that does not shrink with the batch.
        #[test]
        fn no_sample_breaks_it(samples in prop::collection::vec((0usize..100, 0u64..10_000_000_000), 6..100)) {
            let mut fit = Fit::default();
            samples.iter().for_each(|&(rows, nanos)| fit.observe(rows, Duration::from_nanos(nanos)));
            let (small, large) = (fit.predict(1).unwrap(), fit.predict(64).unwrap());
            prop_assert!(small <= large && large < Duration::from_secs(100_000));
            prop_assert!((LEAST_MARGIN..=MOST_MARGIN).contains(&fit.margin()));
            let rows = fit.rows_within(small.mul_f64(1.0 + fit.margin())).unwrap();
            prop_assert!(rows <= 64 || fit.predict(rows.min(1 << 20)).unwrap() <= small * 2);
        }
    }
}
