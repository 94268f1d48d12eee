//! Time as one thread has it: when it wakes, and what it has used.

use mio::{Poll, Token, unix::SourceFd};
use rustix::{
    fd::{AsRawFd, OwnedFd},
    time::{
        ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
        timerfd_create, timerfd_settime,
    },
};
use std::{io, num::NonZeroU64};

/// Wakes the poll to some ten microseconds, where it alone would round up to a millisecond.
pub struct Timer {
    descriptor: OwnedFd,
    /// The moment that it is set to; past if it has none.
    set: u64,
}

impl Timer {
    pub fn new(poll: &Poll, token: Token) -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let descriptor = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        poll.registry().register(&mut SourceFd(&descriptor.as_raw_fd()), token, mio::Interest::READABLE)?;
        Ok(Self { descriptor, set: 0 })
    }

    /// Wakes at `moment`, which is after `now`. The poll is edge-triggered, so there is nothing to read when it has.
    pub fn set(&mut self, moment: u64, now: u64) -> io::Result<()> {
        if self.set == moment {
            return Ok(());
        }
        self.set = moment;
        let nanoseconds = moment - now;
        let value = Timespec {
            tv_sec: (nanoseconds / 1_000_000_000) as i64,
            tv_nsec: (nanoseconds % 1_000_000_000) as _,
        };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        timerfd_settime(&self.descriptor, TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }
}

/// The kernel may let a thread sleep 50 microseconds longer than it asked, to wake several at once: not this one.
pub fn wake_exactly() {
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1_000));
}

/// Processor time of this thread, in nanoseconds.
pub fn processor_time() -> u64 {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    used.tv_sec as u64 * 1_000_000_000 + used.tv_nsec as u64
}
