//! A model in memory, ready to run.

use crate::{
    api::Api,
    options::Options,
    run_options::RunOptions,
    value::{MemoryInfo, Value, datatype, dimensions},
};
use infermesh_batcher::{Tensor, TensorView};
use infermesh_wire::{DataType, Error, Shape, proto::inference::ModelConfig};
use ort_sys::{ONNXTensorElementDataType, OrtSession, OrtStatusPtr, OrtTypeInfo};
use std::{
    ffi::{CStr, CString, c_char},
    os::unix::ffi::OsStrExt,
    path::Path,
    ptr,
};

/// An input or output as the model file declares it: -1 for dimensions that vary.
#[derive(Debug, Clone)]
pub struct Port {
    pub name: String,
    pub datatype: DataType,
    pub shape: Shape,
    /// Whether the model has a value of its own for this input, an initializer of its name.
    pub has_default: bool,
}

pub struct Session {
    pub api: Api,
    pub raw: *mut OrtSession,
    pub host: MemoryInfo,
    pub inputs: Vec<Port>,
    pub outputs: Vec<Port>,
    pub input_names: Names,
    pub output_names: Names,
    /// Whether an input may be left out of a run.
    pub has_optional: bool,
}

// SAFETY: ONNX Runtime documents Run as safe to call from several threads on one session.
unsafe impl Send for Session {}
// SAFETY: as above.
unsafe impl Sync for Session {}

/// C strings and the array of their addresses, as Run wants them.
pub struct Names {
    _owned: Vec<CString>,
    pub pointers: Vec<*const c_char>,
}

impl Names {
    fn of(ports: &[Port]) -> Result<Self, Error> {
        let owned = ports
            .iter()
            .map(|port| {
                CString::new(port.name.as_str())
                    .map_err(|_| Error::internal("a tensor name holds a zero byte"))
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { pointers: owned.iter().map(|name| name.as_ptr()).collect(), _owned: owned })
    }
}

impl Session {
    /// Loads a model file. Fails with ONNX Runtime's own words, or INVALID_ARGUMENT for tensors v2 cannot carry.
    pub fn load(api: Api, path: &Path, options: &Options) -> Result<Self, Error> {
        let file = CString::new(path.as_os_str().as_bytes())
            .map_err(|_| Error::invalid("the path holds a zero byte"))?;
        let mut raw = ptr::null_mut();
        // SAFETY: path and options are valid for the call.
        api.check(unsafe { (api.table.CreateSession)(api.env, file.as_ptr(), options.raw, &mut raw) })?;
        let mut session = Self {
            api,
            raw,
            host: MemoryInfo::of_host(api)?,
            inputs: Vec::new(),
            outputs: Vec::new(),
            input_names: Names::of(&[])?,
            output_names: Names::of(&[])?,
            has_optional: false,
        };
        session.inputs = session.ports(Direction::Input)?;
        session.outputs = session.ports(Direction::Output)?;
        session.input_names = Names::of(&session.inputs)?;
        session.output_names = Names::of(&session.outputs)?;
        Ok(session)
    }

    /// Takes those inputs, too, for which the model has values of its own, where the configuration names them.
    pub fn offer(&mut self, config: &ModelConfig) -> Result<(), Error> {
        let is_named = |port: &Port| config.input.iter().any(|input| input.name == port.name);
        let offered = self.ports(Direction::Default)?;
        self.inputs.extend(offered.into_iter().filter(is_named));
        self.input_names = Names::of(&self.inputs)?;
        self.has_optional = self.inputs.iter().any(|port| port.has_default);
        Ok(())
    }

    /// One execution; inputs in the order of `inputs`, outputs in that of `outputs`.
    pub fn run(&self, options: &RunOptions, inputs: &[TensorView<'_>]) -> Result<Vec<Tensor>, Error> {
        if self.has_optional && inputs.iter().any(TensorView::is_absent) {
            let here = || inputs.iter().enumerate().filter(|(_, view)| !view.is_absent());
            let names: Vec<_> = here().map(|(index, _)| self.input_names.pointers[index]).collect();
            let ports = here().map(|(index, view)| (view, &self.inputs[index]));
            return self.run_with(options, &names, ports);
        }
        self.run_with(options, &self.input_names.pointers, inputs.iter().zip(&self.inputs))
    }

    fn run_with<'a>(
        &'a self,
        options: &RunOptions,
        names: &[*const c_char],
        inputs: impl Iterator<Item = (&'a TensorView<'a>, &'a Port)>,
    ) -> Result<Vec<Tensor>, Error> {
        let values = inputs
            .map(|(view, port)| Value::of_view(self.api, &self.host, view, port.datatype))
            .collect::<Result<Vec<_>, _>>()?;
        let pointers: Vec<_> = values.iter().map(|value| value.raw.cast_const()).collect();
        let mut outputs = vec![ptr::null_mut(); self.outputs.len()];
        // SAFETY: names and values have the lengths that are passed and outlive the call; ONNX Runtime allocates the
        // outputs.
        self.api.check(unsafe {
            (self.api.table.Run)(
                self.raw,
                options.raw,
                names.as_ptr(),
                pointers.as_ptr(),
                pointers.len(),
                self.output_names.pointers.as_ptr(),
                outputs.len(),
                outputs.as_mut_ptr(),
            )
        })?;
        // SAFETY: after success each output is a value that is ours; all are owned before one can fail.
        let outputs: Vec<_> =
            outputs.into_iter().map(|raw| unsafe { Value::from_raw(self.api, raw) }).collect();
        outputs.into_iter().zip(&self.outputs).map(|(value, port)| value.into_tensor(port.datatype)).collect()
    }

    /// Puts inputs and outputs in the order of these names, which is that of `run` from then on. A name that the model
    /// does not have is passed over; what is not named comes last.
    pub fn arrange(&mut self, inputs: &[String], outputs: &[String]) -> Result<(), Error> {
        let rank = |names: &[String], port: &Port| {
            names.iter().position(|name| *name == port.name).unwrap_or(usize::MAX)
        };
        self.inputs.sort_by_key(|port| rank(inputs, port));
        self.outputs.sort_by_key(|port| rank(outputs, port));
        self.input_names = Names::of(&self.inputs)?;
        self.output_names = Names::of(&self.outputs)?;
        Ok(())
    }

    fn ports(&self, direction: Direction) -> Result<Vec<Port>, Error> {
        let table = self.api.table;
        let (count, name_of, type_of) = match direction {
            Direction::Input => {
                (table.SessionGetInputCount, table.SessionGetInputName, table.SessionGetInputTypeInfo)
            }
            Direction::Default => (
                table.SessionGetOverridableInitializerCount,
                table.SessionGetOverridableInitializerName,
                table.SessionGetOverridableInitializerTypeInfo,
            ),
            Direction::Output => {
                (table.SessionGetOutputCount, table.SessionGetOutputName, table.SessionGetOutputTypeInfo)
            }
        };
        let mut number = 0;
        // SAFETY: the session is valid; out-pointers are valid for their calls, here and below.
        self.api.check(unsafe { count(self.raw, &mut number) })?;
        (0..number)
            .map(|index| {
                let mut allocator = ptr::null_mut();
                // SAFETY: as above; the default allocator needs no release.
                self.api.check(unsafe { (table.GetAllocatorWithDefaultOptions)(&mut allocator) })?;
                let mut name = ptr::null_mut();
                // SAFETY: as above.
                self.api.check(unsafe { name_of(self.raw, index, allocator, &mut name) })?;
                // SAFETY: a NUL-terminated string that stays valid until freed below.
                let owned = unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned();
                // SAFETY: allocated by this allocator.
                self.free(unsafe { (table.AllocatorFree)(allocator, name.cast()) });
                let mut info = ptr::null_mut();
                // SAFETY: as above.
                self.api.check(unsafe { type_of(self.raw, index, &mut info) })?;
                let port = self.port(owned, TypeInfo { api: self.api, raw: info })?;
                Ok(Port { has_default: matches!(direction, Direction::Default), ..port })
            })
            .collect()
    }

    fn port(&self, name: String, info: TypeInfo) -> Result<Port, Error> {
        let table = self.api.table;
        let mut tensor = ptr::null();
        // SAFETY: the info outlives the tensor info, which it owns.
        self.api.check(unsafe { (table.CastTypeInfoToTensorInfo)(info.raw, &mut tensor) })?;
        if tensor.is_null() {
            return Err(Error::invalid(format!(
                "'{name}' is not a tensor; a sequence or map cannot be served (export without ZipMap)"
            )));
        }
        let mut element = ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
        // SAFETY: as above.
        self.api.check(unsafe { (table.GetTensorElementType)(tensor, &mut element) })?;
        let datatype = datatype(element).ok_or_else(|| {
            Error::invalid(format!("tensor '{name}' has element type {element:?}, which v2 cannot carry"))
        })?;
        Ok(Port { name, datatype, shape: dimensions(self.api, tensor)?, has_default: false })
    }

    fn free(&self, status: OrtStatusPtr) {
        // A failure to free a name is a leak of a few bytes, no reason to refuse the model.
        let _ = self.api.check(status);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: ours, released once.
        unsafe { (self.api.table.ReleaseSession)(self.raw) }
    }
}

enum Direction {
    Input,
    /// Inputs for which the model has values.
    Default,
    Output,
}

/// An owned OrtTypeInfo.
struct TypeInfo {
    api: Api,
    raw: *mut OrtTypeInfo,
}

impl Drop for TypeInfo {
    fn drop(&mut self) {
        // SAFETY: ours, released once.
        unsafe { (self.api.table.ReleaseTypeInfo)(self.raw) }
    }
}
