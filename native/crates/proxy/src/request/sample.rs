//! A request of the sample: from here on it is kept as it passes, with its answer.

use crate::{body::Body, call::Call, headers::TRACEPARENT, watch::Watch};
use http::request::Parts;
use infermesh_rest::transcode::Ask;
use infermesh_telemetry::context::{Parent, span_id};
use std::{
    iter,
    time::{SystemTime, UNIX_EPOCH},
};

/// The body of a request, which is kept if its route has a sample and it is one of that.
pub fn begin(call: &Call<'_>, head: &Parts, body: Body, watch: &mut Watch) -> Body {
    let Some(captures) = &call.route.capture else { return body };
    let said = || {
        let context = head.headers.get(TRACEPARENT)?;
        Parent::parse(context.as_bytes(), iter::empty()).map(|parent| parent.trace)
    };
    // One that begins here is in no header yet.
    let trace = call.origin.trace().or_else(said);
    let Some(passing) = captures.begin(unix_nanos(), trace, span_id) else {
        return body;
    };
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
