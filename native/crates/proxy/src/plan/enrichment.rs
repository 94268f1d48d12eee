//! Models that a route asks about its requests and answers.

use super::{Route, duration_or, matching::Match};
use crate::{
    enrich::{Rule, Sources},
    proto,
    upstream::cluster::Cluster,
};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// Time for all that one rule takes.
const TIMEOUT: Duration = Duration::from_millis(50);

/// The rules that look at requests, or those that look at answers.
#[derive(Default)]
pub struct Enrichments {
    pub sources: Sources,
    pub rules: Vec<Enrichment>,
}

pub struct Enrichment {
    pub name: String,
    pub rule: Rule,
    pub matching: Match,
    /// To the service that has the model.
    pub route: Arc<Route>,
    pub model: String,
    pub version: String,
    pub timeout: Duration,
    /// Whether a request is refused if this fails.
    pub closed: bool,
}

impl Enrichments {
    /// Of a route's rules those that look at answers, or the others. Fails with the field that is wrong.
    pub fn new(
        given: &[proto::Enrichment],
        on_response: bool,
        clusters: &HashMap<&str, Arc<Cluster>>,
        now: Instant,
    ) -> Result<Self, String> {
        let mut this = Self::default();
        for (index, given) in given.iter().enumerate() {
            if given.on_response == on_response {
                let rule = Enrichment::new(given, clusters, &mut this.sources, now);
                this.rules.push(rule.map_err(|why| format!("enrichments[{index}].{why}"))?);
            }
        }
        Ok(this)
    }
}

impl Enrichment {
    fn new(
        given: &proto::Enrichment,
        clusters: &HashMap<&str, Arc<Cluster>>,
        sources: &mut Sources,
        now: Instant,
    ) -> Result<Self, String> {
        let rule = Rule::new(given, sources).map_err(|error| error.message.into_owned())?;
        let matching = match &given.r#match {
            Some(matching) => Match::new(matching).map_err(|why| format!("match.{why}"))?,
            None => Match::default(),
        };
        let cluster = super::cluster(&given.cluster, clusters)?;
        Ok(Self {
            name: if given.name.is_empty() { given.model.clone() } else { given.name.clone() },
            rule,
            matching,
            route: Arc::new(Route::inner(format!("enrich/{}", given.model), cluster, now)?),
            model: given.model.clone(),
            version: given.version.clone(),
            timeout: duration_or(given.timeout_ns, TIMEOUT),
            closed: given.on_failure() == proto::OnFailure::Closed,
        })
    }
}
