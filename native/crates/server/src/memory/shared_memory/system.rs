//! A part of a POSIX shared memory object.

use crate::memory::buffers::Buffer;
use bytes::Bytes;
use infermesh_wire::Error;
use rustix::{
    fd::OwnedFd,
    fs::{FileType, Mode, OFlags, fstat, open},
    io::{Errno, pread, pwrite},
};

/// Where Linux keeps such objects, as shm_overview(7) says.
const DIRECTORY: &str = "/dev/shm/";

#[derive(Debug)]
pub struct SystemMemory {
    pub key: String,
    /// Bytes from the object's start to the region's.
    pub offset: u64,
    object: OwnedFd,
}

impl SystemMemory {
    /// Opens `size` bytes from `offset` of the object `key`, for the region `name`.
    ///
    /// Fails with INTERNAL if there is no such object, or INVALID_ARGUMENT if it is shorter.
    pub fn open(name: &str, key: &str, offset: u64, size: u64) -> Result<Self, Error> {
        let cannot_open = || Error::internal(format!("Unable to open shared memory region: '{key}'"));
        // A key is one file name, whatever slashes stand in front of it: nothing outside the directory is reachable.
        let file = key.trim_start_matches('/');
        if file.is_empty() || file.contains('/') {
            return Err(cannot_open());
        }
        // No link is followed, and nothing that blocks is waited for: others may create files there, too.
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let object = open([DIRECTORY, file].concat(), flags, Mode::empty()).map_err(|_| cannot_open())?;
        let found = length(&object)
            .ok_or_else(|| Error::internal(format!("Invalid shared memory region: '{key}'")))?;
        let fits = offset.checked_add(size).is_some_and(|end| end <= found);
        if size == 0 || !fits {
            return Err(Error::invalid(format!(
                "failed to register shared memory region '{name}': invalid args: {size} bytes from {offset} of an object of {found}"
            )));
        }
        Ok(Self { key: key.to_owned(), offset, object })
    }

    /// A copy of `size` bytes from `at`, counted from the region's start.
    pub fn read(&self, at: usize, size: usize) -> Result<Bytes, Error> {
        let mut copy = Buffer::new(size);
        while copy.len() < size {
            let from = self.offset + (at + copy.len()) as u64;
            // SAFETY: pread returns what it has initialised, from the start of the room.
            let read = unsafe {
                copy.fill(size - copy.len(), |room| {
                    pread(&self.object, room, from).map(|(read, _)| read.len())
                })
            };
            match read {
                Ok(0) => return Err(self.cut_short()),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
        Ok(copy.freeze())
    }

    /// Writes to the bytes from `at`, counted from the region's start.
    pub fn write(&self, at: usize, data: &[u8]) -> Result<(), Error> {
        let start = self.offset + at as u64;
        // To write behind the end would make the object grow.
        if length(&self.object).is_none_or(|found| found < start + data.len() as u64) {
            return Err(self.cut_short());
        }
        let mut written = 0;
        while written < data.len() {
            match pwrite(&self.object, &data[written..], start + written as u64) {
                Ok(count) => written += count,
                Err(Errno::INTR) => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
        Ok(())
    }

    fn cut_short(&self) -> Error {
        Error::invalid(format!("the shared memory object '{}' has become shorter than its region", self.key))
    }

    fn failed(&self, error: Errno) -> Error {
        Error::internal(format!("the shared memory object '{}' cannot be used: {error}", self.key))
    }
}

/// `None` for anything but a plain file.
fn length(object: &OwnedFd) -> Option<u64> {
    let stat = fstat(object).ok()?;
    (FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile).then_some(stat.st_size as u64)
}
