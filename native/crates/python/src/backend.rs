//! The `python` backend: a callable over a batch. The interpreter is entered once per batch, or, where the model is
//! decoupled, once per answer.

use crate::FatalError;
use bytes::Bytes;
use infermesh_batcher::{Backend, Tensor, TensorView, TraceIds, trace};
use infermesh_wire::{DataType, Error, Shape};
use pyo3::{
    buffer::PyBuffer,
    exceptions::PyBufferError,
    ffi,
    prelude::*,
    types::{PyList, PyMemoryView, PyTuple},
};
use std::ffi::{c_int, c_void};

/// Name and type of a model's tensors, in the order of its signature.
#[derive(Clone)]
pub struct Ports {
    pub inputs: Vec<(String, DataType)>,
    pub outputs: Vec<(String, DataType)>,
}

pub struct PythonBackend {
    pub callable: Py<PyAny>,
    pub ports: Ports,
}

impl Backend for PythonBackend {
    fn run(&mut self, inputs: &[TensorView<'_>]) -> Result<Vec<Tensor>, Error> {
        Python::attach(|py| self.outputs(&self.call(py, inputs)?)).map_err(describe)
    }

    fn stream(
        &mut self,
        inputs: &[TensorView<'_>],
        send: &mut dyn FnMut(Vec<Tensor>) -> bool,
    ) -> Result<(), Error> {
        let answers = Python::attach(|py| self.call(py, inputs).map(Bound::unbind)).map_err(describe)?;
        // The interpreter is left between two answers: `send` may wait.
        let next = || {
            Python::attach(|py| {
                let answer = answers.bind(py).try_iter()?.next();
                answer.map(|answer| self.outputs(&answer?)).transpose()
            })
        };
        while let Some(outputs) = next().map_err(describe)? {
            if !send(outputs) {
                return Python::attach(|py| answers.call_method0(py, "close").map(drop)).map_err(describe);
            }
        }
        Ok(())
    }
}

impl PythonBackend {
    fn call<'py>(&self, py: Python<'py>, inputs: &[TensorView<'_>]) -> PyResult<Bound<'py, PyAny>> {
        let batch = PyList::empty(py);
        let here = inputs.iter().zip(&self.ports.inputs).filter(|(view, _)| !view.is_absent());
        for (view, (name, datatype)) in here {
            // A copy per input: Python code may keep what it was given, while this memory is used again.
            let buffer = Bound::new(py, InputBuffer { data: Bytes::copy_from_slice(view.data) })?;
            let shape = PyTuple::new(py, &view.shape)?;
            batch.append((name, datatype.name(), shape, PyMemoryView::from(&buffer)?))?;
        }
        let callable = self.callable.bind(py);
        match &trace::current()[..] {
            [] => callable.call1((batch,)),
            traces => {
                let ids = |it: &TraceIds| (format!("{:032x}", it.trace), format!("{:016x}", it.span));
                callable.call1((batch, traces.iter().map(ids).collect::<Vec<_>>()))
            }
        }
    }

    fn outputs(&self, answer: &Bound<'_, PyAny>) -> PyResult<Vec<Tensor>> {
        let mut given: Vec<(String, String, Vec<i64>, Bound<'_, PyAny>)> = answer.extract()?;
        self.ports
            .outputs
            .iter()
            .map(|(name, datatype)| {
                let wrong = |what: String| pyo3::exceptions::PyValueError::new_err(what);
                let index = given
                    .iter()
                    .position(|output| output.0 == *name)
                    .ok_or_else(|| wrong(format!("the model returned no output '{name}'")))?;
                let (_, found, shape, data) = given.swap_remove(index);
                if found != datatype.name() {
                    return Err(wrong(format!("output '{name}' is {found}, expected {}", datatype.name())));
                }
                let data = to_bytes(&data)?;
                let elements = shape.iter().try_fold(1i64, |product, dim| product.checked_mul(*dim));
                let expected =
                    datatype.size().map(|size| elements.unwrap_or(i64::MAX).saturating_mul(size as i64));
                if expected.is_some_and(|expected| expected != data.len() as i64) {
                    return Err(wrong(format!(
                        "output '{name}' has {} bytes for shape {shape:?}",
                        data.len()
                    )));
                }
                Ok(Tensor { shape: Shape::from_vec(shape), data })
            })
            .collect()
    }
}

/// The memory of a contiguous byte buffer, copied out: Python may change it as soon as it runs again.
fn to_bytes(data: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    let buffer = PyBuffer::<u8>::get(data)?;
    Ok(buffer.to_vec(data.py())?.into())
}

/// The exception's own words: the adapter in front of the model's code puts the model and the exception's type in them.
fn describe(error: PyErr) -> Error {
    Python::attach(|py| {
        let message = error.value(py).to_string();
        let message = if message.is_empty() { error.to_string() } else { message };
        let fatal = error.is_instance_of::<FatalError>(py);
        if fatal { Error::fatal(message) } else { Error::internal(message) }
    })
}

/// An input's bytes, exposed through the buffer protocol, read-only.
#[pyclass(frozen)]
struct InputBuffer {
    data: Bytes,
}

#[pymethods]
impl InputBuffer {
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        if view.is_null() {
            return Err(PyBufferError::new_err("no view to fill in"));
        }
        let data = &slf.get().data;
        let (start, length) = (data.as_ptr().cast_mut().cast::<c_void>(), data.len() as ffi::Py_ssize_t);
        // SAFETY: `view` is the interpreter's to fill; the bytes live as long as the object, which the view keeps.
        let status = unsafe { ffi::PyBuffer_FillInfo(view, slf.as_ptr(), start, length, 1, flags) };
        if status == 0 { Ok(()) } else { Err(PyErr::fetch(slf.py())) }
    }
}
