//! Which requests are traced: for the whole server, and for a model where it has settings of its own.

use crate::context::Parent;
use infermesh_wire::Error;
use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
    },
};

/// Settings that are given; the others are those of the level above: model, server, start of the process.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    pub on: Option<bool>,
    /// One of so many requests is traced; 0: none but those that their caller traces.
    pub rate: Option<u32>,
    /// How many more traces may begin here, shared by all who use this choice; negative: any number.
    pub count: Option<Arc<AtomicI64>>,
}

/// How to change a choice: `None` leaves a setting as it is, `Some(None)` gives it back to the level above.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    pub on: Option<Option<bool>>,
    pub rate: Option<Option<u32>>,
    pub count: Option<Option<i32>>,
}

/// What holds for a model, or for the server.
#[derive(Debug)]
pub struct Rule {
    pub on: bool,
    pub rate: u32,
    count: Arc<AtomicI64>,
    seen: AtomicU64,
}

#[derive(Debug, Default)]
pub struct Rules {
    /// Whether any model may be traced: all that a request looks at where none is.
    any: AtomicBool,
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    start: Choice,
    server: Choice,
    models: HashMap<String, Choice>,
    of_server: Arc<Rule>,
    of_models: HashMap<String, Arc<Rule>>,
}

impl State {
    fn rule(&self, model: &str) -> &Arc<Rule> {
        self.of_models.get(model).unwrap_or(&self.of_server)
    }
}

impl Default for Rule {
    fn default() -> Self {
        Self::of([])
    }
}

impl Rule {
    /// The first choice that gives a setting has it; what none gives is as in Triton.
    fn of<const N: usize>(choices: [&Choice; N]) -> Self {
        Self {
            on: choices.iter().find_map(|it| it.on).unwrap_or(false),
            rate: choices.iter().find_map(|it| it.rate).unwrap_or(1000),
            count: choices
                .iter()
                .find_map(|it| it.count.clone())
                .unwrap_or_else(|| Arc::new(AtomicI64::new(-1))),
            seen: AtomicU64::new(0),
        }
    }

    /// Traces that may still begin; -1: any number.
    pub fn remaining(&self) -> i64 {
        self.count.load(Relaxed).max(-1)
    }

    fn takes(&self, decided: Option<bool>) -> bool {
        match decided {
            _ if !self.on => false,
            // Whoever began the trace has decided.
            Some(decided) => decided,
            None if self.rate == 0 || self.remaining() == 0 => false,
            None => {
                (self.seen.fetch_add(1, Relaxed) + 1).is_multiple_of(u64::from(self.rate)) && self.use_up()
            }
        }
    }

    fn use_up(&self) -> bool {
        let less = |count: i64| match count {
            0 => None,
            count if count < 0 => Some(count),
            count => Some(count - 1),
        };
        self.count.fetch_update(Relaxed, Relaxed, less).is_ok()
    }
}

impl Rules {
    /// What holds from the start of the process.
    pub fn start(&self, choice: Choice) {
        self.edit(|state| state.start = choice);
    }

    pub fn is_on(&self) -> bool {
        self.any.load(Relaxed)
    }

    /// Whether to trace a request for this model.
    pub fn take(&self, model: &str, parent: Option<&Parent>) -> bool {
        self.decide(model, parent.map(|parent| parent.sampled))
    }

    /// The same where a caller may have named a trace and left the decision to others.
    pub fn decide(&self, model: &str, decided: Option<bool>) -> bool {
        // Used where it is: threads that count references to it would slow each other down.
        self.is_on() && self.read().rule(model).takes(decided)
    }

    /// What holds for a model; the server's for one without settings of its own, and for an empty name.
    pub fn rule(&self, model: &str) -> Arc<Rule> {
        self.read().rule(model).clone()
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what holds for a model, or for the server if the name is empty.
    pub fn change(&self, model: &str, change: Change) {
        self.edit(|state| {
            let choice = match model {
                "" => &mut state.server,
                model => state.models.entry(model.to_owned()).or_default(),
            };
            if let Some(on) = change.on {
                choice.on = on;
            }
            if let Some(rate) = change.rate {
                choice.rate = rate;
            }
            if let Some(count) = change.count {
                choice.count = count.map(|count| Arc::new(AtomicI64::new(count.into())));
            }
            state.models.retain(|_, it| it.on.is_some() || it.rate.is_some() || it.count.is_some());
        });
    }

    fn edit(&self, edit: impl FnOnce(&mut State)) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        edit(&mut state);
        let State { start, server, models, .. } = &*state;
        let of_server = Arc::new(Rule::of([server, start]));
        let of_models: HashMap<_, _> = models
            .iter()
            .map(|(name, own)| (name.clone(), Arc::new(Rule::of([own, server, start]))))
            .collect();
        self.any.store(of_server.on || of_models.values().any(|rule| rule.on), Relaxed);
        (state.of_server, state.of_models) = (of_server, of_models);
    }
}

/// What a setting may say, in Triton's words: `value` of setting `name` as a number from `low` to `high`.
pub fn number(name: &str, value: &str, low: i64, high: i64) -> Result<i64, Error> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Error::invalid(format!("Unable to parse '{name}', got: {value}")));
    }
    value.parse().ok().filter(|number| (low..=high).contains(number)).ok_or_else(|| {
        Error::invalid(format!(
            "Unable to parse '{name}', value is out of range [ {low}, {high} ], got: {value}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(rate: u32, count: i64) -> Rules {
        let rules = Rules::default();
        let count = Some(Arc::new(AtomicI64::new(count)));
        rules.start(Choice { on: Some(true), rate: Some(rate), count });
        rules
    }

    fn taken(rules: &Rules, model: &str, requests: usize) -> usize {
        (0..requests).filter(|_| rules.take(model, None)).count()
    }

    fn parent(sampled: bool) -> Parent {
        Parent { trace: 1, span: 1, sampled, state: String::new() }
    }

    #[test]
    fn one_of_so_many() {
        assert_eq!(taken(&rules(10, -1), "m", 100), 10);
        assert_eq!(taken(&rules(0, -1), "m", 100), 0);
        assert_eq!(taken(&Rules::default(), "m", 5000), 0);
    }

    #[test]
    fn so_many_and_no_more() {
        let rules = rules(1, 3);
        assert_eq!(taken(&rules, "m", 100), 3);
        assert_eq!(rules.rule("m").remaining(), 0);
        assert!(rules.take("m", Some(&parent(true))));
    }

    #[test]
    fn the_caller_decides_where_he_began_the_trace() {
        let rules = rules(1, -1);
        assert!(!rules.take("m", Some(&parent(false))));
        rules.change("", Change { rate: Some(Some(0)), ..Default::default() });
        assert!(rules.take("m", Some(&parent(true))));
        rules.change("", Change { on: Some(Some(false)), ..Default::default() });
        assert!(!rules.take("m", Some(&parent(true))));
    }

    #[test]
    fn a_model_has_its_own_settings_until_they_are_cleared() {
        let rules = rules(1, -1);
        rules.change("a", Change { on: Some(Some(false)), rate: Some(Some(5)), ..Default::default() });
        assert_eq!((taken(&rules, "a", 9), taken(&rules, "b", 9)), (0, 9));
        rules.change("a", Change { on: Some(None), ..Default::default() });
        assert_eq!(taken(&rules, "a", 10), 2);
        rules.change("", Change { rate: Some(Some(2)), ..Default::default() });
        assert_eq!((taken(&rules, "a", 10), taken(&rules, "b", 10)), (2, 5));
        rules.change("a", Change { rate: Some(None), ..Default::default() });
        assert_eq!(rules.rule("a").rate, 2);
        rules.change("", Change { rate: Some(None), ..Default::default() });
        assert_eq!(rules.rule("a").rate, 1);
    }

    #[test]
    fn nothing_is_on_when_every_rule_is_off() {
        let rules = Rules::default();
        assert!(!rules.is_on());
        rules.change("a", Change { on: Some(Some(true)), ..Default::default() });
        assert!(rules.is_on());
        rules.change("a", Change { on: Some(None), ..Default::default() });
        assert!(!rules.is_on());
    }

    #[test]
    fn numbers_are_refused_in_tritons_words() {
        assert_eq!(number("trace_rate", "7", 0, 9), Ok(7));
        let message = |value| number("trace_rate", value, 0, 9).unwrap_err().message.into_owned();
        assert_eq!(message("x"), "Unable to parse 'trace_rate', got: x");
        assert_eq!(message(""), "Unable to parse 'trace_rate', got: ");
        assert_eq!(message("-1"), "Unable to parse 'trace_rate', value is out of range [ 0, 9 ], got: -1");
        assert!(message("99999999999999999999").contains("out of range"));
    }
}
