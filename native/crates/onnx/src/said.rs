//! What ONNX Runtime says to its log. It goes to nobody's terminal: errors come back as statuses, and where a status
//! leaves the cause to the log, as with a provider's library that cannot be opened, it is read from here.

use std::{
    cell::RefCell,
    ffi::{CStr, c_char, c_void},
};

/// Bytes that are kept of what was said on a thread.
const LIMIT: usize = 4096;

thread_local! {
    static SAID: RefCell<String> = const { RefCell::new(String::new()) };
}

/// The logging function of the environment.
///
/// # Safety
/// `message` is a C string that lives for the call, as ONNX Runtime promises.
pub unsafe extern "system" fn listen(
    _parameter: *mut c_void,
    _severity: ort_sys::OrtLoggingLevel,
    _category: *const c_char,
    _logger: *const c_char,
    _location: *const c_char,
    message: *const c_char,
) {
    // SAFETY: as promised by the caller.
    let message = unsafe { CStr::from_ptr(message) }.to_string_lossy();
    SAID.with_borrow_mut(|said| {
        if said.len() + message.len() < LIMIT {
            said.push_str(if said.is_empty() { "" } else { "; " });
            said.push_str(message.trim());
        }
    });
}

/// What was said on this thread while `work` ran.
pub fn during<T>(work: impl FnOnce() -> T) -> (T, String) {
    SAID.take();
    let done = work();
    (done, SAID.take())
}
