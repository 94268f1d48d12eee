//! Batches that an instance runs before it serves, so that no caller pays for what happens only once per shape:
//! memory, kernels that are chosen or compiled, graphs that are captured.

use crate::{Backend, Tensor, TensorView};
use infermesh_wire::Error;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

/// Behind another size, so many times as long as behind its own, and at least this long.
const CHANGE_IS_DEAR: u32 = 3;
const CHANGE_MATTERS: Duration = Duration::from_millis(20);

/// A batch to be run in.
#[derive(Debug, Clone)]
pub struct Rehearsal {
    /// What it is called in messages.
    pub name: String,
    /// In the order of the model's signature; the data is aligned to its elements.
    pub inputs: Vec<Tensor>,
    pub rows: usize,
    /// How often it runs.
    pub count: u32,
    /// Whether somebody asked for it: then its failure is one of the model. One of our own making may be refused by a
    /// model that likes what its callers send.
    pub required: bool,
    /// Whether the model streams its answers; the first of them will do.
    pub decoupled: bool,
}

/// How far an instance goes through the rehearsals that nobody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunIn {
    /// Not at all: to be called has effects of its own, or another instance does it for all.
    Skip,
    /// In the order given, while there is time; one that would take longer than what is left is skipped.
    Within(Duration),
    /// All of them, the last first: the largest batch takes the memory in which the others then find room.
    Complete,
}

/// How long a batch took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    pub rows: usize,
    pub took: Duration,
}

/// What came of running an instance in.
#[derive(Debug, Default)]
pub struct Experience {
    pub samples: Vec<Sample>,
    /// Why a rehearsal that nobody asked for failed.
    pub complaints: Vec<String>,
}

/// Runs an instance in; `rehearsals` that nobody asked for come in ascending order of their rows.
///
/// Fails with the error of a required one, and with a fatal one of any.
pub fn run_in(backend: &mut dyn Backend, rehearsals: &[Rehearsal]) -> Result<Experience, Error> {
    let (required, own): (Vec<_>, Vec<_>) = rehearsals.iter().partition(|rehearsal| rehearsal.required);
    let mut experience = Experience::default();
    match backend.run_in() {
        RunIn::Skip => {}
        RunIn::Within(limit) => within(backend, &own, limit, &mut experience)?,
        RunIn::Complete => {
            for rehearsal in own.iter().rev() {
                attempt(backend, rehearsal, &mut experience)?;
            }
            if let [smallest, .., largest] = own[..]
                && experience.complaints.is_empty()
            {
                match cost_of_change(backend, smallest, largest) {
                    Ok(complaint) => experience.complaints.extend(complaint),
                    Err(error) if error.fatal => return Err(error),
                    Err(error) => experience.complaints.push(error.message.into_owned()),
                }
            }
        }
    }
    for rehearsal in required {
        experience.samples.push(rehearse(backend, rehearsal)?);
    }
    Ok(experience)
}

/// What to say of a backend that prepares anew for a batch whenever the one before had another size, as ONNX Runtime's
/// convolutions do on a GPU. Both sizes have run before, so what happens only once is over.
fn cost_of_change(
    backend: &mut dyn Backend,
    smallest: &Rehearsal,
    largest: &Rehearsal,
) -> Result<Option<String>, Error> {
    let once = |backend: &mut dyn Backend, rehearsal: &Rehearsal| {
        rehearse(backend, &Rehearsal { count: 1, ..rehearsal.clone() }).map(|sample| sample.took)
    };
    once(backend, smallest)?;
    let (after_another, after_its_own) = (once(backend, largest)?, once(backend, largest)?);
    let is_dear = after_another > after_its_own * CHANGE_IS_DEAR && after_another > CHANGE_MATTERS;
    Ok(is_dear.then(|| {
        format!(
            "a batch of {} took {:.0} ms behind one of another size, {:.1} ms behind one of its own: changing sizes \
             will slow this model down. CUDA graphs (optimization.cuda.graphs), or a single size in \
             allowed_batch_sizes, avoid it",
            largest.rows,
            after_another.as_secs_f64() * 1e3,
            after_its_own.as_secs_f64() * 1e3,
        )
    }))
}

fn within(
    backend: &mut dyn Backend,
    own: &[&Rehearsal],
    limit: Duration,
    experience: &mut Experience,
) -> Result<(), Error> {
    let started = Instant::now();
    let mut expected = Duration::ZERO;
    for (index, rehearsal) in own.iter().enumerate() {
        if started.elapsed() + expected > limit {
            return Ok(());
        }
        // What it refuses once, it would refuse in every size.
        let Some(took) = attempt(backend, rehearsal, experience)? else { return Ok(()) };
        let next = own.get(index + 1).map_or(rehearsal.rows, |next| next.rows);
        expected = took * rehearsal.count * next.div_ceil(rehearsal.rows) as u32;
    }
    Ok(())
}

/// How long it took; `None` if it failed for reasons that need not concern callers.
fn attempt(
    backend: &mut dyn Backend,
    rehearsal: &Rehearsal,
    experience: &mut Experience,
) -> Result<Option<Duration>, Error> {
    match rehearse(backend, rehearsal) {
        Ok(sample) => {
            experience.samples.push(sample);
            Ok(Some(sample.took))
        }
        Err(error) if error.fatal => Err(error),
        Err(error) => {
            experience.complaints.push(error.message.into_owned());
            Ok(None)
        }
    }
}

/// How long the fastest of its runs took: the first pays for what happens once, any may be interrupted.
fn rehearse(backend: &mut dyn Backend, rehearsal: &Rehearsal) -> Result<Sample, Error> {
    let mut took = Duration::MAX;
    for _ in 0..rehearsal.count {
        let inputs: Vec<_> = rehearsal
            .inputs
            .iter()
            .map(|tensor| TensorView { shape: tensor.shape.clone(), data: &tensor.data })
            .collect();
        let started = Instant::now();
        let run = || match rehearsal.decoupled {
            true => backend.stream(&inputs, &mut |_| false),
            false => backend.run(&inputs).map(drop),
        };
        catch_unwind(AssertUnwindSafe(run))
            .unwrap_or_else(|_| Err(Error::internal("the backend panicked")))
            .map_err(|error| {
                let message = format!("warm-up '{}' failed: {}", rehearsal.name, error.message);
                Error { message: message.into(), ..error }
            })?;
        took = took.min(started.elapsed());
    }
    Ok(Sample { rows: rehearsal.rows, took })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Remembers the rows it ran; `slow` says how long a row takes, `change` what another size than the last takes besides,
    /// `refuses` which batch it dislikes, `tires_after` how many it takes.
    struct Pupil {
        run_in: RunIn,
        slow: Duration,
        change: Duration,
        refuses: usize,
        tires_after: usize,
        ran: Vec<usize>,
    }

    impl Backend for Pupil {
        fn run(&mut self, inputs: &[TensorView<'_>]) -> Result<Vec<Tensor>, Error> {
            let rows = inputs[0].shape[0] as usize;
            let prepare = self.ran.last() != Some(&rows);
            self.ran.push(rows);
            if rows == self.refuses || self.ran.len() > self.tires_after {
                return Err(Error::internal("not this one"));
            }
            let started = Instant::now();
            while started.elapsed() < self.slow * rows as u32 + self.change * u32::from(prepare) {
                std::hint::spin_loop();
            }
            Ok(Vec::new())
        }

        fn run_in(&self) -> RunIn {
            self.run_in
        }
    }

    fn pupil(run_in: RunIn) -> Pupil {
        let (slow, change) = (Duration::ZERO, Duration::ZERO);
        Pupil { run_in, slow, change, refuses: 0, tires_after: usize::MAX, ran: Vec::new() }
    }

    fn rehearsal(rows: usize, required: bool) -> Rehearsal {
        let inputs = vec![Tensor { shape: [rows as i64].into_iter().collect(), data: Default::default() }];
        let (name, count) = (format!("of {rows}"), 1 + u32::from(required));
        Rehearsal { name, inputs, rows, count, required, decoupled: false }
    }

    fn rehearsals() -> Vec<Rehearsal> {
        vec![rehearsal(1, false), rehearsal(2, false), rehearsal(4, false), rehearsal(3, true)]
    }

    #[test]
    fn what_was_asked_for_always_runs_and_as_often_as_was_asked() {
        let mut skips = pupil(RunIn::Skip);
        let samples = run_in(&mut skips, &rehearsals()).unwrap().samples;
        assert_eq!(skips.ran, [3, 3]);
        assert_eq!(samples.iter().map(|sample| sample.rows).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn all_sizes_run_from_the_largest() {
        let mut complete = pupil(RunIn::Complete);
        let complaints = run_in(&mut complete, &rehearsals()).unwrap().complaints;
        // Behind all of them, the smallest and twice the largest: is it dear to change?
        assert_eq!(complete.ran, [4, 2, 1, 1, 4, 4, 3, 3]);
        assert!(complaints.is_empty());
    }

    #[test]
    fn a_backend_that_is_slow_to_change_sizes_is_told_of() {
        let mut slow = Pupil { change: 2 * CHANGE_MATTERS, ..pupil(RunIn::Complete) };
        let complaints = run_in(&mut slow, &rehearsals()).unwrap().complaints;
        assert!(complaints[0].starts_with("a batch of 4 took 4"), "{complaints:?}");
        assert_eq!(complaints.len(), 1);
    }

    #[test]
    fn sizes_run_from_the_smallest_while_there_is_time() {
        let mut quick = pupil(RunIn::Within(Duration::from_secs(60)));
        run_in(&mut quick, &rehearsals()).unwrap();
        assert_eq!(quick.ran, [1, 2, 4, 3, 3]);
        // One row takes the whole of the time: the next size, which takes twice as long, is not begun.
        let slow = Duration::from_millis(2);
        let mut slow = Pupil { slow, ..pupil(RunIn::Within(slow)) };
        run_in(&mut slow, &rehearsals()).unwrap();
        assert_eq!(slow.ran, [1, 3, 3]);
    }

    #[test]
    fn only_what_was_asked_for_may_fail_the_model() {
        let mut fussy = Pupil { refuses: 2, ..pupil(RunIn::Complete) };
        let Experience { samples, complaints } = run_in(&mut fussy, &rehearsals()).unwrap();
        assert_eq!(complaints, ["warm-up 'of 2' failed: not this one"]);
        assert_eq!(samples.iter().map(|sample| sample.rows).collect::<Vec<_>>(), [4, 1, 3]);
        // Nor may one that is run again to see what a change costs.
        let mut tired = Pupil { tires_after: 4, ..pupil(RunIn::Complete) };
        let complaints = run_in(&mut tired, &rehearsals()[..3]).unwrap().complaints;
        assert_eq!(complaints, ["warm-up 'of 4' failed: not this one"]);
        let mut broken = Pupil { refuses: 3, ..pupil(RunIn::Skip) };
        let error = run_in(&mut broken, &rehearsals()).unwrap_err();
        assert_eq!(error.message, "warm-up 'of 3' failed: not this one");
    }
}
