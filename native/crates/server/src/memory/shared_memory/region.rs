//! One region, whatever memory it is in.

use super::{cuda::CudaMemory, system::SystemMemory};
use bytes::Bytes;
use infermesh_wire::Error;

#[derive(Debug)]
pub struct Region {
    pub name: String,
    pub size: u64,
    pub memory: Memory,
}

#[derive(Debug)]
pub enum Memory {
    System(SystemMemory),
    Cuda(CudaMemory),
}

impl Region {
    pub fn read(&self, at: usize, size: usize) -> Result<Bytes, Error> {
        match &self.memory {
            Memory::System(memory) => memory.read(at, size),
            Memory::Cuda(memory) => memory.read(at, size),
        }
    }

    pub fn write(&self, at: usize, data: &[u8]) -> Result<(), Error> {
        match &self.memory {
            Memory::System(memory) => memory.write(at, data),
            Memory::Cuda(memory) => memory.write(at, data),
        }
    }
}
