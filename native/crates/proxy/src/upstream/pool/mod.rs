//! Connections of one network thread to one endpoint: those that requests share (HTTP/2), and those that they have to
//! themselves (HTTP/1.1).

pub mod dial;
mod exclusive;
mod queue;
mod shared;

use super::{
    Failure,
    http2::{Habits, Uploading, Use},
};
use crate::{body::Body, request::message::Message};
use dial::Dial;
use exclusive::Exclusive;
use http::Response;
use infermesh_policy::age;
use shared::Shared;
use std::{rc::Rc, time::Duration};

#[derive(Debug, Clone)]
pub struct Settings {
    /// All that it takes to connect may take so long.
    pub connect_timeout: Duration,
    pub max_http2: usize,
    pub max_http1: usize,
    /// Requests that may wait for a connection, of each protocol.
    pub max_pending: usize,
    pub age: age::Settings,
    pub habits: Habits,
}

/// Its connections end when it is dropped, as soon as what is under way on them has ended.
pub struct Pool {
    http1: Rc<Exclusive>,
    http2: Rc<Shared>,
}

/// What has to be kept until an answer's body has ended.
#[derive(Default)]
pub struct Kept {
    _in_use: Option<Use>,
    _uploading: Uploading,
}

impl Pool {
    pub fn new(dial: Dial) -> Rc<Self> {
        let dial = Rc::new(dial);
        Rc::new(Self { http1: Exclusive::new(dial.clone()), http2: Shared::new(dial) })
    }

    /// Sends a request over HTTP/2, and waits for the head of its answer.
    pub async fn send_http2(&self, message: &Message<'_>) -> Result<(Response<Body>, Kept), Failure> {
        self.http2.send(message).await
    }

    /// Sends a request over HTTP/1.1, and waits for the head of its answer.
    pub async fn send_http1(&self, message: &Message<'_>) -> Result<(Response<Body>, Kept), Failure> {
        self.http1.send(message).await
    }
}
