//! A request on its way to an upstream: its body (`source`), its `head`, how it is sent on (`upload`), and the attempts (`forward`).
//! `whole` receives a body whose content matters; `unary` is a call of the proxy's own.

pub mod forward;
pub mod head;
pub mod message;
pub mod source;
pub mod unary;
pub mod upload;
pub mod whole;
