//! A request on its way to an upstream: its body (`source`), its `head`, how it is sent on (`upload`), and the attempts (`forward`).
//! `sample` keeps it for the data lake; `enriched` has what models say about it; `whole` receives a body whose content matters; `unary` is a call of the proxy's own.

pub mod enriched;
pub mod forward;
pub mod head;
pub mod hedge;
pub mod message;
pub mod sample;
pub mod source;
pub mod unary;
pub mod upload;
pub mod whole;
