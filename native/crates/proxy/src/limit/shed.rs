//! Refuses a part of the requests while many of those that are sent fail.

use super::refusal::Refusal;
use crate::{plan::duration_or, proto};
use infermesh_policy::{
    Chance,
    shed::admission::{Admission, Settings},
};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

pub struct Shed(Mutex<Admission>);

impl Shed {
    /// Fails with the field that is wrong.
    pub fn new(given: &proto::Admission, now: Instant) -> Result<Self, String> {
        let default = Settings::default();
        let or = |given: f64, default: f64| if given == 0.0 { default } else { given };
        let settings = Settings {
            min_success_rate: or(given.min_success_rate, default.min_success_rate),
            aggression: or(given.aggression, default.aggression),
            window: duration_or(given.window_ns, default.window),
            max_refused: or(given.max_refused, default.max_refused),
            min_requests: if given.min_requests > 0 { given.min_requests } else { default.min_requests },
        };
        settings.check()?;
        Ok(Self(Mutex::new(Admission::new(settings, now))))
    }

    pub fn admit(&self, chance: &mut Chance, now: Instant) -> Result<(), Refusal> {
        let admission = self.lock();
        if admission.admit(now, chance) {
            Ok(())
        } else {
            Err(Refusal::Failing { share: admission.refused(now) })
        }
    }

    /// One that was sent has ended.
    pub fn ended(&self, succeeded: bool, now: Instant) {
        self.lock().ended(succeeded, now);
    }

    /// The share that is refused.
    pub fn share(&self, now: Instant) -> f64 {
        self.lock().refused(now)
    }

    fn lock(&self) -> MutexGuard<'_, Admission> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_that_is_refused_is_said() {
        let now = Instant::now();
        let shed = Shed::new(&proto::Admission::default(), now).unwrap();
        let mut chance = Chance::seeded(1);
        (0..100).for_each(|_| shed.ended(false, now));
        assert_eq!(shed.share(now), 0.8);
        let outcomes: Vec<_> = (0..100).map(|_| shed.admit(&mut chance, now)).collect();
        assert!(outcomes.contains(&Ok(())) && outcomes.contains(&Err(Refusal::Failing { share: 0.8 })));
    }

    #[test]
    fn settings_that_are_wrong_say_so() {
        let given = proto::Admission { max_refused: -1.0, ..Default::default() };
        let said = Shed::new(&given, Instant::now()).err().unwrap();
        assert_eq!(said, "max_refused is -1.0: expected 0 to 1, without 1");
    }
}
