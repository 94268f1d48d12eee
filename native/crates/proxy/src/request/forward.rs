//! A request that passes: to an endpoint, and to another one if that may help.

use super::{head::Head, hedge::race, message::Message, source::Source};
use crate::{
    body::{Body, Cause},
    call::Call,
    headers::{GRPC_PUSHBACK, Upgrade, grpc_event, grpc_status},
    plan::Route,
    proto::UpstreamProtocol,
    upstream::{Failure, cluster::Cluster, endpoint::Ticket, pool::Kept},
    watch::Watch,
};
use http::{Response, request::Parts};
use infermesh_policy::{
    self as policy, Class, Event,
    deadline::Patience,
    outcome::Bound,
    retry::{Attempt, Decision, Pushback, Reason, decide},
};
use infermesh_wire::{Code, Error};
use smallvec::SmallVec;
use std::{
    pin::{Pin, pin},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::{sleep, timeout_at};

/// Sends a request on to a cluster and waits for the head of its answer.
pub async fn send(
    call: &Call<'_>,
    cluster: &Arc<Cluster>,
    head: Box<Parts>,
    body: Body,
    watch: &mut Watch,
) -> Result<Response<Body>, Error> {
    let retry = call.route.retry.as_ref();
    let repeats = retry.is_some() || call.route.hedge.is_some();
    let share = repeats.then(|| call.local.shared.replay.share());
    call.origin.goes_to(&call.route, cluster);
    let head = Head::new(call, cluster, head)?;
    let source = Source::new(body, share, call.origin.clone());
    let mut attempts = Attempts { call, cluster, head, source, tried: SmallVec::new() };
    let mut response = attempts.run(watch).await?;
    if let Some(turn) = &call.turn {
        turn.answered(response.headers_mut());
    }
    Ok(response)
}

pub struct Attempts<'a> {
    call: &'a Call<'a>,
    /// Who is asked, by the policies of the call's route.
    cluster: &'a Cluster,
    head: Head,
    source: Source,
    /// Endpoints that were asked already.
    tried: SmallVec<[u64; 5]>,
}

/// What came of an attempt.
pub struct Outcome {
    pub event: Option<Event>,
    answer: Result<(Response<Body>, Kept), Failure>,
}

impl Outcome {
    /// Whether no other attempt would change it: all is well so far, or it is the caller who has to act.
    pub fn stands(&self) -> bool {
        let class = self.event.map_or(Class::Success, |event| policy::Outcome::from(event).class);
        matches!(class, Class::Success | Class::Ignored)
    }
}

impl Attempts<'_> {
    async fn run(&mut self, watch: &mut Watch) -> Result<Response<Body>, Error> {
        if let Some(retry) = &self.call.route.retry {
            retry.budget().deposit(Instant::now());
        }
        let mut last: Option<String> = None;
        loop {
            let begun = Instant::now();
            let picked = {
                let chance = &mut self.call.local.chance.borrow_mut();
                self.cluster.pick(&self.tried, self.call.deadline, chance, begun)
            };
            let mut ticket = picked.map_err(|error| match &last {
                // What the caller sees is why it failed, not only that there is nobody left.
                Some(last) => Error::new(error.code, format!("{last}; then {}", error.message)),
                None => error,
            })?;
            self.note(&mut ticket, begun);
            let Outcome { event, answer } = match self.hedge_after(begun) {
                None => self.attempt(&ticket, begun).await,
                Some(delay) => {
                    let won = Box::pin(race(self, ticket, begun, delay)).await;
                    watch.hedged(won.hedged);
                    self.tried.extend(won.also_tried);
                    ticket = won.ticket;
                    won.outcome
                }
            };
            let Some(event) = event else {
                if let Some(hedges) = &self.call.route.hedge {
                    let now = Instant::now();
                    hedges.with(|hedge| hedge.observe(now, now.saturating_duration_since(self.call.started)));
                }
                let failed = |failure| self.failed(&ticket, &failure, None, Reason::Final);
                let (response, kept) = answer.map_err(failed)?;
                watch.follow(ticket, kept);
                return Ok(response);
            };
            self.tried.push(ticket.endpoint.id);
            match (self.decide(event, &answer), answer) {
                (Decision::After(delay), answer) => {
                    if let Err(failure) = &answer {
                        last = Some(format!("{}: {failure}", ticket.endpoint.address));
                    }
                    ticket.finish(event, Instant::now());
                    watch.retried();
                    drop(answer);
                    if !delay.is_zero() {
                        sleep(delay).await;
                    }
                }
                (Decision::Stop(reason), Ok((response, kept))) => {
                    watch.not_retried(reason);
                    self.source.forget();
                    watch.follow(ticket, kept);
                    return Ok(response);
                }
                (Decision::Stop(reason), Err(failure)) => {
                    watch.not_retried(reason);
                    let error = self.failed(&ticket, &failure, Some(event), reason);
                    ticket.finish(event, Instant::now());
                    return Err(error);
                }
            }
        }
    }

    /// Tells those who follow traces of an attempt.
    fn note(&self, ticket: &mut Ticket, begun: Instant) {
        let Call { origin, route, grpc, .. } = self.call;
        origin.attempt(route, ticket, self.head.request(), *grpc, self.tried.len(), begun);
    }

    /// When a second endpoint may be asked beside the first.
    fn hedge_after(&self, now: Instant) -> Option<Duration> {
        let hedges = self.call.route.hedge.as_ref().filter(|_| self.tried.is_empty())?;
        hedges.with(|hedge| hedge.start(now))
    }

    /// A second attempt beside that at endpoint `first`, if there may be one.
    pub fn second(&self, first: u64) -> Option<Ticket> {
        let (call, now) = (self.call, Instant::now());
        let hedges = call.route.hedge.as_ref()?;
        let is_there = self.source.is_received() && self.source.is_whole();
        if !is_there || !self.head.is_idempotent || self.is_stateful() {
            return None;
        }
        let chance = &mut call.local.chance.borrow_mut();
        let mut ticket = self.cluster.pick(&[first], call.deadline, chance, now).ok()?;
        // There is no other; or this one would be one too many.
        if ticket.endpoint.id == first || !hedges.with(|hedge| hedge.may_send(now, 0)) {
            ticket.withdraw(now);
            return None;
        }
        self.note(&mut ticket, now);
        Some(ticket)
    }

    pub async fn try_at(&self, ticket: Ticket, now: Instant) -> (Ticket, Outcome) {
        let outcome = self.attempt(&ticket, now).await;
        (ticket, outcome)
    }

    async fn attempt(&self, ticket: &Ticket, now: Instant) -> Outcome {
        let retry = self.call.route.retry.as_ref();
        let patience =
            self.call.deadline.patience(now, retry.and_then(|retry| retry.settings.per_try_timeout));
        // An endpoint that is told so little time would use it up waiting for the rest of the request.
        let told = match self.source.is_received() {
            true => patience,
            false => self.call.deadline.patience(now, None),
        };
        let work = pin!(self.ask(ticket, told));
        let answer = match (patience.timeout, patience.bound) {
            (Some(limit), Bound::Attempt) => self.at_most(limit, work).await,
            // Whoever waits for the whole request gives up in time.
            _ => work.await,
        };
        let event = match &answer {
            Ok((response, _)) => self.verdict(response, patience.bound),
            Err(Failure::Connect(_)) => Some(Event::ConnectFailed),
            Err(Failure::Full(_)) => Some(Event::Full),
            Err(Failure::TimedOut(_)) => Some(Event::TimedOut(patience.bound)),
            Err(Failure::Lost(lost)) => Some(lost.cause.into()),
        };
        Outcome { event, answer }
    }

    /// Waits so long for an answer. The time in which the caller has not sent more of the request is not the endpoint's.
    async fn at_most<T>(
        &self,
        limit: Duration,
        mut work: Pin<&mut impl Future<Output = Result<T, Failure>>>,
    ) -> Result<T, Failure> {
        let mut end = Instant::now() + limit;
        loop {
            if let Ok(answer) = timeout_at(end.into(), work.as_mut()).await {
                return answer;
            }
            let now = Instant::now();
            match self.source.awaited_until(now).map(|moment| moment + limit) {
                Some(later) if later > now => end = later,
                _ => return Err(Failure::TimedOut(format!("no answer within {limit:?}"))),
            }
        }
    }

    async fn ask(&self, ticket: &Ticket, patience: Patience) -> Result<(Response<Body>, Kept), Failure> {
        let pool = self.call.local.pool(&ticket.endpoint);
        let span = ticket.span.as_deref();
        let message = Message { head: &self.head, source: &self.source, patience, span };
        let over_http2 = match self.cluster.protocol {
            _ if self.head.request().extensions().get::<Upgrade>().is_some() => false,
            UpstreamProtocol::Http2 => true,
            UpstreamProtocol::Http1 => false,
            UpstreamProtocol::Unspecified => self.call.grpc,
        };
        let (response, kept) = match over_http2 {
            true => pool.send_http2(&message).await?,
            false => Box::pin(pool.send_http1(&message)).await?,
        };
        // Once a part of the answer has been passed on there is no way back. Until then, an answer that has nothing but a
        // status to say may be exchanged for a better one.
        let Route { retry, hedge, .. } = &*self.call.route;
        let may_wait = self.call.grpc && (retry.is_some() || hedge.is_some()) && self.source.is_received();
        if !may_wait || grpc_status(response.headers()).is_some() {
            return Ok((response, kept));
        }
        let (parts, body) = response.into_parts();
        let body = body.begin().await.map_err(Failure::Lost)?;
        Ok((Response::from_parts(parts, body), kept))
    }

    /// How the attempt ended, if that is known before its answer has passed; `None` for what goes well so far.
    fn verdict(&self, response: &Response<Body>, bound: Bound) -> Option<Event> {
        let trailers = match response.body() {
            Body::Trailers(trailers) => Some(&**trailers),
            _ => None,
        };
        let told = [Some(response.headers()), trailers].into_iter().flatten();
        let status = told.filter_map(|headers| Some((grpc_status(headers)?, headers))).next();
        match status {
            Some((0, _)) => None,
            Some((status, headers)) if self.call.grpc => Some(grpc_event(status, headers, bound)),
            _ if response.status().is_success() => None,
            _ => Some(Event::Http(response.status().as_u16())),
        }
    }

    fn decide(&self, event: Event, answer: &Result<(Response<Body>, Kept), Failure>) -> Decision {
        let Some(retry) = &self.call.route.retry else { return Decision::Stop(Reason::NotCovered) };
        let pushback = answer.as_ref().ok().and_then(|(response, _)| response.headers().get(GRPC_PUSHBACK));
        let now = Instant::now();
        let attempt = Attempt {
            event,
            made: self.tried.len() as u32,
            idempotent: self.head.is_idempotent && !self.is_stateful(),
            committed: false,
            replayable: self.source.is_whole(),
            pushback: pushback.map(|value| Pushback::parse(value.as_bytes())),
            deadline: self.call.deadline,
        };
        let chance = &mut self.call.local.chance.borrow_mut();
        decide(&retry.settings, &attempt, now, &mut retry.budget(), chance)
    }

    /// Whether the request belongs to a sequence: a server that has seen it has a state that a second one would change again.
    fn is_stateful(&self) -> bool {
        let Some(pieces) = self.source.received() else {
            // What has come so far may have been enough for a server to act.
            return !(self.call.grpc && self.source.lacks_a_message());
        };
        pieces.iter().any(|piece| memchr::memmem::find(piece, b"sequence_id").is_some())
    }

    fn failed(&self, ticket: &Ticket, failure: &Failure, event: Option<Event>, reason: Reason) -> Error {
        if let Some(Event::TimedOut(Bound::Request)) = event {
            return Error::deadline_exceeded();
        }
        let attempts = match (reason, self.tried.len()) {
            // What can be done about it is up to the caller, or to who sets the limits.
            (Reason::NotReplayable, _) => " (the request is too large to be kept and sent again)".to_owned(),
            (_, 0 | 1) => String::new(),
            (_, count) => format!(" (after {count} attempts)"),
        };
        let name = &self.cluster.name;
        let said = format!("'{name}' did not answer: {}: {failure}{attempts}", ticket.endpoint.address);
        match failure {
            Failure::Lost(lost) if lost.cause == Cause::Ours => {
                Error::new(Code::Cancelled, format!("the request has broken off: {lost}"))
            }
            Failure::Full(_) => Error { transient: true, ..Error::new(Code::ResourceExhausted, said) },
            _ => Error::new(Code::Unavailable, said),
        }
    }
}
