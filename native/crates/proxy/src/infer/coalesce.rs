//! Small requests of one model share a call: those that come while another is under way, or within a short time.
//!
//! Each network thread has groups of its own. A group is what may share a call, by everything that the server sees of a
//! request but its rows and its id; it runs one call at a time, and what comes meanwhile waits for the next.

use crate::{
    call::Call,
    edge::Door,
    headers::TRACEPARENT,
    limit::Turn,
    observe::trace,
    origin::Origin,
    plan::Route,
    request::unary::{self, Reply},
    shared::Local,
    transcode::signatures,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use infermesh_policy::Deadline;
use infermesh_rest::{
    coalesce::{Key, Share, merge},
    transcode::INFER,
};
use infermesh_wire::{Error, framing::PREFIX, response::Pieces};
use std::{
    cell::RefCell,
    collections::HashMap,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::{Notify, oneshot},
    task::spawn_local,
    time::timeout_at,
};

/// Requests that may wait in a group.
const MOST_WAITING: usize = 4096;

/// Headers that may differ between requests that share a call: they are about one request, and the server does nothing
/// else because of them.
const OF_ONE_REQUEST: [&str; 9] = [
    "traceparent",
    "tracestate",
    "b3",
    "x-request-id",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "date",
];

/// How a route's requests share calls.
#[derive(Debug, Clone)]
pub struct Settings {
    /// 0: what the model's configuration allows.
    pub max_rows: usize,
    pub max_delay: Duration,
    /// Empty: all that batch.
    pub models: Vec<String>,
}

/// What may share a call.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Kind {
    /// Which route, by where it lies: it lives as long as the proxy.
    route: usize,
    key: Key,
    headers: Vec<(HeaderName, Vec<u8>)>,
}

/// The groups of one network thread.
#[derive(Default)]
pub struct Groups(RefCell<HashMap<Kind, Rc<Group>>>);

#[derive(Default)]
struct Group {
    waiting: RefCell<Vec<Member>>,
    news: Notify,
}

struct Member {
    share: Share,
    deadline: Option<Instant>,
    origin: Rc<Origin>,
    /// The trace that it is a part of, as it says.
    context: Option<HeaderValue>,
    turn: Option<Rc<Turn>>,
    answer: oneshot::Sender<Told>,
}

/// What a member of a call is told.
enum Told {
    Answer(Bytes),
    /// The call failed for all, which may be the fault of another.
    AskAlone,
}

/// Asks for one inference together with others, if there are any.
pub async fn ask(call: &Call<'_>, headers: HeaderMap, message: Pieces, share: Share) -> Result<Reply, Error> {
    let alone = |headers, message| unary::ask(call, call.route.cluster.next(), INFER, headers, message);
    let Some(settings) = call.route.coalesce.as_ref().filter(|settings| settings.takes(&share)) else {
        return alone(headers, message).await;
    };
    let max_rows = match settings.max_rows {
        0 => signatures::max_batch(call, share.model(), share.version(), &headers).await,
        rows => rows,
    };
    if max_rows < 2 * share.rows() {
        return alone(headers, message).await;
    }
    let Some(told) = join(call, settings, &headers, share, max_rows) else {
        return alone(headers, message).await;
    };
    match told.await {
        Ok(Told::Answer(answer)) => Ok(Reply::Message(answer)),
        Ok(Told::AskAlone) | Err(_) => alone(headers, message).await,
    }
}

impl Settings {
    fn takes(&self, share: &Share) -> bool {
        self.models.is_empty() || self.models.iter().any(|model| model == share.model())
    }
}

/// Waits in the group of its kind; `None` if too many do already.
fn join(
    call: &Call<'_>,
    settings: &Settings,
    headers: &HeaderMap,
    share: Share,
    max_rows: usize,
) -> Option<oneshot::Receiver<Told>> {
    let mut differing: Vec<_> = headers
        .iter()
        .filter(|(name, _)| !OF_ONE_REQUEST.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.as_bytes().to_vec()))
        .collect();
    differing.sort_by(|one, other| one.0.as_str().cmp(other.0.as_str()));
    let kind =
        Kind { route: Arc::as_ptr(&call.route) as usize, key: share.key().clone(), headers: differing };
    let (answer, told) = oneshot::channel();
    let (origin, context) = (call.origin.clone(), headers.get(TRACEPARENT).cloned());
    let turn = call.turn.clone();
    let member = Member { share, deadline: call.deadline.at(), origin, context, turn, answer };
    let groups = &call.local.groups;
    if let Some(group) = groups.0.borrow().get(&kind) {
        if group.waiting.borrow().len() >= MOST_WAITING {
            return None;
        }
        group.waiting.borrow_mut().push(member);
        group.news.notify_one();
        return Some(told);
    }
    let group = Rc::new(Group::default());
    group.waiting.borrow_mut().push(member);
    let kind = Rc::new(kind);
    let runner = Runner {
        local: call.local.clone(),
        door: call.door.clone(),
        route: call.route.clone(),
        headers: headers.clone(),
        group: group.clone(),
        max_rows,
        max_delay: settings.max_delay,
    };
    groups
        .0
        .borrow_mut()
        .insert(Kind { key: kind.key.clone(), headers: kind.headers.clone(), ..*kind }, group);
    let local = call.local.clone();
    spawn_local(async move {
        runner.run().await;
        local.groups.0.borrow_mut().remove(&*kind);
    });
    Some(told)
}

/// Makes the calls of one group, one after the other, until nobody waits.
struct Runner {
    local: Rc<Local>,
    door: Rc<Door>,
    route: Arc<Route>,
    headers: HeaderMap,
    group: Rc<Group>,
    max_rows: usize,
    max_delay: Duration,
}

impl Runner {
    async fn run(&self) {
        if !self.max_delay.is_zero() {
            self.wait_for_company().await;
        }
        loop {
            let members = self.next();
            if members.is_empty() {
                return;
            }
            self.call(members).await;
        }
    }

    async fn wait_for_company(&self) {
        let until = Instant::now() + self.max_delay;
        let full = async {
            while self.rows() < self.max_rows {
                self.group.news.notified().await;
            }
        };
        let _ = timeout_at(until.into(), full).await;
    }

    fn rows(&self) -> usize {
        self.group.waiting.borrow().iter().map(|member| member.share.rows()).sum()
    }

    /// Those who have waited longest and fit into one call. Who has given up is passed over.
    fn next(&self) -> Vec<Member> {
        let mut waiting = self.group.waiting.borrow_mut();
        waiting.retain(|member| !member.answer.is_closed());
        let mut rows = 0;
        let fitting = waiting.iter().take_while(|member| {
            rows += member.share.rows();
            rows <= self.max_rows
        });
        let count = fitting.count();
        waiting.drain(..count).collect()
    }

    /// One call for all of them. It ends when all have their answer or have given up.
    async fn call(&self, members: Vec<Member>) {
        let now = Instant::now();
        let latest = members.iter().map(|member| member.deadline).max_by(|one, other| {
            // None is later than any.
            one.is_none().cmp(&other.is_none()).then(one.cmp(other))
        });
        // To those who follow traces it is a call of the first.
        let Some((origin, context)) = members.first().map(|it| (it.origin.clone(), it.context.clone()))
        else {
            return;
        };
        let mut headers = self.headers.clone();
        trace::headers::speak_for(&mut headers, context);
        let left = latest.flatten().map(|at| at.saturating_duration_since(now));
        let turns: Vec<_> = members.iter().filter_map(|member| member.turn.clone()).collect();
        let call = Call {
            local: &self.local,
            door: &self.door,
            origin: &origin,
            route: self.route.clone(),
            grpc: true,
            deadline: Deadline::earliest(now, [left]),
            started: now,
            turn: turns.first().cloned(),
        };
        let (shares, mut waiting): (Vec<_>, Vec<_>) =
            members.into_iter().map(|member| (member.share, member.answer)).unzip();
        let answers = match merge(&shares) {
            Ok((message, division)) => {
                let asked = unary::ask(&call, call.route.cluster.next(), INFER, headers, message);
                let all_gave_up = async {
                    for member in &mut waiting {
                        member.closed().await;
                    }
                };
                tokio::select! {
                    reply = asked => match reply {
                        Ok(Reply::Message(answer)) => division.divide(&answer).ok(),
                        _ => None,
                    },
                    () = all_gave_up => return,
                }
            }
            Err(_) => None,
        };
        if let Some((first, others)) = turns.split_first() {
            others.iter().for_each(|other| other.shares(first));
        }
        let mut answers = answers.into_iter().flatten();
        for member in waiting {
            let told = match answers.next() {
                Some(answer) => Told::Answer(super::joined(answer).slice(PREFIX..)),
                None => Told::AskAlone,
            };
            let _ = member.send(told);
        }
    }
}
