//! HTTP/1.1 (RFC 9112) from a client's side: one request at a time on a connection.

mod body;
mod connection;
mod head;
#[cfg(test)]
mod tests;

pub use connection::Connection;

/// Of an answer's head, and of what is read at once.
const BUFFER: usize = 64 << 10;
