//! Header blocks of requests, encoded once for each route as long as the table stays the same.

use super::frame::{flag, kind, put_head};
use crate::{
    hpack::Encoder,
    message::{Request, Trace},
    outbox::Outbox,
    plan::{Plan, Protocol},
};

pub struct Headers {
    encoder: Encoder,
    /// By route, with the version of the table that they hold for.
    blocks: Vec<Option<(u64, Vec<u8>)>>,
}

impl Headers {
    pub fn new(routes: usize) -> Self {
        Self { encoder: Encoder::new(), blocks: vec![None; routes] }
    }

    /// The peer's SETTINGS_HEADER_TABLE_SIZE.
    pub fn limit(&mut self, size: usize) {
        self.encoder.limit(size);
    }

    /// Opens the stream `id` for a request.
    pub fn put(&mut self, out: &mut Outbox, plan: &Plan, request: &Request<'_>, id: u32, max_frame: usize) {
        let version = self.encoder.version();
        let cached = &mut self.blocks[request.workload.route];
        if !matches!(cached, Some((at, _)) if *at == version) {
            let block = encode(&mut self.encoder, plan, request);
            // While the table still changes, the same fields are encoded differently the next time.
            let at = if self.encoder.version() == version { version } else { u64::MAX };
            *cached = Some((at, block));
        }
        let block = cached.as_ref().map_or(&[][..], |(_, block)| block);
        match request.trace {
            None => put_block(out, id, block, max_frame),
            Some(trace) => {
                let mut traced = block.to_vec();
                Encoder::append_once(&mut traced, Trace::HEADER, &trace.value());
                put_block(out, id, &traced, max_frame);
            }
        }
    }
}

fn encode(encoder: &mut Encoder, plan: &Plan, request: &Request<'_>) -> Vec<u8> {
    let scheme = if plan.endpoint.tls.is_some() { "https" } else { "http" };
    // Rounded up to what eight digits hold.
    let timeout = plan.timeout.map(|nanoseconds| match nanoseconds.div_ceil(1_000) {
        micros @ 0..100_000_000 => format!("{micros}u"),
        micros => format!("{}S", micros.div_ceil(1_000_000).min(99_999_999)),
    });
    let mut fields = vec![
        (":method", "POST"),
        (":scheme", scheme),
        (":path", request.workload.path.as_str()),
        (":authority", plan.endpoint.authority.as_str()),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("user-agent", concat!("infermesh-perf/", env!("CARGO_PKG_VERSION"))),
    ];
    // A stream lives as long as the run, a request on it does not.
    if let Some(timeout) = timeout.as_ref().filter(|_| plan.endpoint.protocol == Protocol::Grpc) {
        fields.push(("grpc-timeout", timeout));
    }
    fields.extend(request.workload.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    encoder.encode(&fields)
}

fn put_block(out: &mut Outbox, id: u32, block: &[u8], max_frame: usize) {
    let mut parts = block.chunks(max_frame).peekable();
    let mut kind = kind::HEADERS;
    while let Some(part) = parts.next() {
        let flags = if parts.peek().is_none() { flag::END_HEADERS } else { 0 };
        out.put(&put_head(part.len(), kind, flags, id));
        out.put(part);
        kind = kind::CONTINUATION;
    }
}
