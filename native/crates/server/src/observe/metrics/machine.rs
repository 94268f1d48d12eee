//! The machine's processors and memory, under Triton's names.

use infermesh_telemetry::metrics::{Text, process::kilobytes};
use std::{
    fs,
    sync::{Mutex, PoisonError},
};

/// What the processors did since the machine started, as of the last look.
#[derive(Debug, Default)]
pub struct Machine(Mutex<Times>);

#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Times {
    busy: u64,
    all: u64,
}

impl Machine {
    pub fn write(&self, text: &mut Text) {
        if let Some(now) = fs::read_to_string("/proc/stat").ok().as_deref().and_then(parse) {
            let before = std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), now);
            text.single(
                "nv_cpu_utilization",
                "gauge",
                "CPU utilization rate [0.0 - 1.0]",
                utilization(before, now),
            );
        }
        let memory = |word| kilobytes("/proc/meminfo", word).map(|kilobytes| kilobytes * 1024);
        if let (Some(total), Some(available)) = (memory("MemTotal:"), memory("MemAvailable:")) {
            text.single("nv_cpu_memory_total_bytes", "gauge", "CPU total memory (RAM), in bytes", total);
            text.single(
                "nv_cpu_memory_used_bytes",
                "gauge",
                "CPU used memory (RAM), in bytes",
                total.saturating_sub(available),
            );
        }
    }
}

fn utilization(before: Times, now: Times) -> f64 {
    let (busy, all) = (now.busy.saturating_sub(before.busy), now.all.saturating_sub(before.all));
    busy as f64 / all.max(1) as f64
}

/// user, nice, system, idle, iowait, irq, softirq, steal; what follows is part of the first two.
fn parse(stat: &str) -> Option<Times> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let times: Vec<u64> = line.split_whitespace().take(8).filter_map(|time| time.parse().ok()).collect();
    let [_, _, _, idle, waiting, ..] = times[..] else { return None };
    let all = times.iter().sum();
    Some(Times { busy: all - idle - waiting, all })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utilization_is_that_since_the_last_look() {
        let before = parse("cpu  10 0 10 70 10 0 0 0 5 0\ncpu0 1 1 1 1").unwrap();
        assert_eq!(before, Times { busy: 20, all: 100 });
        assert_eq!(utilization(before, Times { busy: 50, all: 160 }), 0.5);
        assert_eq!(utilization(before, before), 0.0);
    }
}
