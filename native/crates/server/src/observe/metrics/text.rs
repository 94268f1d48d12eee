//! Prometheus' text format.

use infermesh_batcher::histogram::Histogram;
use std::fmt::{Display, Write};

#[derive(Default)]
pub struct Text(String);

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.0
    }
}

impl Text {
    /// Its samples follow.
    pub fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// `labels` as `name="value"` pairs with commas between them, values escaped; none is fine.
    pub fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = match labels {
            "" => writeln!(self.0, "{name} {value}"),
            labels => writeln!(self.0, "{name}{{{labels}}} {value}"),
        };
    }

    /// A family of one sample.
    pub fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, "", value);
    }

    /// The samples of one histogram; what it counted is shown divided by `unit`.
    pub fn histogram<const FIRST: u64, const BUCKETS: usize>(
        &mut self,
        name: &str,
        labels: &str,
        histogram: &Histogram<FIRST, BUCKETS>,
        unit: f64,
    ) {
        for (bound, count) in histogram.cumulative() {
            let _ = writeln!(self.0, "{name}_bucket{{{labels},le=\"{}\"}} {count}", bound as f64 / unit);
        }
        let count = histogram.count();
        let _ = writeln!(self.0, "{name}_bucket{{{labels},le=\"+Inf\"}} {count}");
        let _ = writeln!(self.0, "{name}_sum{{{labels}}} {}", histogram.sum() as f64 / unit);
        let _ = writeln!(self.0, "{name}_count{{{labels}}} {count}");
    }
}

/// A label's value.
pub fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stay_on_their_line() {
        assert_eq!(escaped("a\"b\\\n"), "a\\\"b\\\\\\n");
    }

    #[test]
    fn a_histogram_ends_with_everything() {
        let mut histogram = Histogram::<1000, 3>::default();
        [1000, 1500, 9000].into_iter().for_each(|value| histogram.record(value));
        let mut text = Text::default();
        text.histogram("h", "a=\"b\"", &histogram, 1e6);
        let expected = "h_bucket{a=\"b\",le=\"0.001\"} 1\nh_bucket{a=\"b\",le=\"0.002\"} 2\n\
                        h_bucket{a=\"b\",le=\"+Inf\"} 3\nh_sum{a=\"b\"} 0.0115\nh_count{a=\"b\"} 3\n";
        assert_eq!(String::from(text), expected);
    }
}
