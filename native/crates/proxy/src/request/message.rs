//! What one attempt sends, and may send again if a connection ends under it.

use super::{
    head::Head,
    source::{Reader, Source},
};
use crate::observe::trace::Attempt;
use http::Request;
use infermesh_policy::deadline::Patience;

pub struct Message<'a> {
    pub head: &'a Head,
    pub source: &'a Source,
    pub patience: Patience,
    /// What it is to those who follow the request, if it is recorded.
    pub span: Option<&'a Attempt>,
}

impl Message<'_> {
    pub fn head(&self) -> Request<()> {
        let mut head = self.head.of_attempt(self.patience);
        if let Some(span) = self.span {
            span.write(head.headers_mut());
        }
        head
    }

    /// The body, from its beginning.
    pub fn body(&self) -> Reader {
        self.source.reader()
    }

    /// Whether the body can be read from its beginning.
    pub fn is_whole(&self) -> bool {
        self.source.is_whole()
    }

    /// Whether HTTP says that to do it twice is as good as once.
    pub fn is_idempotent(&self) -> bool {
        self.head.method().is_idempotent()
    }
}
