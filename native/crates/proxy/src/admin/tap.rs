//! Live requests as lines of JSON, for as long as somebody reads them.

use crate::observe::tap::{Filter, Tap, View, Wanted};
use form_urlencoded::parse;
use infermesh_wire::Error;
use std::{sync::Arc, time::Duration};

/// Of no longer requests than this is it of use to ask.
const LONGEST_MS: f64 = 86_400_000.0;

/// What to write of live requests. Fails with INVALID_ARGUMENT for a query that says something else, with
/// RESOURCE_EXHAUSTED if too many look already.
pub fn look(tap: &Arc<Tap>, query: &str) -> Result<View, Error> {
    tap.look(filter(query)?)
        .ok_or_else(|| Error::overloaded("as many look at live requests already as may do so at once"))
}

fn filter(query: &str) -> Result<Filter, Error> {
    let mut filter = Filter::default();
    for (name, value) in parse(query.as_bytes()) {
        let text = || Some(value.clone().into_owned());
        match &*name {
            "listener" => filter.listener = text(),
            "route" => filter.route = text(),
            "cluster" => filter.cluster = text(),
            "code" => filter.ends.push(Wanted::parse(&value).ok_or_else(|| {
                let expected =
                    "a gRPC code by name or number, an HTTP status, a class of them as 5xx, or failure";
                Error::invalid(format!("found code '{value}', expected {expected}"))
            })?),
            "min_ms" => {
                let millis = value.parse().ok().filter(|millis| (0.0..=LONGEST_MS).contains(millis));
                let millis: f64 = millis.ok_or_else(|| {
                    Error::invalid(format!("found min_ms '{value}', expected milliseconds, a day at most"))
                })?;
                filter.min_duration = Some(Duration::from_secs_f64(millis / 1e3));
            }
            other => {
                let expected = "listener, route, cluster, code or min_ms";
                return Err(Error::invalid(format!("found '{other}' in the query, expected {expected}")));
            }
        }
    }
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_says_what_is_wanted() {
        assert_eq!(filter("").unwrap(), Filter::default());
        let found = filter("route=to%20app&cluster=b&listener=in&code=14&code=5xx&min_ms=1.5").unwrap();
        let expected = Filter {
            listener: Some("in".into()),
            route: Some("to app".into()),
            cluster: Some("b".into()),
            ends: vec![Wanted::Grpc(14), Wanted::Class(5)],
            min_duration: Some(Duration::from_micros(1_500)),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn what_it_cannot_say_is_named() {
        for (query, expected) in [
            ("code=600", "code '600', expected a gRPC code"),
            ("min_ms=fast", "min_ms 'fast'"),
            ("min_ms=-1", "min_ms '-1'"),
            ("min_ms=nan", "min_ms 'nan'"),
            ("rout=x", "'rout' in the query, expected listener, route"),
        ] {
            let said = filter(query).unwrap_err().message;
            assert!(said.contains(expected), "{said}");
        }
    }
}
