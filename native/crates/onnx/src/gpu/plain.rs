//! Batches of any shape: inputs in memory that is used again, outputs where ONNX Runtime puts them on the device.

use super::{
    Tools,
    binding::Binding,
    port::{copy_in, copy_out},
    turn,
};
use crate::{run_options::RunOptions, value::Value};
use infermesh_batcher::{Tensor, TensorView};
use infermesh_cuda::DeviceMemory;
use infermesh_wire::{DataType, Error};

pub struct Plain {
    binding: Binding,
    options: RunOptions,
    /// For each input; strings are not for the device.
    inputs: Vec<Option<DeviceMemory>>,
}

impl Plain {
    pub fn new(tools: &Tools, options: RunOptions) -> Result<Self, Error> {
        let inputs = tools.session.inputs.iter().map(|_| None).collect();
        Ok(Self { binding: Binding::new(&tools.session)?, options, inputs })
    }

    pub fn run(&mut self, tools: &mut Tools, inputs: &[TensorView<'_>]) -> Result<Vec<Tensor>, Error> {
        let _turn = turn::to_run();
        let session = tools.session.clone();
        let started = self.start(tools, inputs);
        // Also after an error: what was started reads the views.
        tools.stream.synchronize()?;
        // Kept until the run is over.
        let _values = started?;
        for (index, port) in session.outputs.iter().enumerate() {
            let memory = if port.datatype == DataType::Bytes { &session.host } else { &tools.memory };
            self.binding.output_in(index, memory)?;
        }
        self.binding.run(&self.options)?;

        let values = self.binding.outputs()?;
        let returned = self.finish(tools, &values);
        // Also after an error: what was started writes to memory that would be used again.
        tools.stream.synchronize()?;
        returned?
            .into_iter()
            .zip(values)
            .map(|(returning, value)| match returning {
                Some(returning) => Ok(returning.into_tensor()),
                None => value.into_tensor(DataType::Bytes),
            })
            .collect()
    }

    fn start(&mut self, tools: &mut Tools, inputs: &[TensorView<'_>]) -> Result<Vec<Value>, Error> {
        let session = tools.session.clone();
        if session.has_optional {
            self.binding.forget_inputs();
        }
        let ports = session.inputs.iter().zip(&mut self.inputs);
        inputs
            .iter()
            .zip(ports)
            .enumerate()
            .filter(|(_, (view, _))| !view.is_absent())
            .map(|(index, (view, (port, memory)))| {
                let value = match port.datatype {
                    DataType::Bytes => Value::of_view(session.api, &session.host, view, port.datatype)?,
                    datatype => copy_in(tools, view, datatype, memory)?,
                };
                self.binding.input(index, &value)?;
                Ok(value)
            })
            .collect()
    }

    /// `None` for strings, which are on the host already.
    fn finish(
        &self,
        tools: &mut Tools,
        values: &[Value],
    ) -> Result<Vec<Option<super::port::Returning>>, Error> {
        let session = tools.session.clone();
        values
            .iter()
            .zip(&session.outputs)
            .map(|(value, port)| {
                let Some(size) = port.datatype.size() else { return Ok(None) };
                let (shape, count) = value.shape()?;
                let address = value.start()? as usize as u64;
                // SAFETY: the value is on this device, where it was asked for, and is kept until the stream is
                // synchronized.
                unsafe { copy_out(tools, address, count * size, shape) }.map(Some)
            })
            .collect()
    }
}
