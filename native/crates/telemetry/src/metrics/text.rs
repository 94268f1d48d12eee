//! Prometheus' text format.

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

    /// The samples of one histogram: each bound with the number of values up to it, then all of them and their sum.
    pub fn histogram(
        &mut self,
        name: &str,
        labels: &str,
        cumulative: impl IntoIterator<Item = (f64, u64)>,
        count: u64,
        sum: f64,
    ) {
        for (bound, count) in cumulative {
            let _ = writeln!(self.0, "{name}_bucket{{{labels},le=\"{bound}\"}} {count}");
        }
        let _ = writeln!(self.0, "{name}_bucket{{{labels},le=\"+Inf\"}} {count}");
        let _ = writeln!(self.0, "{name}_sum{{{labels}}} {sum}");
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
        let mut text = Text::default();
        text.histogram("h", "a=\"b\"", [(0.001, 1), (0.002, 2)], 3, 0.0115);
        let expected = "h_bucket{a=\"b\",le=\"0.001\"} 1\nh_bucket{a=\"b\",le=\"0.002\"} 2\n\
                        h_bucket{a=\"b\",le=\"+Inf\"} 3\nh_sum{a=\"b\"} 0.0115\nh_count{a=\"b\"} 3\n";
        assert_eq!(String::from(text), expected);
    }
}
