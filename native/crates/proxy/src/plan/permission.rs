//! Who may call what.

use super::matching::{Pattern, methods};
use crate::proto;
use http::{Method, request::Parts};
use infermesh_wire::{Code, Error};

#[derive(Debug)]
pub struct Permission {
    identities: Vec<Pattern>,
    paths: Vec<Pattern>,
    methods: Vec<Method>,
}

impl Permission {
    pub fn new(given: &proto::Permission) -> Result<Self, String> {
        let patterns = |texts: &[String]| texts.iter().map(|text| Pattern::new(text)).collect();
        Ok(Self {
            identities: patterns(&given.identities),
            paths: patterns(&given.paths),
            methods: methods(&given.methods)?,
        })
    }

    fn allows(&self, identity: Option<&str>, head: &Parts) -> bool {
        let any = |patterns: &[Pattern], text: &str| patterns.iter().any(|pattern| pattern.fits(text));
        (self.identities.is_empty() || identity.is_some_and(|identity| any(&self.identities, identity)))
            && (self.paths.is_empty() || any(&self.paths, head.uri.path()))
            && (self.methods.is_empty() || self.methods.contains(&head.method))
    }
}

/// Fails with PERMISSION_DENIED, or with UNAUTHENTICATED if an identity might help. No permissions: everybody may everything.
pub fn authorize(permissions: &[Permission], identity: Option<&str>, head: &Parts) -> Result<(), Error> {
    if permissions.is_empty() || permissions.iter().any(|permission| permission.allows(identity, head)) {
        return Ok(());
    }
    let (method, path) = (&head.method, head.uri.path());
    Err(match identity {
        Some(identity) => Error::new(
            Code::PermissionDenied,
            format!("{identity} may not call {method} {path}: no permission of this listener allows it"),
        ),
        None => Error::new(
            Code::Unauthenticated,
            format!("{method} {path} needs an identity: this connection has presented no certificate"),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn code(given: &[proto::Permission], identity: Option<&str>, path: &str) -> Option<Code> {
        let permissions: Vec<_> = given.iter().map(|given| Permission::new(given).unwrap()).collect();
        let head = Request::post(path).body(()).unwrap().into_parts().0;
        authorize(&permissions, identity, &head).err().map(|error| error.code)
    }

    #[test]
    fn what_nothing_allows_is_refused() {
        let given = [
            proto::Permission {
                identities: vec!["spiffe://shop/checkout".into()],
                paths: vec!["/inference.GRPCInferenceService/*".into()],
                ..Default::default()
            },
            proto::Permission { paths: vec!["/grpc.health.v1.Health/Check".into()], ..Default::default() },
        ];
        let infer = "/inference.GRPCInferenceService/ModelInfer";
        assert_eq!(code(&given, Some("spiffe://shop/checkout"), infer), None);
        assert_eq!(code(&given, Some("spiffe://shop/other"), infer), Some(Code::PermissionDenied));
        assert_eq!(code(&given, None, infer), Some(Code::Unauthenticated));
        assert_eq!(code(&given, None, "/grpc.health.v1.Health/Check"), None);
        assert_eq!(code(&given, Some("spiffe://shop/checkout"), "/other"), Some(Code::PermissionDenied));
    }

    #[test]
    fn without_permissions_everybody_may_everything() {
        assert_eq!(code(&[], None, "/"), None);
    }

    #[test]
    fn an_empty_permission_allows_everything() {
        assert_eq!(code(&[proto::Permission::default()], None, "/"), None);
    }
}
