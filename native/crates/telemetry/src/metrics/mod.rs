//! What Prometheus reads: `text` writes its format, `process` what any process says of itself.

pub mod process;
pub mod text;

pub use text::Text;

/// The content type of the format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
