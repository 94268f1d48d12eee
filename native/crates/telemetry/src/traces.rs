//! Traces from the decision to record one to the bytes that a collector reads.

use crate::{
    otlp,
    outbox::{Outbox, Pace},
    rules::{Choice, Rules},
    span::Span,
};
use std::{sync::OnceLock, time::Duration};

/// Spans of a server under load come by the thousand each second; OpenTelemetry's own batches are of this size.
const PACE: Pace = Pace { capacity: 16_384, batch: 512, delay: Duration::from_secs(5) };

/// What is decided when the process starts.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pub choice: Choice,
    /// Which process this is, to the collector.
    pub resource: Vec<(String, String)>,
    pub pace: Option<Pace>,
    /// What else a client that asks for the settings is shown.
    pub shown: Vec<(String, String)>,
}

#[derive(Debug)]
pub struct Traces {
    pub rules: Rules,
    spans: Outbox<Span>,
    settings: OnceLock<Settings>,
}

impl Default for Traces {
    fn default() -> Self {
        Self { rules: Rules::default(), spans: Outbox::new(PACE), settings: OnceLock::new() }
    }
}

impl Traces {
    /// To be called once, before there are requests; later calls are ignored.
    pub fn start(&self, settings: Settings) {
        self.rules.start(settings.choice.clone());
        if let Some(pace) = settings.pace {
            self.spans.set_pace(pace);
        }
        let _ = self.settings.set(settings);
    }

    pub fn shown(&self) -> &[(String, String)] {
        self.settings.get().map_or(&[], |settings| &settings.shown)
    }

    /// Puts the spans of one request on their way.
    pub fn post(&self, spans: Vec<Span>) {
        self.spans.post(spans);
    }

    /// The next batch and how many spans are in it; none if there is nothing to send within `patience`.
    pub fn take(&self, patience: Duration) -> Option<(usize, Vec<u8>)> {
        let spans = self.spans.take(patience);
        let resource = self.settings.get().map_or(&[][..], |settings| &settings.resource);
        (!spans.is_empty()).then(|| (spans.len(), otlp::encode(spans, resource)))
    }

    /// From now on `take` returns at once.
    pub fn flush(&self) {
        self.spans.flush();
    }

    /// Spans that were recorded and will not arrive: the queue was full, or the collector away for too long.
    pub fn dropped(&self) -> u64 {
        self.spans.dropped()
    }

    /// Counts spans that were taken and could not be sent.
    pub fn lost(&self, spans: u64) {
        self.spans.lost(spans);
    }

    /// Spans that were taken to be sent, whatever became of them.
    pub fn taken(&self) -> u64 {
        self.spans.taken()
    }
}
