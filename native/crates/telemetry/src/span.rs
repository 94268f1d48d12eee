//! Spans that are over.

use crate::log::Value;
use std::{borrow::Cow, time::Instant};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Kind {
    Internal = 1,
    Server = 2,
    Client = 3,
}

#[derive(Debug, Clone)]
pub struct Span {
    pub trace: u128,
    pub id: u64,
    /// 0: the first of its trace.
    pub parent: u64,
    /// Whether the parent is in another process.
    pub remote: bool,
    pub state: String,
    pub name: Cow<'static, str>,
    pub kind: Kind,
    pub start: Instant,
    pub end: Instant,
    pub attributes: Vec<(&'static str, Value)>,
    pub events: Vec<(&'static str, Instant)>,
    /// What went wrong, if it is this process's fault.
    pub error: Option<String>,
}

impl Span {
    /// A span within another of this process.
    pub fn within(outer: &Span, name: &'static str, id: u64, start: Instant, end: Instant) -> Self {
        Self {
            trace: outer.trace,
            id,
            parent: outer.id,
            remote: false,
            state: outer.state.clone(),
            name: name.into(),
            kind: Kind::Internal,
            start,
            end,
            attributes: Vec::new(),
            events: Vec::new(),
            error: None,
        }
    }
}
