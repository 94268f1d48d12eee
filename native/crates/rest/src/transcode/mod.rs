//! For a proxy that is asked over HTTP and asks a server over gRPC: requests there, answers back.
//!
//! `Ask::of` looks at a request's head, `Ask::call` makes the call when the body is there, and the call's
//! `back` turns what the server answers into what the client gets. Messages that go out are length-prefixed,
//! as gRPC sends them; those that come in are without the prefix.

mod about;
mod infer;

use crate::{
    answer::{self, Answer},
    header::{Carriers, HEADER_LENGTH},
    path::{Aspect, Route},
    signature::Signature,
    simple::{Simple, Unrow},
    status::status_of_grpc,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Uri};
use infermesh_wire::{Error, response::Pieces};

pub const INFER: &str = grpc!("ModelInfer");

/// What a request asks for, by its head.
#[derive(Debug)]
pub struct Ask {
    kind: Kind,
    is_post: bool,
}

#[derive(Debug)]
enum Kind {
    V2 { route: Route, header_length: Option<HeaderValue> },
    Simple(Simple),
}

/// What comes of a request.
#[derive(Debug)]
pub enum Step {
    /// No server needs to be asked.
    Answer(Answer),
    Call(Call),
}

/// A call of a server.
#[derive(Debug)]
pub struct Call {
    pub path: &'static str,
    /// Length-prefixed; large tensors are slices of the request's body.
    pub message: Pieces,
    pub back: Back,
}

/// How an answer over gRPC becomes one over HTTP.
#[derive(Debug)]
pub struct Back(Form);

#[derive(Debug)]
enum Form {
    Infer(Carriers<'static>),
    Simple(Unrow),
    About(fn(Bytes) -> Result<Answer, Error>),
}

impl Ask {
    /// Fails with the answer to what is not served.
    pub fn of(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<Self, Box<Answer>> {
        let is_post = method == Method::POST;
        let kind = match Simple::of(uri, headers) {
            Some(_) if !is_post => return Err(Box::new(answer::wrong_method("POST"))),
            Some(simple) => Kind::Simple(simple),
            None => Kind::V2 {
                route: Route::of(method, uri.path())?,
                header_length: headers.get(HEADER_LENGTH).cloned(),
            },
        };
        Ok(Self { kind, is_post })
    }

    /// The model, and the version or nothing, that an inference is of; `None` for any other request.
    pub fn inference(&self) -> Option<(&str, &str)> {
        match &self.kind {
            Kind::V2 { route: Route::Model { name, version, aspect: Aspect::Infer }, .. } => {
                Some((name, version))
            }
            Kind::V2 { .. } => None,
            Kind::Simple(simple) => Some((&simple.model, &simple.version)),
        }
    }

    /// Whether the call cannot be made without the model's signature (`signature::request`).
    pub fn needs_signature(&self) -> bool {
        match &self.kind {
            Kind::V2 { header_length, .. } => {
                self.inference().is_some() && header_length.as_ref().is_some_and(infer::is_raw)
            }
            Kind::Simple(_) => true,
        }
    }

    /// `signature` is that of the model where it is needed; without it the call fails with INTERNAL.
    ///
    /// Fails with INVALID_ARGUMENT for a body that is not what it should be.
    pub fn call(self, body: Bytes, signature: Option<&Signature>) -> Result<Step, Error> {
        let needed = || signature.ok_or_else(|| Error::internal("the model's signature is not known"));
        match self.kind {
            Kind::Simple(simple) => {
                let (message, unrow) = simple.request(needed()?, &body)?;
                Ok(Step::Call(Call { path: INFER, message, back: Back(Form::Simple(unrow)) }))
            }
            Kind::V2 { route: Route::Model { name, version, aspect: Aspect::Infer }, header_length } => {
                let (message, carriers) =
                    infer::request((&name, &version), header_length.as_ref(), body, needed)?;
                Ok(Step::Call(Call { path: INFER, message, back: Back(Form::Infer(carriers)) }))
            }
            Kind::V2 { route, .. } => about::ask(route, if self.is_post { &body } else { &[] }),
        }
    }
}

impl Back {
    /// The answer to `message`, which is a serialised answer without its length; what cannot be shown is an
    /// error.
    pub fn answer(&self, message: Bytes) -> Answer {
        let shown = match &self.0 {
            Form::Infer(carriers) => infer::answer(carriers, message),
            Form::Simple(unrow) => unrow.answer(message),
            Form::About(show) => show(message),
        };
        shown.unwrap_or_else(|error| answer::error(&error))
    }
}

/// The answer to a call that ended with a status that is not 0: `code` is gRPC's, `message` is decoded.
pub fn refused(code: u32, message: &str) -> Answer {
    answer::refusal(status_of_grpc(code), message)
}

#[cfg(test)]
mod tests;
