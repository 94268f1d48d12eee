//! Whose turn it is. While a CUDA graph is captured, no other thread may allocate memory of a device or create a session
//! on one: CUDA forbids it to the whole process, and the capture would fail.

use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Runs share it, a capture has it alone. A capture takes the time of a few runs.
static RUNS: RwLock<()> = RwLock::new(());

/// One session is created at a time, and no graph is captured meanwhile. Apart from the runs, as it can take minutes.
static SESSIONS: Mutex<()> = Mutex::new(());

pub fn to_run() -> RwLockReadGuard<'static, ()> {
    RUNS.read().unwrap_or_else(PoisonError::into_inner)
}

pub fn to_create() -> MutexGuard<'static, ()> {
    SESSIONS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// First everybody who creates a session, then everybody who runs, is waited for.
pub fn to_capture() -> (MutexGuard<'static, ()>, RwLockWriteGuard<'static, ()>) {
    (to_create(), RUNS.write().unwrap_or_else(PoisonError::into_inner))
}
