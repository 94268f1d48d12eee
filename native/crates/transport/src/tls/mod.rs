//! TLS in front of a listener: certificates from files, taken anew when the files change.

mod files;
mod rotation;
pub mod spiffe;

pub use files::Files;

use std::{
    io,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig, server::TlsStream};

/// A client that connects must have agreed on keys within this time.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// What the listeners of one edge present and demand. Connections keep what they began with.
pub struct Tls {
    files: Files,
    /// As the files were when `current` was made of them.
    contents: RwLock<files::Contents>,
    current: RwLock<Arc<ServerConfig>>,
    followed: AtomicBool,
}

impl Tls {
    /// Fails with what is wrong with which file, and what to do about it.
    pub fn load(files: Files) -> Result<Self, String> {
        let contents = files.read()?;
        let current = RwLock::new(Arc::new(files.configure(&contents)?));
        Ok(Self { files, contents: RwLock::new(contents), current, followed: AtomicBool::new(false) })
    }

    /// The encrypted connection, or why there is none. A client that is refused is told so by an alert.
    pub async fn accept<T: AsyncRead + AsyncWrite + Unpin>(&self, io: T) -> io::Result<TlsStream<T>> {
        let config = self.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        match timeout(HANDSHAKE_TIMEOUT, TlsAcceptor::from(config).accept(io)).await {
            Ok(accepted) => accepted,
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "it took longer than 10 s")),
        }
    }

    /// Takes the files anew if they have changed. Fails as `load` does, and then keeps what it has; the same wrong files
    /// are reported once.
    fn refresh(&self) -> Result<bool, String> {
        let contents = self.files.read()?;
        let mut known = self.contents.write().unwrap_or_else(PoisonError::into_inner);
        if *known == contents {
            return Ok(false);
        }
        let config = self.files.configure(&contents);
        *known = contents;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config?);
        Ok(true)
    }

    /// True for the first who asks.
    fn begin_following(&self) -> bool {
        !self.followed.swap(true, Relaxed)
    }
}
