//! What a path of the v2 protocol stands for.

use crate::answer::{self, Answer};
use http::Method;
use std::borrow::Cow;

#[derive(Debug, PartialEq, Eq)]
pub enum Route {
    Live,
    Ready,
    Server,
    OpenApi,
    Index,
    Load(String),
    Unload(String),
    AllStatistics,
    /// Of a model, or of the server if its name is empty.
    Traces(String),
    Logging,
    /// An empty region stands for all of them.
    SharedMemory {
        memory: Memory,
        region: String,
        action: Action,
    },
    /// An empty version stands for the newest.
    Model {
        name: String,
        version: String,
        aspect: Aspect,
    },
}

#[derive(Debug, PartialEq, Eq)]
pub enum Aspect {
    Metadata,
    Ready,
    Config,
    Statistics,
    Infer,
}

/// Whose memory is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    System,
    Cuda,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    Status,
    Register,
    Unregister,
}

impl Route {
    /// `None` for a path that the protocol does not have.
    pub fn parse(path: &str) -> Option<Self> {
        let segments = segments(path)?;
        let segments: Vec<&str> = segments.iter().map(|segment| &**segment).collect();
        let rest = match segments.as_slice() {
            ["v2"] => return Some(Self::Server),
            ["v2", rest @ ..] => rest,
            _ => return None,
        };
        match rest {
            ["openapi.json"] => Some(Self::OpenApi),
            ["health", "live"] => Some(Self::Live),
            ["health", "ready"] => Some(Self::Ready),
            ["repository", "index"] => Some(Self::Index),
            ["repository", "models", name, "load"] => Some(Self::Load((*name).to_owned())),
            ["repository", "models", name, "unload"] => Some(Self::Unload((*name).to_owned())),
            ["trace", "setting"] => Some(Self::Traces(String::new())),
            ["models", name, "trace", "setting"] if !name.is_empty() => {
                Some(Self::Traces((*name).to_owned()))
            }
            ["logging"] => Some(Self::Logging),
            ["systemsharedmemory", rest @ ..] => shared_memory(Memory::System, rest),
            ["cudasharedmemory", rest @ ..] => shared_memory(Memory::Cuda, rest),
            ["models", "stats"] => Some(Self::AllStatistics),
            ["models", name, "versions", version, aspect @ ..] if !version.is_empty() => {
                model(name, version, aspect)
            }
            ["models", name, aspect @ ..] => model(name, "", aspect),
            _ => None,
        }
    }

    /// What a request asks for, or the answer that it is not served.
    pub fn of(method: &Method, path: &str) -> Result<Self, Box<Answer>> {
        let route = Self::parse(path).ok_or_else(|| Box::new(answer::unknown_path(path)))?;
        let fits = match route.method() {
            "POST" => method == Method::POST,
            "GET" => matches!(*method, Method::GET | Method::HEAD),
            _ => matches!(*method, Method::GET | Method::HEAD | Method::POST),
        };
        if fits { Ok(route) } else { Err(Box::new(answer::wrong_method(route.method()))) }
    }

    /// The methods that are allowed.
    pub fn method(&self) -> &'static str {
        match self {
            Self::Index | Self::Load(_) | Self::Unload(_) => "POST",
            Self::Model { aspect: Aspect::Infer, .. } => "POST",
            Self::SharedMemory { action: Action::Register | Action::Unregister, .. } => "POST",
            Self::Traces(_) | Self::Logging => "GET, POST",
            _ => "GET",
        }
    }
}

fn shared_memory(memory: Memory, rest: &[&str]) -> Option<Route> {
    let (region, action) = match rest {
        // A region needs a name to be registered.
        [action] if *action != "register" => ("", action),
        ["region", name, action] if !name.is_empty() => (*name, action),
        _ => return None,
    };
    let action = match *action {
        "status" => Action::Status,
        "register" => Action::Register,
        "unregister" => Action::Unregister,
        _ => return None,
    };
    Some(Route::SharedMemory { memory, region: region.to_owned(), action })
}

fn model(name: &str, version: &str, aspect: &[&str]) -> Option<Route> {
    let aspect = match aspect {
        [] => Aspect::Metadata,
        ["ready"] => Aspect::Ready,
        ["config"] => Aspect::Config,
        ["stats"] => Aspect::Statistics,
        ["infer"] => Aspect::Infer,
        _ => return None,
    };
    (!name.is_empty()).then(|| Route::Model { name: name.to_owned(), version: version.to_owned(), aspect })
}

/// A path between its slashes, decoded; `None` for what is no text then.
pub(crate) fn segments(path: &str) -> Option<Vec<Cow<'_, str>>> {
    path.strip_prefix('/')?.split('/').map(decode).collect()
}

/// Percent-decoding; `None` for what is no text then.
pub(crate) fn decode(segment: &str) -> Option<Cow<'_, str>> {
    if !segment.contains('%') {
        return Some(segment.into());
    }
    let mut decoded = Vec::with_capacity(segment.len());
    let mut parts = segment.split('%');
    decoded.extend_from_slice(parts.next()?.as_bytes());
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        decoded.push(u8::from_str_radix(digits, 16).ok()?);
        decoded.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(name: &str, version: &str, aspect: Aspect) -> Option<Route> {
        Some(Route::Model { name: name.into(), version: version.into(), aspect })
    }

    #[test]
    fn a_model_has_versions_and_aspects() {
        assert_eq!(Route::parse("/v2/models/m"), model("m", "", Aspect::Metadata));
        assert_eq!(Route::parse("/v2/models/m/versions/3/infer"), model("m", "3", Aspect::Infer));
        assert_eq!(Route::parse("/v2/models/a%2Fb%20c/config"), model("a/b c", "", Aspect::Config));
        assert_eq!(Route::parse("/v2/models/stats"), Some(Route::AllStatistics));
    }

    #[test]
    fn regions_are_meant_one_by_one_or_all_at_once() {
        let route = |memory, region: &str, action| {
            Some(Route::SharedMemory { memory, region: region.into(), action })
        };
        let parse = Route::parse;
        assert_eq!(parse("/v2/systemsharedmemory/status"), route(Memory::System, "", Action::Status));
        assert_eq!(
            parse("/v2/cudasharedmemory/region/a%2Fb/register"),
            route(Memory::Cuda, "a/b", Action::Register)
        );
        assert_eq!(parse("/v2/systemsharedmemory/region//status"), None);
        assert_eq!(parse("/v2/systemsharedmemory/region/r"), None);
    }

    /// As the document writes it; without a wildcard, so that a new route is written here, too.
    fn template(route: &Route) -> String {
        let shared = |memory: &Memory| match memory {
            Memory::System => "systemsharedmemory",
            Memory::Cuda => "cudasharedmemory",
        };
        let path = match route {
            Route::Live => "health/live".into(),
            Route::Ready => "health/ready".into(),
            Route::Server => return "/v2".into(),
            Route::OpenApi => "openapi.json".into(),
            Route::Index => "repository/index".into(),
            Route::Load(_) => "repository/models/{model}/load".into(),
            Route::Unload(_) => "repository/models/{model}/unload".into(),
            Route::AllStatistics => "models/stats".into(),
            Route::Traces(model) if model.is_empty() => "trace/setting".into(),
            Route::Traces(_) => "models/{model}/trace/setting".into(),
            Route::Logging => "logging".into(),
            Route::SharedMemory { memory, region, action } => {
                let action = format!("{action:?}").to_lowercase();
                let region = if region.is_empty() { "" } else { "/region/{region}" };
                format!("{}{region}/{action}", shared(memory))
            }
            Route::Model { version, aspect, .. } => {
                let version = if version.is_empty() { "" } else { "/versions/{version}" };
                let aspect = match aspect {
                    Aspect::Metadata => "",
                    Aspect::Ready => "/ready",
                    Aspect::Config => "/config",
                    Aspect::Statistics => "/stats",
                    Aspect::Infer => "/infer",
                };
                format!("models/{{model}}{version}{aspect}")
            }
        };
        format!("/v2/{path}")
    }

    fn every_route() -> Vec<Route> {
        let (name, none) = (|| "x".to_owned(), String::new);
        let mut all = vec![Route::Live, Route::Ready, Route::Server, Route::OpenApi, Route::Index];
        all.extend([Route::Load(name()), Route::Unload(name()), Route::AllStatistics, Route::Logging]);
        all.extend([Route::Traces(none()), Route::Traces(name())]);
        for version in [none(), name()] {
            use Aspect::*;
            let of = |aspect| Route::Model { name: name(), version: version.clone(), aspect };
            all.extend([Metadata, Ready, Config, Statistics, Infer].map(of));
        }
        for memory in [Memory::System, Memory::Cuda] {
            use Action::*;
            let of = |region: String, action| Route::SharedMemory { memory, region, action };
            all.extend([of(none(), Status), of(none(), Unregister)]);
            all.extend([of(name(), Status), of(name(), Register), of(name(), Unregister)]);
        }
        all
    }

    #[test]
    fn the_document_has_every_route_and_no_other() {
        let document: serde_json::Value = serde_json::from_str(crate::OPENAPI).unwrap();
        let paths = document["paths"].as_object().unwrap();
        for (path, operations) in paths {
            let route = Route::parse(&path.replace(['{', '}'], "")).unwrap_or_else(|| panic!("{path}"));
            assert_eq!(&template(&route), path);
            for method in route.method().split(", ") {
                assert!(operations.get(method.to_lowercase()).is_some(), "{method} {path}");
            }
            let known = operations.as_object().unwrap().keys().filter(|key| *key != "parameters").count();
            assert_eq!(known, route.method().split(", ").count(), "{path}");
        }
        let mut served: Vec<_> = every_route().iter().map(template).collect();
        served.sort();
        assert_eq!(served, paths.keys().cloned().collect::<Vec<_>>());
    }

    #[test]
    fn another_method_or_path_has_its_answer() {
        let status = |method, path| Route::of(&method, path).map_err(|answer| answer.status().as_u16());
        assert_eq!(status(Method::HEAD, "/v2"), Ok(Route::Server));
        assert_eq!(status(Method::POST, "/v2/logging"), Ok(Route::Logging));
        assert_eq!(status(Method::DELETE, "/v2/health/live"), Err(405));
        assert_eq!(status(Method::GET, "/v2/models/m/infer"), Err(405));
        assert_eq!(status(Method::GET, "/v1"), Err(404));
    }

    #[test]
    fn anything_else_is_nothing() {
        for path in
            ["/", "/v3", "/v2/", "/v2/models//infer", "/v2/models/m/fly", "/v2/models/%zz", "/v2/models/%+1"]
        {
            assert_eq!(Route::parse(path), None, "{path}");
        }
    }
}
