//! A request's head, as each attempt sends it.

use crate::{
    call::Call,
    headers::{GRPC_TIMEOUT, leave_http1},
    plan::matching::authority,
    upstream::cluster::Cluster,
};
use http::{
    HeaderValue, Method, Request, Uri, Version,
    header::HOST,
    request::Parts,
    uri::{Authority, PathAndQuery, Scheme},
};
use infermesh_policy::deadline::{self, Patience};
use infermesh_wire::{Code, Error};

pub struct Head {
    head: Box<Request<()>>,
    grpc: bool,
    /// Whether to ask twice is as good as to ask once. An inference is, as long as it belongs to no sequence.
    pub is_idempotent: bool,
}

impl Head {
    /// Fails with INVALID_ARGUMENT for a head that cannot be sent on.
    pub fn new(call: &Call<'_>, cluster: &Cluster, mut head: Box<Parts>) -> Result<Self, Error> {
        let wrong = |what: &str| Error::invalid(format!("the request's {what} cannot be sent on"));
        if head.method == Method::CONNECT {
            return Err(Error::new(
                Code::Unimplemented,
                "CONNECT asks for a tunnel, and this proxy has none",
            ));
        }
        if head.version < Version::HTTP_2 {
            leave_http1(&mut head.headers);
        }
        // Whoever is found by a name is called by it: proxies of a mesh know their routes by nothing else. The app has
        // called this proxy.
        let said = if cluster.discovered.is_some() { &*cluster.authority } else { authority(&head) };
        let named = match said {
            "" => Authority::from_static("localhost"),
            name => name.parse().map_err(|_| wrong("authority"))?,
        };
        let mut parts = std::mem::take(&mut head.uri).into_parts();
        if let (prefix, Some(path)) = (&call.route.strip_prefix, &parts.path_and_query)
            && !prefix.is_empty()
            && let Some(rest) = path.as_str().strip_prefix(prefix.as_str())
        {
            let rest = if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") };
            parts.path_and_query = Some(rest.parse().map_err(|_| wrong("path"))?);
        }
        parts.path_and_query.get_or_insert_with(|| PathAndQuery::from_static("/"));
        parts.authority = Some(named);
        parts.scheme = Some(Scheme::HTTP);
        head.uri = Uri::from_parts(parts).map_err(|_| wrong("URI"))?;
        head.version = Version::HTTP_2;
        head.headers.remove(HOST);
        let request = Box::new(Request::from_parts(*head, ()));
        let is_idempotent = call.grpc || request.method().is_idempotent();
        Ok(Self { head: request, grpc: call.grpc, is_idempotent })
    }

    pub fn method(&self) -> &Method {
        self.head.method()
    }

    pub fn request(&self) -> &Request<()> {
        &self.head
    }

    /// With the time that this attempt has.
    pub fn of_attempt(&self, patience: Patience) -> Request<()> {
        let mut head = Request::clone(&self.head);
        if let (true, Some(timeout)) = (self.grpc, patience.timeout)
            && let Ok(value) = HeaderValue::from_bytes(&deadline::format(timeout))
        {
            head.headers_mut().insert(GRPC_TIMEOUT, value);
        }
        head
    }
}
