//! The open loop: what is due is sent, and what waits is not forgotten.

use crate::{
    plans::{closed, constant, plan},
    runs::{PATIENCE, complete, start},
    servers::{grpc, null, pause},
};
use infermesh_loadgen::{
    null_server::Speech,
    proto::{LoadPlan, OpenLoop, Protocol, load_plan::Arrivals, open_loop::Schedule},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

#[test]
fn what_is_due_is_sent() {
    let server = null(Speech::Grpc);
    let before = Instant::now();
    let mut run = start(LoadPlan { threads: 2, ..plan(server.port(), Protocol::Grpc, constant(2_000.0)) });
    let after = Instant::now();
    pause(Duration::from_millis(400));
    let least = (after.elapsed().as_secs_f64() * 2_000.0) as u64;
    run.stop(PATIENCE);
    let most = (before.elapsed().as_secs_f64() * 2_000.0) as u64;
    let due = run.sent() + run.unsent();
    assert!((least..=most).contains(&due), "{due} of {least} to {most}");
    assert_eq!((run.latency().count(), run.completed()), (run.sent(), run.sent()));
    assert_eq!(run.lateness().count(), run.sent());
}

#[test]
fn a_number_of_requests_is_kept_at_random_moments() {
    let server = null(Speech::Grpc);
    let poisson = Arrivals::Open(OpenLoop { schedule: Some(Schedule::Poisson(20_000.0)) });
    let run = complete(LoadPlan {
        threads: 3,
        request_count: 2_000,
        ..plan(server.port(), Protocol::Grpc, poisson)
    });
    assert_eq!((run.sent(), run.latency().count()), (2_000, 2_000));
}

#[test]
fn a_stall_is_in_the_latency_and_not_in_the_service() {
    const STALL: Duration = Duration::from_secs(1);
    let stalled = Arc::new(AtomicBool::new(false));
    let port = grpc(&[], move |_, peer| {
        for number in 0.. {
            let message = peer.message()?;
            if number == 100 && !stalled.swap(true, Ordering::Relaxed) {
                pause(STALL);
            }
            peer.answer(message.stream, b"")?;
        }
        Ok(())
    });
    let run = complete(LoadPlan {
        request_count: 1_000,
        max_outstanding: 2,
        ..plan(port, Protocol::Grpc, constant(500.0))
    });
    let milliseconds = |nanoseconds: u64| nanoseconds / 1_000_000;
    let latency = milliseconds(run.latency().percentile(99.0));
    let service = milliseconds(run.histogram(|workload| &workload.service).percentile(99.0));
    assert!((900..1_100).contains(&latency), "{latency} ms");
    assert!(service < 300, "{service} ms");
    // The server held them back: it was not the generator that came late.
    assert!(run.histogram(|workload| &workload.lag).percentile(90.0) > 500_000_000);
    let lateness = run.lateness();
    assert!(
        lateness.count() > 300 && milliseconds(lateness.max()) < 300,
        "{} ms",
        milliseconds(lateness.max())
    );
}

#[test]
fn what_cannot_be_sent_is_counted_whether_or_not_its_time_runs_out() {
    // Three are sent and wait for answers, or none because the server takes no stream.
    for (settings, most, timeout) in [
        (&[][..], 3, Duration::ZERO),
        (&[(3, 0)], 0, Duration::ZERO),
        (&[(3, 0)], 0, Duration::from_millis(50)),
    ] {
        let port = grpc(settings, |_, peer| {
            loop {
                peer.message()?;
            }
        });
        let before = Instant::now();
        let mut run = start(LoadPlan {
            max_outstanding: 3,
            timeout_ns: timeout.as_nanos() as u64,
            ..plan(port, Protocol::Grpc, constant(1_000.0))
        });
        let after = Instant::now();
        run.until("many wait", |run| run.unsent() + run.error("TIMEOUT") >= 200);
        let least = (after.elapsed().as_secs_f64() * 1_000.0) as u64;
        run.stop(Duration::ZERO);
        let at_most = (before.elapsed().as_secs_f64() * 1_000.0) as u64;
        let (unsent, errors) = (run.unsent(), run.error("TIMEOUT"));
        let due = unsent + errors;
        assert!((least..=at_most).contains(&due), "{unsent} + {errors} of {least} to {at_most}");
        assert_eq!(run.sent(), most);
        if timeout.is_zero() {
            assert_eq!(errors, most);
        } else {
            assert!(errors > 50 && run.errors()["TIMEOUT"].1.starts_with("not sent within its time"));
        }
    }
}

#[test]
fn the_time_of_a_closed_loop_s_requests_runs_out_unsent_too() {
    let port = grpc(&[(3, 0)], |_, peer| {
        loop {
            peer.message()?;
        }
    });
    let run = complete(LoadPlan {
        request_count: 4,
        timeout_ns: 20_000_000,
        ..plan(port, Protocol::Grpc, closed(2))
    });
    assert_eq!((run.sent(), run.error("TIMEOUT")), (0, 4));
}
