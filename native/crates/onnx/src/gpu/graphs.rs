//! Batches of fixed shapes as CUDA graphs: the device runs the whole model on one call. A graph is captured once for each
//! batch size, over memory that stays where it is.

use super::{
    Tools,
    binding::Binding,
    port::{copy_out, value},
    turn,
};
use crate::{run_options::RunOptions, session::Port};
use infermesh_batcher::{Tensor, TensorView};
use infermesh_cuda::DeviceMemory;
use infermesh_wire::{Error, Shape, proto::inference::ModelConfig};

/// ONNX Runtime runs a graph's first batch without it and captures the next; then one replays it.
const RUNS_UNTIL_CAPTURED: usize = 3;

pub struct Graphs {
    config: Box<ModelConfig>,
    /// One per batch size, of which there are as many as the model allows.
    graphs: Vec<Graph>,
}

struct Graph {
    rows: i64,
    binding: Binding,
    options: RunOptions,
    inputs: Vec<DeviceMemory>,
    outputs: Vec<(DeviceMemory, Shape)>,
    captured: bool,
}

impl Graphs {
    pub fn new(config: &ModelConfig) -> Self {
        Self { config: Box::new(config.clone()), graphs: Vec::new() }
    }

    pub fn run(&mut self, tools: &mut Tools, inputs: &[TensorView<'_>]) -> Result<Vec<Tensor>, Error> {
        let rows = inputs.first().and_then(|view| view.shape.first()).copied().unwrap_or(1);
        let index = match self.graphs.iter().position(|graph| graph.rows == rows) {
            Some(index) => index,
            None => {
                let _turn = turn::to_run();
                self.graphs.push(Graph::new(tools, &self.config, rows, self.graphs.len() + 1)?);
                self.graphs.len() - 1
            }
        };
        self.graphs[index].run(tools, inputs)
    }
}

impl Graph {
    fn new(tools: &Tools, config: &ModelConfig, rows: i64, number: usize) -> Result<Self, Error> {
        let session = &tools.session;
        let mut binding = Binding::new(session)?;
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        for (index, port) in session.inputs.iter().enumerate() {
            let (shape, bytes) = fixed(port, rows)?;
            let memory = DeviceMemory::allocate(&tools.context, bytes)?;
            binding.input(index, &value(tools, &memory, bytes, &shape, port.datatype)?)?;
            inputs.push(memory);
        }
        for (index, port) in session.outputs.iter().enumerate() {
            let (shape, bytes) = fixed(port, rows)?;
            let memory = DeviceMemory::allocate(&tools.context, bytes)?;
            binding.output(index, &value(tools, &memory, bytes, &shape, port.datatype)?)?;
            outputs.push((memory, shape));
        }
        let options = RunOptions::of_graph(session.api, config, number)?;
        Ok(Self { rows, binding, options, inputs, outputs, captured: false })
    }

    fn run(&mut self, tools: &mut Tools, inputs: &[TensorView<'_>]) -> Result<Vec<Tensor>, Error> {
        self.copy_in(tools, inputs)?;
        if self.captured {
            let _turn = turn::to_run();
            self.binding.run(&self.options)?;
        } else {
            let _turn = turn::to_capture();
            for _ in 0..RUNS_UNTIL_CAPTURED {
                self.binding.run(&self.options)?;
            }
            self.captured = true;
        }
        let _turn = turn::to_run();
        let returned: Result<Vec<_>, _> = self
            .outputs
            .iter()
            // SAFETY: the memory is the graph's, and stays.
            .map(|(memory, shape)| unsafe {
                copy_out(tools, memory.address(), memory.bytes(), shape.clone())
            })
            .collect();
        // Also after an error: what was started writes to memory that would be used again.
        tools.stream.synchronize()?;
        Ok(returned?.into_iter().map(super::port::Returning::into_tensor).collect())
    }

    fn copy_in(&self, tools: &mut Tools, inputs: &[TensorView<'_>]) -> Result<(), Error> {
        let _turn = turn::to_run();
        let mut started = Ok(());
        for (view, memory) in inputs.iter().zip(&self.inputs) {
            if view.data.len() != memory.bytes() {
                started = Err(Error::internal("an input has not the size of the CUDA graph"));
            }
            // SAFETY: the views stay until this returns, which is after the stream is synchronized.
            started = started.and_then(|()| unsafe { tools.stream.copy_in(view.data, memory) });
        }
        // Also after an error: what was started reads the views.
        tools.stream.synchronize()?;
        started
    }
}

/// The shape for so many rows, and its bytes. Fails with INVALID_ARGUMENT for one that a graph cannot have.
pub fn fixed(port: &Port, rows: i64) -> Result<(Shape, usize), Error> {
    let refused = |why: &str| {
        Error::invalid(format!(
            "optimization.cuda.graphs: tensor '{}' {why}, and CUDA graphs need fixed sizes",
            port.name
        ))
    };
    let size = port.datatype.size().ok_or_else(|| refused("holds strings"))?;
    let mut shape = port.shape.clone();
    shape.first_mut().filter(|dim| **dim == -1).into_iter().for_each(|dim| *dim = rows);
    if shape.contains(&-1) {
        return Err(refused(&format!("has dimensions that vary ({:?})", &port.shape[..])));
    }
    let bytes = shape.iter().product::<i64>() as usize * size;
    Ok((shape, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use infermesh_wire::DataType;

    fn port(datatype: DataType, shape: &[i64]) -> Port {
        Port { name: "x".into(), datatype, shape: shape.iter().copied().collect(), has_default: false }
    }

    #[test]
    fn a_graph_has_the_size_of_its_rows() {
        let (shape, bytes) = fixed(&port(DataType::Fp32, &[-1, 3]), 4).unwrap();
        assert_eq!((&shape[..], bytes), (&[4, 3][..], 48));
        assert_eq!(fixed(&port(DataType::Int8, &[5]), 1).unwrap().1, 5);
    }

    #[test]
    fn what_has_no_size_has_no_graph() {
        let refused = |port: &Port| fixed(port, 1).unwrap_err().message.into_owned();
        let varies = "optimization.cuda.graphs: tensor 'x' has dimensions that vary ([-1, -1]), \
                      and CUDA graphs need fixed sizes";
        assert_eq!(refused(&port(DataType::Fp32, &[-1, -1])), varies);
        assert!(refused(&port(DataType::Bytes, &[-1, 1])).contains("'x' holds strings"));
    }
}
