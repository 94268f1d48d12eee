//! The tensors of an ensemble while its steps are put in order.

use crate::models::Port;
use infermesh_wire::{DataType, Error, Shape};

/// A tensor that is there once its source has run.
pub struct Tensor {
    pub name: String,
    pub datatype: DataType,
    /// With the batch dimension, if its source has one; -1 is any size.
    shape: Shape,
    /// Where it comes from, for people.
    source: String,
    /// Whether a request may come without it.
    optional: bool,
    pub used: bool,
}

#[derive(Default)]
pub struct Tensors(pub Vec<Tensor>);

impl Tensors {
    /// Fails with INVALID_ARGUMENT if a tensor of this name is there already.
    pub fn add(&mut self, name: &str, port: &Port, source: String) -> Result<usize, Error> {
        if let Some(index) = self.find(name) {
            return Err(Error::invalid(format!(
                "the tensor '{name}' comes from {source} and from {}, expected one source",
                self.0[index].source
            )));
        }
        self.0.push(Tensor {
            name: name.to_owned(),
            datatype: port.datatype,
            shape: port.shape.clone(),
            source,
            optional: port.optional,
            used: false,
        });
        Ok(self.0.len() - 1)
    }

    pub fn find(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|tensor| tensor.name == name)
    }

    /// Notes that `user` takes a tensor. Fails with INVALID_ARGUMENT if it expects another type or shape; sizes that vary
    /// are compared when there is a request.
    pub fn take(&mut self, index: usize, port: &Port, user: &str) -> Result<(), Error> {
        let Tensor { name, datatype, shape, source, optional, used } = &mut self.0[index];
        *used = true;
        if *optional && !port.optional {
            return Err(Error::invalid(format!(
                "the tensor '{name}' from {source} is optional, but {user} has to be there"
            )));
        }
        if *datatype != port.datatype {
            return Err(Error::invalid(format!(
                "the tensor '{name}' is {} from {source}, but {user} expects {}",
                datatype.name(),
                port.datatype.name()
            )));
        }
        let fits = shape.len() == port.shape.len()
            && shape.iter().zip(&port.shape).all(|(&one, &other)| one == other || one == -1 || other == -1);
        if !fits {
            return Err(Error::invalid(format!(
                "the tensor '{name}' has shape {:?} from {source}, but {user} expects {:?}",
                &shape[..],
                &port.shape[..]
            )));
        }
        Ok(())
    }
}
