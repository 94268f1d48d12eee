//! A request of the sample: from here on it is kept as it passes, with its answer.

use crate::{body::Body, call::Call, observe::trace::headers, watch::Watch};
use http::request::Parts;
use infermesh_rest::transcode::Ask;
use infermesh_telemetry::context::span_id;
use std::time::{SystemTime, UNIX_EPOCH};

/// The body of a request, which is kept if its route has a sample and it is one of that.
pub fn begin(call: &Call<'_>, head: &Parts, body: Body, watch: &mut Watch) -> Body {
    let Some(captures) = &call.route.capture else { return body };
    // Where nobody else wanted to know of it, it is in the headers only.
    let said = || headers::read(&head.headers).parent.map(|parent| parent.trace);
    let trace = call.origin.trace().or_else(said);
    let Some(passing) = captures.begin(unix_nanos(), trace, span_id) else { return body };
    passing.describe(|record| {
        record.describe(head);
        if call.route.transcodes
            && !call.grpc
            && let Ok(ask) = Ask::of(&head.method, &head.uri, &head.headers)
            && let Some((model, version)) = ask.inference()
        {
            (record.model, record.version) = (model.to_owned(), version.to_owned());
        }
    });
    watch.keep(passing.clone());
    body.kept(passing)
}

/// Records are read by others, on other machines.
#[allow(clippy::disallowed_methods)]
fn unix_nanos() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since_1970.as_nanos().try_into().unwrap_or(u64::MAX)
}
