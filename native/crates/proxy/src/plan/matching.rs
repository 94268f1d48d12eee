//! Which requests a rule is about.

use crate::{headers::is_grpc, proto};
use http::{HeaderName, Method, header::HOST, request::Parts};

/// A text that has to be equal, or to begin like this where it ended with `*`.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    open: bool,
}

impl Pattern {
    pub fn new(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some(start) => Self { text: start.to_owned(), open: true },
            None => Self { text: text.to_owned(), open: false },
        }
    }

    pub fn fits(&self, text: &str) -> bool {
        if self.open { text.starts_with(&self.text) } else { text == self.text }
    }
}

/// All that is given has to fit.
#[derive(Debug, Clone, Default)]
pub struct Match {
    path: Option<String>,
    prefix: Option<String>,
    methods: Vec<Method>,
    authorities: Vec<String>,
    headers: Vec<(HeaderName, Pattern)>,
    grpc: Option<bool>,
    any: Vec<Match>,
}

impl Match {
    /// Fails with the field that is wrong.
    pub fn new(given: &proto::Match) -> Result<Self, String> {
        let filled = |text: &String| (!text.is_empty()).then(|| text.clone());
        let grpc = match given.protocol() {
            proto::Protocol::Unspecified => None,
            proto::Protocol::Grpc => Some(true),
            proto::Protocol::Http => Some(false),
        };
        let headers = given.headers.iter().map(|(name, value)| {
            let known = name.parse::<HeaderName>();
            let name = known.map_err(|_| format!("headers: '{name}' is no header's name"))?;
            Ok((name, Pattern::new(value)))
        });
        Ok(Self {
            path: filled(&given.path),
            prefix: filled(&given.prefix),
            methods: methods(&given.methods)?,
            authorities: given.authorities.clone(),
            headers: headers.collect::<Result<_, String>>()?,
            grpc,
            any: given.any.iter().enumerate().map(Self::nested).collect::<Result<_, _>>()?,
        })
    }

    fn nested((index, given): (usize, &proto::Match)) -> Result<Self, String> {
        if !given.any.is_empty() {
            return Err(format!(
                "any[{index}].any: found a choice within a choice, expected the fields of a match"
            ));
        }
        Self::new(given).map_err(|why| format!("any[{index}].{why}"))
    }

    pub fn fits(&self, head: &Parts) -> bool {
        let path = head.uri.path();
        self.path.as_ref().is_none_or(|wanted| wanted == path)
            && self.prefix.as_ref().is_none_or(|prefix| path.starts_with(prefix.as_str()))
            && (self.methods.is_empty() || self.methods.contains(&head.method))
            && (self.authorities.is_empty() || self.names(authority(head)))
            && self.grpc.is_none_or(|wanted| wanted == is_grpc(&head.headers))
            && self.headers.iter().all(|(name, pattern)| {
                let value = head.headers.get(name).and_then(|value| value.to_str().ok());
                value.is_some_and(|value| pattern.fits(value))
            })
            && (self.any.is_empty() || self.any.iter().any(|it| it.fits(head)))
    }

    fn names(&self, authority: &str) -> bool {
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        self.authorities
            .iter()
            .any(|wanted| wanted.eq_ignore_ascii_case(authority) || wanted.eq_ignore_ascii_case(host))
    }
}

/// As HTTP writes them.
pub fn methods(names: &[String]) -> Result<Vec<Method>, String> {
    let parsed = |name: &String| name.parse().map_err(|_| format!("methods: '{name}' is no HTTP method"));
    names.iter().map(parsed).collect()
}

/// `:authority`, or Host.
pub fn authority(head: &Parts) -> &str {
    match head.uri.authority() {
        Some(authority) => authority.as_str(),
        None => head.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn head(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn fits(given: &proto::Match, head: &Parts) -> bool {
        Match::new(given).unwrap().fits(head)
    }

    #[test]
    fn everything_given_has_to_fit() {
        let given = proto::Match {
            prefix: "/orders".into(),
            methods: vec!["POST".into()],
            headers: [("x-kind".to_owned(), "shop-*".to_owned())].into(),
            ..Default::default()
        };
        let fitting = [("x-kind", "shop-1")];
        assert!(fits(&given, &head("POST", "/orders/7", &fitting)));
        assert!(!fits(&given, &head("GET", "/orders/7", &fitting)));
        assert!(!fits(&given, &head("POST", "/other", &fitting)));
        assert!(!fits(&given, &head("POST", "/orders", &[("x-kind", "other")])));
        assert!(!fits(&given, &head("POST", "/orders", &[])));
        assert!(fits(&proto::Match::default(), &head("PUT", "/", &[])));
    }

    #[test]
    fn a_path_does_not_include_the_query() {
        let given = proto::Match { path: "/a".into(), ..Default::default() };
        assert!(fits(&given, &head("GET", "/a?b=c", &[])));
        assert!(!fits(&given, &head("GET", "/a/", &[])));
    }

    #[test]
    fn an_authority_is_known_with_and_without_its_port() {
        let given = proto::Match { authorities: vec!["Fraud.local".into()], ..Default::default() };
        assert!(fits(&given, &head("GET", "http://fraud.local:80/", &[])));
        assert!(fits(&given, &head("GET", "/", &[("host", "fraud.local")])));
        assert!(!fits(&given, &head("GET", "/", &[("host", "other")])));
    }

    #[test]
    fn grpc_and_the_rest_are_told_apart() {
        let grpc = [("content-type", "application/grpc")];
        let given = proto::Match { protocol: proto::Protocol::Grpc as i32, ..Default::default() };
        assert!(fits(&given, &head("POST", "/", &grpc)));
        assert!(!fits(&given, &head("POST", "/", &[])));
        let given = proto::Match { protocol: proto::Protocol::Http as i32, ..Default::default() };
        assert!(!fits(&given, &head("POST", "/", &grpc)));
    }

    #[test]
    fn of_a_choice_one_has_to_fit() {
        let named = proto::Match { authorities: vec!["fraud".into()], ..Default::default() };
        let placed = proto::Match { prefix: "/v2/models/fraud".into(), ..Default::default() };
        let choice = vec![named, placed];
        let given = proto::Match { methods: vec!["POST".into()], any: choice.clone(), ..Default::default() };
        assert!(fits(&given, &head("POST", "/", &[("host", "fraud:80")])));
        assert!(fits(&given, &head("POST", "/v2/models/fraud/infer", &[])));
        assert!(!fits(&given, &head("GET", "/v2/models/fraud", &[])));
        assert!(!fits(&given, &head("POST", "/v2/models/other", &[])));
        let within = proto::Match { any: choice, ..Default::default() };
        let within = proto::Match { any: vec![within], ..Default::default() };
        assert!(Match::new(&within).unwrap_err().starts_with("any[0].any: found a choice within a choice"));
    }

    #[test]
    fn what_is_no_name_is_said() {
        let given = proto::Match { methods: vec!["GE T".into()], ..Default::default() };
        assert!(Match::new(&given).unwrap_err().contains("'GE T' is no HTTP method"));
    }
}
