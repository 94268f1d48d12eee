//! Plans as short as they can be.

use infermesh_loadgen::proto::{
    ClosedLoop, LoadPlan, OpenLoop, Payload, Protocol, Script, Target, Workload, load_plan::Arrivals,
    open_loop::Schedule,
};

/// Requests of one workload, with an empty body, to this port of loopback.
pub fn plan(port: u16, protocol: Protocol, arrivals: Arrivals) -> LoadPlan {
    let target =
        Target { address: format!("127.0.0.1:{port}"), protocol: protocol.into(), ..Default::default() };
    LoadPlan {
        target: Some(target),
        workloads: vec![workload(1.0, &[b""])],
        arrivals: Some(arrivals),
        seed: 1,
        ..Default::default()
    }
}

/// One script of these bodies.
pub fn workload(weight: f64, bodies: &[&[u8]]) -> Workload {
    let payload = |body: &&[u8]| Payload { body: body.to_vec().into(), ..Default::default() };
    Workload {
        name: "m".into(),
        path: "/s/m".into(),
        weight,
        scripts: vec![Script { payloads: bodies.iter().map(payload).collect() }],
        ..Default::default()
    }
}

pub fn closed(concurrency: u32) -> Arrivals {
    Arrivals::Closed(ClosedLoop { concurrency })
}

pub fn constant(rate: f64) -> Arrivals {
    Arrivals::Open(OpenLoop { schedule: Some(Schedule::Constant(rate)) })
}
