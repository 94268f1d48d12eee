//! A request on its way to an upstream: its body (`source`), its `head`, how it is sent on (`upload`), and the attempts (`forward`).

pub mod forward;
pub mod head;
pub mod message;
pub mod source;
pub mod upload;
