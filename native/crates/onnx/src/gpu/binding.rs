//! Inputs and outputs tied to memory before a run, on the device or on the host.

use crate::{
    run_options::RunOptions,
    session::Session,
    value::{MemoryInfo, Value},
};
use infermesh_wire::Error;
use ort_sys::OrtIoBinding;
use std::{ptr, sync::Arc};

pub struct Binding {
    session: Arc<Session>,
    raw: *mut OrtIoBinding,
}

// SAFETY: a binding belongs to one instance, which runs on one thread at a time.
unsafe impl Send for Binding {}

impl Binding {
    pub fn new(session: &Arc<Session>) -> Result<Self, Error> {
        let mut raw = ptr::null_mut();
        // SAFETY: the session is valid, the out-pointer for the call.
        session.api.check_on_gpu(unsafe { (session.api.table.CreateIoBinding)(session.raw, &mut raw) })?;
        Ok(Self { session: session.clone(), raw })
    }

    /// Lets go of all inputs.
    pub fn forget_inputs(&mut self) {
        // SAFETY: the binding is valid.
        unsafe { (self.session.api.table.ClearBoundInputs)(self.raw) }
    }

    /// Ties an input to a value, which the binding shares from now on.
    pub fn input(&mut self, index: usize, value: &Value) -> Result<(), Error> {
        let (api, name) = (self.session.api, self.session.input_names.pointers[index]);
        // SAFETY: binding, name and value are valid.
        api.check_on_gpu(unsafe { (api.table.BindInput)(self.raw, name, value.raw) })
    }

    /// Ties an output to memory that is there already.
    pub fn output(&mut self, index: usize, value: &Value) -> Result<(), Error> {
        let (api, name) = (self.session.api, self.session.output_names.pointers[index]);
        // SAFETY: as above.
        api.check_on_gpu(unsafe { (api.table.BindOutput)(self.raw, name, value.raw) })
    }

    /// Lets ONNX Runtime allocate an output there, in each run anew.
    pub fn output_in(&mut self, index: usize, memory: &MemoryInfo) -> Result<(), Error> {
        let (api, name) = (self.session.api, self.session.output_names.pointers[index]);
        // SAFETY: binding, name and description are valid.
        api.check_on_gpu(unsafe { (api.table.BindOutputToDevice)(self.raw, name, memory.raw) })
    }

    /// One execution; it is over on the device, too, when this returns.
    pub fn run(&mut self, options: &RunOptions) -> Result<(), Error> {
        let (api, session) = (self.session.api, self.session.raw);
        // SAFETY: all three are valid.
        api.check_on_gpu(unsafe { (api.table.RunWithBinding)(session, options.raw, self.raw) })
    }

    /// The outputs of the last run, in the order in which they were tied.
    pub fn outputs(&self) -> Result<Vec<Value>, Error> {
        let api = self.session.api;
        let (mut allocator, mut values, mut count) = (ptr::null_mut(), ptr::null_mut(), 0);
        // SAFETY: out-pointers are valid for their calls; the default allocator needs no release.
        api.check(unsafe { (api.table.GetAllocatorWithDefaultOptions)(&mut allocator) })?;
        // SAFETY: as above.
        api.check_on_gpu(unsafe {
            (api.table.GetBoundOutputValues)(self.raw, allocator, &mut values, &mut count)
        })?;
        if values.is_null() {
            return Ok(Vec::new());
        }
        // SAFETY: an array of that many values, each of which is ours.
        let owned = (0..count).map(|index| unsafe { Value::from_raw(api, *values.add(index)) }).collect();
        // SAFETY: the array was allocated by this allocator; the values in it have been taken.
        api.check(unsafe { (api.table.AllocatorFree)(allocator, values.cast()) })?;
        Ok(owned)
    }
}

impl Drop for Binding {
    fn drop(&mut self) {
        // SAFETY: ours, released once, before the session.
        unsafe { (self.session.api.table.ReleaseIoBinding)(self.raw) }
    }
}
