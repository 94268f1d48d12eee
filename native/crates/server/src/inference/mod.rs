//! One request through its model, whichever edge it came from.
//!
//! `validate` holds it against the model's signature (and `sequence` places it in one), `infer` or `decoupled` submits it,
//! `visit` takes it through the `cache` to the model's queue (`queued`, which `promise`s to see to it) or through the steps of an ensemble (`flow`).
//! `outputs` puts the answer in the form that was wanted, as text with `classification`; `timing` says how long it waited.

pub mod cache;
mod classification;
pub mod decoupled;
mod flow;
pub mod infer;
mod outputs;
mod promise;
mod queued;
mod sequence;
pub mod timing;
pub mod validate;
mod visit;
