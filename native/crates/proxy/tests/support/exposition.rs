//! Prometheus' text format, read as strictly as it is defined.
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>

use std::collections::{BTreeMap, BTreeSet};

/// Samples by name and labels, as they are written.
#[derive(Debug)]
pub struct Exposition(BTreeMap<String, f64>);

impl Exposition {
    /// Fails for what Prometheus refuses, or what our own rules do.
    pub fn parse(text: &str) -> Self {
        let (mut samples, mut seen) = (BTreeMap::new(), BTreeSet::new());
        let (mut family, mut kind) = (String::new(), String::new());
        assert!(text.ends_with('\n'));
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                family = help.split(' ').next().unwrap().to_owned();
                assert!(seen.insert(family.clone()), "{family} is there twice");
                assert!(help.len() > family.len() + 1, "{family} is not explained");
                kind.clear();
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, what) = rest.split_once(' ').unwrap();
                assert_eq!(name, family);
                assert!(["counter", "gauge", "histogram"].contains(&what), "{line}");
                assert_eq!(what == "counter", name.ends_with("_total"), "{line}");
                what.clone_into(&mut kind);
            } else {
                let (series, value) = line.rsplit_once(' ').unwrap();
                let name = check_series(series);
                let suffix = name.strip_prefix(&family[..]).unwrap_or_else(|| panic!("{name} in {family}"));
                match &kind[..] {
                    "histogram" => assert!(["_bucket", "_sum", "_count"].contains(&suffix), "{line}"),
                    "" => panic!("{line} comes before its type"),
                    _ => assert_eq!(suffix, "", "{line}"),
                }
                let earlier = samples.insert(series.to_owned(), value.parse().unwrap());
                assert!(earlier.is_none(), "{series} is there twice");
            }
        }
        Self(samples)
    }

    /// Of one series; its labels as they are written.
    pub fn value(&self, series: &str) -> f64 {
        *self.0.get(series).unwrap_or_else(|| panic!("there is no {series} in {:#?}", self.0.keys()))
    }

    pub fn has(&self, series: &str) -> bool {
        self.0.contains_key(series)
    }
}

/// `name` or `name{label="value",...}`; its name.
fn check_series(series: &str) -> &str {
    let Some((name, labels)) = series.split_once('{') else { return series };
    let mut rest = labels.strip_suffix('}').unwrap();
    while !rest.is_empty() {
        let (label, value) = rest.split_once("=\"").unwrap();
        assert!(label.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{series}");
        let end = value.find('"').unwrap();
        assert!(!value[..end].ends_with('\\'), "{series}: escapes are not read here");
        rest = value[end + 1..].strip_prefix(',').unwrap_or(&value[end + 1..]);
    }
    name
}
