//! Histograms of nanoseconds, all with the same bounds, so that any two can be merged.

use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer, V2Serializer};

const LOWEST: u64 = 1;
/// One hour.
const HIGHEST: u64 = 3_600_000_000_000;
const DIGITS: u8 = 3;
/// What a rank may be off by, as a share of it: far above rounding errors, and less than one rank in 10^12.
const RANK_ERROR: f64 = 1e-12;

/// Counts of nanoseconds between 1 and an hour, to three digits. Memory is taken with the first value.
#[derive(Debug, Clone, Default)]
pub struct Histogram(Option<Box<hdrhistogram::Histogram<u64>>>);

impl Histogram {
    /// What is above an hour counts as one.
    #[inline]
    pub fn record(&mut self, value: u64) {
        self.counts().saturating_record(value.max(LOWEST));
    }

    pub fn record_many(&mut self, value: u64, count: u64) {
        self.counts().saturating_record_n(value.max(LOWEST), count);
    }

    pub fn merge(&mut self, other: &Self) {
        match (&mut self.0, &other.0) {
            (_, None) => {}
            (None, Some(_)) => self.0.clone_from(&other.0),
            (Some(own), Some(other)) => {
                for step in other.iter_recorded() {
                    own.saturating_record_n(step.value_iterated_to(), step.count_at_value());
                }
            }
        }
    }

    pub fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, |counts| counts.len())
    }

    pub fn min(&self) -> u64 {
        self.filled().map_or(0, |counts| counts.min())
    }

    pub fn max(&self) -> u64 {
        self.filled().map_or(0, |counts| counts.max())
    }

    pub fn mean(&self) -> f64 {
        self.filled().map_or(0.0, |counts| counts.mean())
    }

    pub fn stdev(&self) -> f64 {
        self.filled().map_or(0.0, |counts| counts.stdev())
    }

    /// `percentile` from 0 to 100.
    pub fn percentile(&self, percentile: f64) -> u64 {
        // 99.9 / 100 * 1000 is a little above 999 in binary, which would be rounded up to the rank 1000.
        self.filled().map_or(0, |counts| counts.value_at_quantile(percentile / 100.0 * (1.0 - RANK_ERROR)))
    }

    pub fn count_up_to(&self, value: u64) -> u64 {
        self.filled().map_or(0, |counts| counts.count_between(0, value.min(HIGHEST)))
    }

    /// The values that occur, ascending, with their counts.
    pub fn steps(&self) -> Vec<(u64, u64)> {
        self.filled().map_or_else(Vec::new, |counts| {
            counts.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value())).collect()
        })
    }

    /// V2, compressed; nothing for an empty one.
    pub fn encode(&self) -> Vec<u8> {
        let mut encoded = Vec::new();
        if let Some(counts) = self.filled() {
            // Into memory, of bounds that fit: nothing that can fail.
            let _ = V2DeflateSerializer::new().serialize(counts, &mut encoded);
        }
        encoded
    }

    /// V2, not compressed: quicker, for one that is read at once.
    pub fn encode_plain(&self) -> Vec<u8> {
        let mut encoded = Vec::new();
        if let Some(counts) = self.filled() {
            let _ = V2Serializer::new().serialize(counts, &mut encoded);
        }
        encoded
    }

    /// Whatever another HdrHistogram library wrote in V2; values beyond the bounds count as the bound.
    pub fn decode(encoded: &[u8]) -> Result<Self, String> {
        let mut found = Self::default();
        if !encoded.is_empty() {
            let other: hdrhistogram::Histogram<u64> = Deserializer::new()
                .deserialize(&mut std::io::Cursor::new(encoded))
                .map_err(|error| format!("not an HdrHistogram in V2 encoding: {error}"))?;
            for step in other.iter_recorded() {
                found.record_many(step.value_iterated_to(), step.count_at_value());
            }
        }
        Ok(found)
    }

    fn filled(&self) -> Option<&hdrhistogram::Histogram<u64>> {
        self.0.as_deref().filter(|counts| !counts.is_empty())
    }

    fn counts(&mut self) -> &mut hdrhistogram::Histogram<u64> {
        self.0.get_or_insert_with(|| {
            #[allow(clippy::expect_used)]
            Box::new(
                hdrhistogram::Histogram::new_with_bounds(LOWEST, HIGHEST, DIGITS)
                    .expect("constant bounds are good"),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        values.iter().for_each(|&value| histogram.record(value));
        histogram
    }

    #[test]
    fn an_empty_one_says_nothing() {
        let empty = Histogram::default();
        assert_eq!((empty.count(), empty.min(), empty.max(), empty.percentile(99.0)), (0, 0, 0, 0));
        assert!(empty.encode().is_empty() && empty.steps().is_empty());
        assert_eq!(Histogram::decode(&[]).unwrap().count(), 0);
    }

    #[test]
    fn three_digits_are_kept_and_what_is_above_an_hour_is_an_hour() {
        let histogram = of(&[1_000, 123_456_789, u64::MAX]);
        assert_eq!(histogram.count(), 3);
        let median = histogram.percentile(50.0);
        assert!(median.abs_diff(123_456_789) * 1_000 <= median, "{median}");
        assert!(histogram.max().abs_diff(HIGHEST) * 1_000 <= HIGHEST, "{}", histogram.max());
    }

    #[test]
    fn a_percentile_is_the_value_of_its_rank() {
        let histogram = of(&(1..=1_000).collect::<Vec<_>>());
        for tenths in 1..=1_000 {
            assert_eq!(histogram.percentile(tenths as f64 / 10.0), tenths, "of {tenths} tenths");
        }
        assert_eq!((histogram.percentile(0.0), histogram.percentile(99.91)), (1, 1_000));
    }

    #[test]
    fn what_is_merged_or_encoded_loses_nothing() {
        let mut one = of(&[5, 700, 90_000]);
        one.merge(&of(&[90_000, 1_000_000_000]));
        assert_eq!(one.count(), 5);
        assert_eq!(one.count_up_to(700), 2);
        for encoded in [one.encode(), one.encode_plain()] {
            assert_eq!(Histogram::decode(&encoded).unwrap().steps(), one.steps());
        }
        assert!(Histogram::decode(b"nonsense").is_err());
    }
}
