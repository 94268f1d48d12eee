//! Repository control: the RPCs that load and unload models end in Python, which owns repositories.

use infermesh_server::Control;
use infermesh_wire::{
    Code, Error,
    proto::inference::{ModelRepositoryParameter, model_repository_parameter::ParameterChoice},
};
use pyo3::{
    exceptions::{PyKeyError, PyNotImplementedError, PyValueError},
    prelude::*,
    types::{PyBytes, PyDict},
};
use std::collections::HashMap;

pub struct PythonControl {
    pub load: Py<PyAny>,
    pub unload: Py<PyAny>,
}

impl Control for PythonControl {
    fn load(&self, name: &str, parameters: HashMap<String, ModelRepositoryParameter>) -> Result<(), Error> {
        Python::attach(|py| {
            let given = PyDict::new(py);
            for (key, parameter) in parameters {
                match parameter.parameter_choice {
                    Some(ParameterChoice::BoolParam(value)) => given.set_item(key, value)?,
                    Some(ParameterChoice::Int64Param(value)) => given.set_item(key, value)?,
                    Some(ParameterChoice::StringParam(value)) => given.set_item(key, value)?,
                    Some(ParameterChoice::BytesParam(value)) => {
                        given.set_item(key, PyBytes::new(py, &value))?
                    }
                    None => given.set_item(key, py.None())?,
                }
            }
            self.load.bind(py).call1((name, given)).map(drop)
        })
        .map_err(describe)
    }

    fn unload(&self, name: &str, dependents: bool) -> Result<(), Error> {
        Python::attach(|py| self.unload.bind(py).call1((name, dependents)).map(drop)).map_err(describe)
    }
}

/// KeyError: there is no such model; ValueError: the request is wrong; NotImplementedError: this server does not do it;
/// anything else is ours.
pub fn describe(error: PyErr) -> Error {
    Python::attach(|py| {
        let code = if error.is_instance_of::<PyKeyError>(py) {
            Code::NotFound
        } else if error.is_instance_of::<PyValueError>(py) {
            Code::InvalidArgument
        } else if error.is_instance_of::<PyNotImplementedError>(py) {
            Code::Unimplemented
        } else {
            Code::Internal
        };
        let first = error.value(py).getattr("args").and_then(|args| args.get_item(0));
        Error::new(code, first.map_or_else(|_| error.to_string(), |message| message.to_string()))
    })
}
