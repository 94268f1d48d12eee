//! A network thread: a single-threaded runtime with its connections.

use crate::{peer::address::Peer, tls::Terms};
use infermesh_wire::Error;
use std::{
    net::TcpStream,
    os::unix::net::UnixStream,
    thread::{self, JoinHandle},
};
use tokio::{runtime, sync::mpsc, task::LocalSet};

pub enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connection on its way from the listener to the thread that will own it.
pub struct Accepted<P> {
    pub stream: Stream,
    pub protocol: P,
    pub terms: Terms,
    pub peer: Peer,
}

pub struct NetworkThread<P> {
    pub inbox: mpsc::UnboundedSender<Accepted<P>>,
    handle: JoinHandle<()>,
}

impl<P: Send + 'static> NetworkThread<P> {
    /// Starts a thread and calls `begin` on it, whose result is called with each connection.
    /// Fails with INTERNAL if the system refuses the thread or its event queue.
    pub fn start<F: FnMut(Accepted<P>)>(
        index: usize,
        begin: impl FnOnce() -> F + Send + 'static,
    ) -> Result<Self, Error> {
        Self::named(format!("network/{index}"), begin)
    }

    /// As `start`, for a thread that has a name of its own.
    pub fn named<F: FnMut(Accepted<P>)>(
        name: String,
        begin: impl FnOnce() -> F + Send + 'static,
    ) -> Result<Self, Error> {
        let failed =
            |error: std::io::Error| Error::internal(format!("cannot start a network thread: {error}"));
        let (inbox, mut arrivals) = mpsc::unbounded_channel();
        let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let handle = thread::Builder::new()
            .name(name)
            .spawn(move || {
                let tasks = LocalSet::new();
                runtime.block_on(tasks.run_until(async {
                    let mut open = begin();
                    while let Some(accepted) = arrivals.recv().await {
                        open(accepted);
                    }
                }));
                // What is cut may want a clock, or another task, while it is dropped.
                let _within = runtime.enter();
                drop(tasks);
            })
            .map_err(failed)?;
        Ok(Self { inbox, handle })
    }

    /// Ends the thread; connections that are still open are cut.
    pub fn stop(self) {
        drop(self.inbox);
        // A panic was already reported by the thread itself.
        let _ = self.handle.join();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{future::pending, sync::mpsc};
    use tokio::{runtime::Handle, task::spawn_local, time::sleep};

    struct Probe(mpsc::Sender<bool>);

    impl Drop for Probe {
        fn drop(&mut self) {
            let is_within = Handle::try_current().is_ok();
            if is_within {
                spawn_local(sleep(std::time::Duration::from_secs(1)));
            }
            let _ = self.0.send(is_within);
        }
    }

    #[test]
    fn what_is_cut_is_dropped_where_it_ran() {
        let (told, said) = mpsc::channel();
        let thread = NetworkThread::<()>::start(0, move || {
            let probe = Probe(told);
            spawn_local(async move {
                pending::<()>().await;
                drop(probe);
            });
            |_| ()
        });
        thread.unwrap().stop();
        assert_eq!(said.recv(), Ok(true));
    }
}
