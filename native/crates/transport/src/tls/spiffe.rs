//! SPIFFE ids: who a workload is, as a URI; and patterns of them.
//!
//! After the SPIFFE standards: SPIFFE-ID, sections 2.1 to 2.4, and for ids in certificates X509-SVID,
//! sections 3.1 and 5.2 (github.com/spiffe/spiffe, folder `standards`).

use std::{fmt, str::FromStr};

const SCHEME: &str = "spiffe://";

/// What every implementation has to take; longer ones are refused.
const MAX_ID: usize = 2048;
const MAX_TRUST_DOMAIN: usize = 255;

/// The id of a workload: a trust domain and a path in it, as in `spiffe://mesh.example/ns/ml/sa/scorer`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpiffeId {
    text: Box<str>,
    /// Where the path begins.
    path: usize,
}

impl SpiffeId {
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn trust_domain(&self) -> &str {
        &self.text[SCHEME.len()..self.path]
    }

    /// With the slash that it begins with.
    pub fn path(&self) -> &str {
        &self.text[self.path..]
    }
}

impl FromStr for SpiffeId {
    type Err = String;

    /// Fails with what is wrong with it.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: String| format!("'{}' is no SPIFFE id: {why}", text.escape_debug());
        if text.len() > MAX_ID {
            return Err(format!("a SPIFFE id has at most {MAX_ID} bytes, and this has {}", text.len()));
        }
        let Some(rest) = text.strip_prefix(SCHEME) else {
            return Err(wrong(format!("expected '{SCHEME}TRUST-DOMAIN/PATH'")));
        };
        let (domain, path) = rest.split_once('/').ok_or_else(|| {
            wrong("it has no path; only an authority is named by its trust domain alone".into())
        })?;
        check_trust_domain(domain).map_err(wrong)?;
        path.split('/').try_for_each(check_segment).map_err(wrong)?;
        Ok(Self { text: text.into(), path: SCHEME.len() + domain.len() })
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.text)
    }
}

/// Fails with what keeps this from being the name of a trust domain.
pub fn check_trust_domain(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("the name of its trust domain is empty".into());
    }
    if name.len() > MAX_TRUST_DOMAIN {
        let found = name.len();
        return Err(format!(
            "the name of a trust domain has at most {MAX_TRUST_DOMAIN} bytes, found {found}"
        ));
    }
    check_domain_characters(name)
}

fn check_domain_characters(name: &str) -> Result<(), String> {
    let allowed = |byte: char| matches!(byte, 'a'..='z' | '0'..='9' | '.' | '-' | '_');
    match name.chars().find(|found| !allowed(*found)) {
        None => Ok(()),
        Some(found) => Err(format!(
            "the name of a trust domain has lower-case letters, digits, '.', '-' and '_', found {found:?}"
        )),
    }
}

fn check_segment(segment: &str) -> Result<(), String> {
    match segment {
        "" => Err("a part of its path is empty".into()),
        "." | ".." => Err(format!("'{segment}' is no part of a path")),
        _ => check_segment_characters(segment),
    }
}

fn check_segment_characters(segment: &str) -> Result<(), String> {
    let allowed = |byte: char| matches!(byte, 'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '_');
    match segment.chars().find(|found| !allowed(*found)) {
        None => Ok(()),
        Some(found) => Err(format!("its path has letters, digits, '.', '-' and '_', found {found:?}")),
    }
}

/// One id, or with a `*` at the end all ids that begin like this. `*` alone is all there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    Exactly(SpiffeId),
    Beginning(Box<str>),
}

impl Pattern {
    pub fn matches(&self, id: &SpiffeId) -> bool {
        match self {
            Self::Exactly(only) => only == id,
            Self::Beginning(start) => id.as_str().starts_with(&**start),
        }
    }
}

impl FromStr for Pattern {
    type Err = String;

    /// Fails with what is wrong with it: a pattern that no id can match is a mistake.
    fn from_str(text: &str) -> Result<Self, String> {
        let Some(start) = text.strip_suffix('*') else {
            let hint = if text.contains('*') { "; a '*' may stand at the end alone" } else { "" };
            return text.parse().map(Self::Exactly).map_err(|wrong| format!("{wrong}{hint}"));
        };
        let wrong = |why: String| format!("'{}' matches no SPIFFE id: {why}", text.escape_debug());
        if start.is_empty() {
            return Ok(Self::Beginning("".into()));
        }
        let Some(rest) = start.strip_prefix(SCHEME) else {
            return Err(wrong(format!("expected '{SCHEME}TRUST-DOMAIN/PATH*'")));
        };
        match rest.split_once('/') {
            None => check_domain_characters(rest).map_err(wrong)?,
            Some((domain, path)) => {
                check_trust_domain(domain).map_err(wrong)?;
                let (whole, last) = path.rsplit_once('/').map_or((None, path), |(w, l)| (Some(w), l));
                whole.into_iter().flat_map(|w| w.split('/')).try_for_each(check_segment).map_err(wrong)?;
                check_segment_characters(last).map_err(wrong)?;
            }
        }
        Ok(Self::Beginning(start.into()))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(id) => id.fmt(to),
            Self::Beginning(start) => write!(to, "{start}*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> SpiffeId {
        text.parse().unwrap()
    }

    #[test]
    fn an_id_is_a_trust_domain_and_a_path() {
        let found = id("spiffe://mesh.example/ns/ml/sa/Scorer_2");
        assert_eq!(found.trust_domain(), "mesh.example");
        assert_eq!(found.path(), "/ns/ml/sa/Scorer_2");
        assert_eq!(found.to_string(), "spiffe://mesh.example/ns/ml/sa/Scorer_2");
        // Neither has to be a name of DNS.
        assert_eq!(id("spiffe://10.0.0.1/a").trust_domain(), "10.0.0.1");
        assert_eq!(id("spiffe://a_b/...").path(), "/...");
        let longest = format!("spiffe://{}/{}", "d".repeat(255), "p".repeat(2048 - 9 - 255 - 1));
        assert_eq!(id(&longest).as_str().len(), 2048);
    }

    #[test]
    fn what_is_no_id_says_why() {
        for (wrong, why) in [
            ("", "expected 'spiffe://"),
            ("mesh/a", "expected 'spiffe://"),
            ("https://mesh/a", "expected 'spiffe://"),
            ("SPIFFE://mesh/a", "expected 'spiffe://"),
            ("spiffe:/mesh/a", "expected 'spiffe://"),
            ("spiffe://mesh", "no path"),
            ("spiffe:///a", "trust domain is empty"),
            ("spiffe://Mesh/a", "found 'M'"),
            ("spiffe://mesh:8443/a", "found ':'"),
            ("spiffe://me@mesh/a", "found '@'"),
            ("spiffe://m%65sh/a", "found '%'"),
            ("spiffe://mesh/", "is empty"),
            ("spiffe://mesh/a/", "is empty"),
            ("spiffe://mesh//a", "is empty"),
            ("spiffe://mesh/a/./b", "'.' is no part"),
            ("spiffe://mesh/../b", "'..' is no part"),
            ("spiffe://mesh/a%20b", "found '%'"),
            ("spiffe://mesh/a?b=c", "found '?'"),
            ("spiffe://mesh/a#b", "found '#'"),
            ("spiffe://mesh/ä", "found 'ä'"),
            ("spiffe://mesh/a\n", "found '\\n'"),
            ("spiffe://mesh/*", "found '*'"),
        ] {
            let said = wrong.parse::<SpiffeId>().unwrap_err();
            assert!(said.contains(why), "{wrong:?}: {said}");
            assert!(!said.contains('\n'), "{said}");
        }
        let domain = format!("spiffe://{}/a", "d".repeat(256));
        assert!(domain.parse::<SpiffeId>().unwrap_err().contains("255 bytes, found 256"));
        let path = format!("spiffe://mesh/{}", "p".repeat(2048));
        assert!(path.parse::<SpiffeId>().unwrap_err().contains("at most 2048 bytes"));
    }

    #[test]
    fn a_pattern_is_an_id_or_the_beginning_of_one() {
        let scorer = id("spiffe://mesh/ns/ml/sa/scorer");
        for (pattern, fits) in [
            ("*", true),
            ("spiffe://*", true),
            ("spiffe://mesh/*", true),
            ("spiffe://mesh/ns/ml/*", true),
            ("spiffe://mesh/ns/ml/sa/sc*", true),
            ("spiffe://mesh/ns/ml/sa/scorer", true),
            ("spiffe://mesh/ns/ml/sa/scorer*", true),
            ("spiffe://mesh/ns/ml/sa/scorer/*", false),
            ("spiffe://mesh/ns/ml/sa/score", false),
            ("spiffe://mesh/ns/m/*", false),
            ("spiffe://mes/*", false),
            ("spiffe://mesh.example/*", false),
            ("spiffe://mesh/NS/*", false),
        ] {
            let parsed: Pattern = pattern.parse().unwrap();
            assert_eq!(parsed.matches(&scorer), fits, "{pattern}");
            assert_eq!(parsed.to_string(), pattern);
        }
    }

    #[test]
    fn a_pattern_that_can_match_nothing_says_why() {
        for (wrong, why) in [
            ("", "expected 'spiffe://"),
            ("mesh/*", "expected 'spiffe://"),
            ("spiffe://mesh/*/sa", "at the end alone"),
            ("spiffe://mesh/**", "found '*'"),
            ("spiffe:///*", "trust domain is empty"),
            ("spiffe://Mesh*", "found 'M'"),
            ("spiffe://mesh//*", "is empty"),
            ("spiffe://mesh/../*", "'..' is no part"),
            ("spiffe://mesh/a b*", "found ' '"),
        ] {
            let said = wrong.parse::<Pattern>().unwrap_err();
            assert!(said.contains(why), "{wrong:?}: {said}");
        }
    }
}
