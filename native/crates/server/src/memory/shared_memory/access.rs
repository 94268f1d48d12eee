//! Who may have tensors in shared memory: what one client registers, every other that may can read and write.

use super::Regions;
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Nobody,
    /// Clients on this machine: a client elsewhere has no memory to share, and could have that of others read.
    Near,
    Everybody,
}

const DISABLED: &str =
    "Client shared memory is disabled. Start the server with '--allow-client-shm' to enable.";
const DISABLED_FAR: &str = "Client shared memory is disabled for clients that are not on this machine. Start the server with '--allow-client-shm' to enable.";

/// The regions as clients meet them, by where they are.
pub struct SharedMemory {
    near: Arc<Regions>,
    far: Arc<Regions>,
}

impl SharedMemory {
    /// Tensors that are larger are refused.
    pub fn new(access: Access, max_tensor_bytes: usize) -> Self {
        let near = Arc::new(match access {
            Access::Nobody => Regions::closed(DISABLED),
            Access::Near | Access::Everybody => Regions::open(max_tensor_bytes),
        });
        let far = match access {
            Access::Near => Arc::new(Regions::closed(DISABLED_FAR)),
            Access::Nobody | Access::Everybody => near.clone(),
        };
        Self { near, far }
    }

    pub fn regions_of(&self, is_near: bool) -> &Arc<Regions> {
        if is_near { &self.near } else { &self.far }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::shared_memory::Kind;
    use infermesh_wire::{Code, Error};

    fn refusal(access: Access, is_near: bool) -> Option<Error> {
        let memory = SharedMemory::new(access, 1);
        let regions = memory.regions_of(is_near);
        let refused = regions.find("r").unwrap_err();
        // Whoever may not register may not unregister what others did, or use it.
        let others = [regions.unregister("", Kind::System), regions.unregister("", Kind::Cuda)];
        let closed = others.iter().filter(|it| it.is_err()).count();
        assert_eq!(closed, if refused.code == Code::NotFound { 0 } else { 2 });
        assert_eq!(regions.extensions().is_empty(), closed == 2);
        (closed == 2).then_some(refused)
    }

    #[test]
    fn where_a_client_is_decides_only_where_nobody_has_decided() {
        for (access, near, far) in [
            (Access::Nobody, Some(DISABLED), Some(DISABLED)),
            (Access::Near, None, Some(DISABLED_FAR)),
            (Access::Everybody, None, None),
        ] {
            let expected =
                |message: Option<&'static str>| message.map(|it| Error::new(Code::Unimplemented, it));
            assert_eq!(refusal(access, true), expected(near), "{access:?}");
            assert_eq!(refusal(access, false), expected(far), "{access:?}");
        }
    }
}
