//! Work that gives way to everything else: loading, beside models that are serving.
//!
//! A thread's priority is inherited by the threads it starts, and a process without privileges cannot raise it
//! again. So a loading thread starts none itself: ONNX Runtime asks us for the threads of a session, and they come
//! from the thread that waits for the load.

use infermesh_wire::Error;
use ort_sys::{OrtCustomThreadHandle, OrtThreadWorkerFn};
use std::{
    cell::RefCell,
    ffi::c_void,
    io, ptr,
    sync::mpsc::{self, Sender},
    thread::{self, JoinHandle},
};

/// Steps on the kernel's scale, which ends at 19. A loading thread gets about a tenth of a core that others keep busy, and all
/// of one that is free.
const NICENESS: i32 = 10;

thread_local! {
    /// Set while this thread is a loading one.
    static STARTER: RefCell<Option<Sender<Wish>>> = const { RefCell::new(None) };
}

/// A thread that ONNX Runtime wants.
struct Wish {
    worker: Worker,
    reply: Sender<io::Result<JoinHandle<()>>>,
}

struct Worker {
    function: OrtThreadWorkerFn,
    parameter: *mut c_void,
}

// SAFETY: ONNX Runtime hands the pair over to be called once, on a thread of its caller's choice.
unsafe impl Send for Worker {}

impl Worker {
    fn start(self) -> io::Result<JoinHandle<()>> {
        thread::Builder::new().name("onnx".to_owned()).spawn(move || {
            let Worker { function, parameter } = { self };
            // SAFETY: called once, with the parameter that came with it.
            unsafe { function(parameter) }
        })
    }
}

/// Runs `work` on a thread of low priority, and starts the threads that ONNX Runtime wants meanwhile on this one.
/// Fails with INTERNAL if the system refuses a thread or the work panics.
pub fn run<T: Send>(work: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
    thread::scope(|scope| {
        let (starter, wishes) = mpsc::channel();
        let loading = thread::Builder::new().name("model-load".to_owned()).spawn_scoped(scope, move || {
            give_way();
            STARTER.set(Some(starter));
            let result = work();
            STARTER.set(None);
            result
        });
        let loading =
            loading.map_err(|error| Error::internal(format!("no thread to load a model on: {error}")))?;
        // Until the loading thread lets go of its end, at its own at the latest.
        for Wish { worker, reply } in wishes {
            let _ = reply.send(worker.start());
        }
        loading.join().unwrap_or_else(|_| Err(Error::internal("loading the model panicked")))
    })
}

#[cfg(target_os = "linux")]
fn give_way() {
    // SAFETY: no memory is involved. Linux keeps a niceness for each thread, and 0 is the calling one.
    let common = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
    // SAFETY: as above. Where the system refuses, models load at the common priority.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, common + NICENESS) };
}

#[cfg(not(target_os = "linux"))]
fn give_way() {
    // Elsewhere niceness belongs to the process.
    let _ = NICENESS;
}

/// ONNX Runtime's wish for a thread; null where there is none to be had, which it reports.
pub unsafe extern "C" fn create_thread(
    _options: *mut c_void,
    function: OrtThreadWorkerFn,
    parameter: *mut c_void,
) -> OrtCustomThreadHandle {
    let worker = Worker { function, parameter };
    let thread = STARTER.with_borrow(|starter| match starter {
        None => worker.start().ok(),
        Some(starter) => {
            let (reply, answer) = mpsc::channel();
            starter.send(Wish { worker, reply }).ok()?;
            answer.recv().ok()?.ok()
        }
    });
    thread.map_or(ptr::null(), |thread| Box::into_raw(Box::new(thread)).cast_const().cast())
}

/// The end of a thread from `create_thread`.
pub unsafe extern "C" fn join_thread(handle: OrtCustomThreadHandle) {
    // SAFETY: every handle is a box from `create_thread`, and is given back once.
    let thread = unsafe { Box::from_raw(handle.cast_mut().cast::<JoinHandle<()>>()) };
    // A panic cannot come out of C code.
    let _ = thread.join();
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicI32, Ordering::SeqCst};

    fn niceness() -> i32 {
        // SAFETY: no memory is involved.
        unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }
    }

    unsafe extern "C" fn note(slot: *mut c_void) {
        // SAFETY: the test passes a counter that outlives the thread.
        unsafe { &*slot.cast::<AtomicI32>() }.store(niceness(), SeqCst);
    }

    #[test]
    fn loading_gives_way_and_the_threads_it_asks_for_do_not() {
        let before = niceness();
        let noted = AtomicI32::new(i32::MIN);
        let slot = &noted;
        let during = run(|| {
            // SAFETY: the pair is valid until the thread is joined.
            let handle =
                unsafe { create_thread(ptr::null_mut(), note, ptr::from_ref(slot).cast_mut().cast()) };
            assert!(!handle.is_null());
            // SAFETY: joined once.
            unsafe { join_thread(handle) };
            Ok(niceness())
        });
        assert_eq!(during.unwrap(), (before + NICENESS).min(19));
        assert_eq!(noted.load(SeqCst), before);
        assert_eq!(niceness(), before);
    }

    #[test]
    fn a_panic_is_an_error() {
        assert!(run::<()>(|| panic!("on purpose")).is_err());
    }
}
