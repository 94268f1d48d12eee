//! Which servers a cluster may have.

use super::spiffe::{Pattern, SpiffeId};
use tokio_rustls::rustls::pki_types::DnsName;

/// What stands before the name of a server that has no SPIFFE id.
const DNS: &str = "dns:";

/// Empty: any identity of the trust domain.
#[derive(Debug, Default)]
pub struct Allowed {
    identities: Vec<Pattern>,
    /// Names by which servers are known that have no SPIFFE id, because they are of no mesh.
    pub names: Vec<DnsName<'static>>,
}

impl Allowed {
    /// From SPIFFE ids, each with an optional `*` at its end, and names as `dns:NAME`. Fails with which is
    /// neither, and why.
    pub fn parse(texts: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, String> {
        let mut allowed = Self::default();
        for text in texts {
            let text = text.as_ref();
            match text.strip_prefix(DNS) {
                Some(name) => allowed.names.push(
                    DnsName::try_from(name.to_owned())
                        .map_err(|_| format!("'{}' has no name of DNS", text.escape_debug()))?,
                ),
                None => allowed
                    .identities
                    .push(text.parse().map_err(|wrong| format!("{wrong}; or give a name as '{DNS}NAME'"))?),
            }
        }
        Ok(allowed)
    }

    pub fn admits(&self, id: &SpiffeId) -> bool {
        let is_any = self.identities.is_empty() && self.names.is_empty();
        is_any || self.identities.iter().any(|pattern| pattern.matches(id))
    }

    /// For people.
    pub fn expected(&self, domain: &str) -> String {
        let identities = self.identities.iter().map(Pattern::to_string);
        let names = self.names.iter().map(|name| format!("{DNS}{}", name.as_ref()));
        match identities.chain(names).collect::<Vec<_>>() {
            none if none.is_empty() => format!("one of 'spiffe://{domain}/'"),
            some => some.join(" or "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_any_all_are_admitted_and_with_names_alone_no_identity_is() {
        let id = "spiffe://mesh/a".parse().unwrap();
        assert!(Allowed::parse([""; 0]).unwrap().admits(&id));
        assert!(!Allowed::parse(["dns:models.example"]).unwrap().admits(&id));
        assert!(Allowed::parse(["spiffe://mesh/b", "spiffe://mesh/a*"]).unwrap().admits(&id));
        assert!(!Allowed::parse(["spiffe://mesh/b"]).unwrap().admits(&id));
    }

    #[test]
    fn what_is_neither_an_identity_nor_a_name_says_so() {
        let said = Allowed::parse(["models.example"]).unwrap_err();
        assert!(said.contains("'models.example'") && said.contains("dns:NAME"), "{said}");
        let said = Allowed::parse(["spiffe://mesh/*", "dns:a b"]).unwrap_err();
        assert!(said.contains("'dns:a b' has no name of DNS"), "{said}");
    }
}
