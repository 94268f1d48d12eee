//! Places and those who wait for them: on a paused clock, and with many threads at once.

use super::*;
use infermesh_policy::Chance;
use std::{
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    thread,
    time::Duration,
};
use tokio::{
    task::{JoinHandle, spawn, yield_now},
    time::{Instant as Clock, sleep},
};

const MS: Duration = Duration::from_millis(1);

fn line(limit: u32, queue: u32) -> Arc<Line> {
    patient(limit, queue, MS * 100)
}

fn patient(limit: u32, queue: u32, timeout: Duration) -> Arc<Line> {
    let queue_timeout_ns = timeout.as_nanos() as u64;
    let given = proto::Concurrency { limit, queue, queue_timeout_ns, ..Default::default() };
    Arc::new(Line::new(&given, now()).unwrap())
}

fn now() -> Instant {
    Clock::now().into_std()
}

fn at_once(line: &Arc<Line>) -> Place {
    match line.enter(Priority::default(), Deadline::NONE, now()) {
        Ok(Entered::AtOnce(place)) => place,
        _ => panic!("there is no room"),
    }
}

/// Waits in a task of its own, and is in line when this returns.
fn wait(line: &Arc<Line>, priority: u8, deadline: Option<Duration>) -> JoinHandle<Result<Place, Refusal>> {
    let priority = Priority::new(priority).unwrap();
    match line.enter(priority, Deadline::earliest(now(), [deadline]), now()) {
        Ok(Entered::Waits(waiting)) => spawn(waiting.turn()),
        _ => panic!("it does not wait"),
    }
}

fn crowd(line: &Line) -> (usize, usize) {
    let Crowd { in_flight, waiting, .. } = line.crowd();
    (in_flight, waiting)
}

/// What waits and is called runs.
async fn settle() {
    yields(10).await;
}

#[tokio::test(start_paused = true)]
async fn a_place_goes_to_the_most_urgent_and_among_equals_to_the_first() {
    let line = line(1, 10);
    let mut place = at_once(&line);
    let mut waiting: Vec<_> = [2, 1, 0, 1, 2]
        .into_iter()
        .enumerate()
        .map(|(index, priority)| (index, wait(&line, priority, None)))
        .collect();
    let mut order = Vec::new();
    while !waiting.is_empty() {
        assert_eq!(crowd(&line), (1, waiting.len()));
        drop(place);
        settle().await;
        let called = waiting.iter().position(|(_, task)| task.is_finished()).expect("nobody is called");
        let (index, task) = waiting.remove(called);
        assert!(waiting.iter().all(|(_, task)| !task.is_finished()));
        place = task.await.unwrap().ok().unwrap();
        order.push(index);
    }
    assert_eq!(order, [2, 1, 3, 0, 4]);
    drop(place);
    assert_eq!(crowd(&line), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_is_told_at_that_moment() {
    let line = line(1, 10);
    let _place = at_once(&line);
    let (start, patient) = (Clock::now(), wait(&line, 1, None));
    let hasty = wait(&line, 0, Some(MS * 30));
    let full = |waiting| Crowd { limit: 1, in_flight: 1, waiting };
    assert_eq!(hasty.await.unwrap().err(), Some(Refusal::Late(full(1))));
    assert_eq!(start.elapsed(), MS * 30);
    assert_eq!(patient.await.unwrap().err(), Some(Refusal::Expired(full(0))));
    assert_eq!(start.elapsed(), MS * 100);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_the_least_urgent_whoever_it_is() {
    let line = line(1, 4);
    let _place = at_once(&line);
    let (first, second) = (wait(&line, 2, None), wait(&line, 3, None));
    let full = |waiting| Crowd { limit: 1, in_flight: 1, waiting };
    // Half of the queue is for those before it.
    let refused = line.enter(Priority::LAST, Deadline::NONE, now());
    assert_eq!(refused.err(), Some(Refusal::Full(Priority::LAST, full(2))));
    let urgent = [0, 0].map(|priority| wait(&line, priority, None));
    assert_eq!(crowd(&line), (1, 4));
    let more = wait(&line, 0, None);
    assert_eq!(second.await.unwrap().err(), Some(Refusal::Displaced(full(4))));
    assert!(urgent.iter().chain([&first, &more]).all(|task| !task.is_finished()));
}

#[tokio::test(start_paused = true)]
async fn who_leaves_is_not_called() {
    let line = line(1, 10);
    let place = at_once(&line);
    let (gone, stays) = (wait(&line, 0, None), wait(&line, 1, None));
    gone.abort();
    settle().await;
    assert_eq!(crowd(&line), (1, 1));
    drop(place);
    drop(stays.await.unwrap().ok().unwrap());
    assert_eq!(crowd(&line), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn who_leaves_when_it_has_been_called_gives_its_place_to_the_next() {
    let line = line(1, 10);
    let place = at_once(&line);
    let Ok(Entered::Waits(gone)) = line.enter(Priority::FIRST, Deadline::NONE, now()) else { panic!() };
    let stays = wait(&line, 1, None);
    drop(place);
    assert_eq!(crowd(&line), (1, 1));
    drop(gone);
    drop(stays.await.unwrap().ok().unwrap());
    assert_eq!(crowd(&line), (0, 0));
}

/// As it happens between two threads: it is out of the queue, and its place not yet in its hands.
#[tokio::test(start_paused = true)]
async fn who_leaves_while_it_is_called_gives_its_place_to_the_next() {
    let line = line(1, 10);
    let place = at_once(&line);
    let Ok(Entered::Waits(mut leaves)) = line.enter(Priority::FIRST, Deadline::NONE, now()) else { panic!() };
    let stays = wait(&line, 1, None);
    leaves.called.close();
    drop(place);
    drop(stays.await.unwrap().ok().unwrap());
    assert_eq!(crowd(&line), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_grows_calls_as_many_as_it_has_room_for() {
    let given = proto::Concurrency { min: 3, max: 64, ..Default::default() };
    let line = Arc::new(Line::new(&given, now()).unwrap());
    assert!(line.adapts());
    let mut under_way: Vec<_> = (0..16).map(|_| at_once(&line)).collect();
    let mut most = 0;
    // As many as there are take no longer than one.
    for _ in 0..400 {
        let waiting: Vec<_> = (0..under_way.len() + 40).map(|_| wait(&line, 1, None)).collect();
        sleep(MS * 10).await;
        for place in std::mem::take(&mut under_way) {
            let latency = place.latency(now());
            place.end(Ended::Answered { latency, queued: None }, now());
        }
        settle().await;
        for task in waiting {
            if task.is_finished() {
                under_way.push(task.await.unwrap().ok().unwrap());
            } else {
                task.abort();
            }
        }
        settle().await;
        most = most.max(under_way.len());
    }
    assert!((56..=64).contains(&most), "{most} of 64");
}

/// Never more are under way than may be, and nobody waits for ever: with threads that wait for each other's places, where one
/// in three leaves before its turn or at that very moment.
#[test]
fn no_call_is_lost_among_threads() {
    const THREADS: u64 = 4;
    const TASKS: u64 = 16;
    const ROUNDS: usize = 300;
    const LIMIT: usize = 3;
    let line = patient(LIMIT as u32, 256, MS * 60_000);
    let (under_way, served) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let rounds = |seed| {
        let (line, under_way, served) = (line.clone(), under_way.clone(), served.clone());
        async move {
            let mut chance = Chance::seeded(seed);
            for _ in 0..ROUNDS {
                let priority = Priority::new(chance.below(4) as u8).unwrap();
                let place = match line.enter(priority, Deadline::NONE, now()) {
                    Ok(Entered::AtOnce(place)) => place,
                    Ok(Entered::Waits(waiting)) if chance.below(3) == 0 => {
                        tokio::select! {
                            Ok(place) = waiting.turn() => place,
                            () = yields(chance.below(60)) => continue,
                        }
                    }
                    Ok(Entered::Waits(waiting)) => match waiting.turn().await {
                        Ok(place) => place,
                        Err(Refusal::Displaced(_)) => continue,
                        Err(other) => panic!("{other:?}"),
                    },
                    Err(_) => continue,
                };
                assert!(under_way.fetch_add(1, SeqCst) < LIMIT);
                yields(chance.below(3)).await;
                under_way.fetch_sub(1, SeqCst);
                served.fetch_add(1, SeqCst);
                drop(place);
            }
        }
    };
    let threads = (0..THREADS).map(|thread| {
        let tasks: Vec<_> = (0..TASKS).map(|task| rounds(thread * TASKS + task)).collect();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                for task in tasks.into_iter().map(spawn).collect::<Vec<_>>() {
                    task.await.unwrap();
                }
            });
        })
    });
    threads.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(crowd(&line), (0, 0));
    let all = (THREADS * TASKS) as usize * ROUNDS;
    assert!(served.load(SeqCst) > all / 2, "{} of {all}", served.load(SeqCst));
}

async fn yields(times: usize) {
    for _ in 0..times {
        yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_priority_is_a_digit_or_said_to_be_none() {
    let line = line(1, 1);
    let said = |value: &'static str| {
        let headers =
            HeaderMap::from_iter([("x-infermesh-priority".parse().unwrap(), value.parse().unwrap())]);
        line.priority(&headers)
    };
    assert_eq!(line.priority(&HeaderMap::new()), Ok(Priority::default()));
    assert_eq!(said("0"), Ok(Priority::FIRST));
    let error = said("high").unwrap_err();
    assert_eq!(error.message, "x-infermesh-priority is \"high\": expected 0, 1, 2 or 3");
}
