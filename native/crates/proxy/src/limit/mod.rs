//! Which of a route's requests are sent on: not those of a caller who asks too often (`rate`), only a part of them while
//! many fail (`shed`), and at a time as many as the upstream takes; the others wait for it (`line`).
//!
//! All of it is shared by the threads of a proxy. Whoever is let in has a `turn` until his answer has ended, and what
//! becomes of it decides about the next. `timing` asks the upstream how long a request waited there. Who is not let in
//! gets a `refusal`; `numbers` counts them.

mod line;
mod numbers;
mod rate;
mod refusal;
mod shed;
mod timing;
mod turn;

pub use numbers::{Crowd, Numbers};
pub use turn::Turn;

use crate::{call::Call, proto};
use http::HeaderMap;
use infermesh_wire::Error;
use line::{Entered, Line};
use numbers::Refused;
use rate::Rate;
use refusal::Refusal;
use shed::Shed;
use std::{rc::Rc, sync::Arc, time::Instant};

/// Of one route.
pub struct Limits {
    rate: Option<Rate>,
    shed: Option<Arc<Shed>>,
    line: Option<Arc<Line>>,
    refused: Refused,
}

impl Limits {
    /// Fails with the field that is wrong.
    pub fn new(given: &proto::Route, now: Instant) -> Result<Self, String> {
        let rate = given.rate_limit.as_ref().map(Rate::new).transpose();
        let shed = given.admission.as_ref().map(|given| Shed::new(given, now)).transpose();
        let line = given.concurrency.as_ref().map(|given| Line::new(given, now)).transpose();
        Ok(Self {
            rate: rate.map_err(|why| format!("rate_limit.{why}"))?,
            shed: shed.map_err(|why| format!("admission.{why}"))?.map(Arc::new),
            line: line.map_err(|why| format!("concurrency.{why}"))?.map(Arc::new),
            refused: Refused::default(),
        })
    }

    pub fn numbers(&self, now: Instant) -> Numbers {
        Numbers {
            crowd: self.line.as_ref().map(|line| line.crowd()),
            shed: self.shed.as_ref().map(|shed| shed.share(now)),
            refused: self.refused.get(),
        }
    }
}

/// Lets a request in, as soon as it is its turn; `None` where nobody asks what becomes of it. Where somebody does, `headers`
/// ask the upstream for more about it.
///
/// Fails with RESOURCE_EXHAUSTED if there are too many, with UNAVAILABLE if too many fail, with DEADLINE_EXCEEDED if the
/// caller does not wait for its turn, and with INVALID_ARGUMENT for a priority that is none.
pub async fn enter(call: &Call<'_>, headers: &mut HeaderMap) -> Result<Option<Rc<Turn>>, Error> {
    let (limits, now) = (&call.route.limits, call.started);
    let refused = |refusal: Refusal| {
        limits.refused.count(&refusal);
        refusal.error(&call.route.name)
    };
    if let Some(rate) = &limits.rate {
        rate.take(&call.door.peer, headers, now).map_err(refused)?;
    }
    if let Some(shed) = &limits.shed {
        shed.admit(&mut call.local.chance.borrow_mut(), now).map_err(refused)?;
    }
    let Some(line) = &limits.line else {
        return Ok(limits.shed.clone().map(|shed| Rc::new(Turn::new(None, Some(shed), None))));
    };
    let priority = line.priority(headers)?;
    let place = match line.enter(priority, call.deadline, now).map_err(refused)? {
        Entered::AtOnce(place) => place,
        // Rare enough to be apart: a task is as large as all that it may hold.
        Entered::Waits(waiting) => Box::pin(waiting.turn()).await.map_err(refused)?,
    };
    let asked = line.adapts().then(|| timing::ask(headers));
    Ok(Some(Rc::new(Turn::new(Some(place), limits.shed.clone(), asked))))
}
