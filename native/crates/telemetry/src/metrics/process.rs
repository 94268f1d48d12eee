//! This process, under the names that Prometheus' client libraries use.

use super::text::Text;
use std::fs;

/// Of the times in /proc; the same on every architecture that this runs on.
const TICKS_PER_SECOND: f64 = 100.0;

pub fn write(text: &mut Text) {
    if let Some(process) = fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(parse_stat) {
        text.single(
            "process_cpu_seconds_total",
            "counter",
            "User and system CPU time",
            process.cpu_ticks as f64 / TICKS_PER_SECOND,
        );
        if let Some(booted) = booted() {
            let started = booted + process.started_ticks as f64 / TICKS_PER_SECOND;
            text.single(
                "process_start_time_seconds",
                "gauge",
                "Start of the process, in seconds since 1970",
                started,
            );
        }
        text.single("process_virtual_memory_bytes", "gauge", "Virtual memory", process.virtual_bytes);
    }
    if let Some(resident) = kilobytes("/proc/self/status", "VmRSS:") {
        text.single("process_resident_memory_bytes", "gauge", "Resident memory", resident * 1024);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // One of them reads this directory.
        text.single("process_open_fds", "gauge", "Open file descriptors", open.count().saturating_sub(1));
    }
    if let Some(limit) = fs::read_to_string("/proc/self/limits").ok().as_deref().and_then(parse_limit) {
        text.single("process_max_fds", "gauge", "File descriptors that may be open", limit);
    }
}

/// The number of kilobytes that a file under /proc gives after this word.
pub fn kilobytes(path: &str, word: &str) -> Option<u64> {
    let file = fs::read_to_string(path).ok()?;
    file.lines().find_map(|line| line.strip_prefix(word))?.split_whitespace().next()?.parse().ok()
}

struct Stat {
    cpu_ticks: u64,
    started_ticks: u64,
    virtual_bytes: u64,
}

fn parse_stat(line: &str) -> Option<Stat> {
    // The name in parentheses may hold anything; what follows it starts with the third field.
    let fields: Vec<&str> = line.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Stat {
        cpu_ticks: number(14)? + number(15)?,
        started_ticks: number(22)?,
        virtual_bytes: number(23)?,
    })
}

/// Seconds since 1970 at which the machine started.
fn booted() -> Option<f64> {
    let file = fs::read_to_string("/proc/stat").ok()?;
    file.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

fn parse_limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_process_may_be_confusing() {
        let rest: Vec<String> = (3..=52).map(|field| field.to_string()).collect();
        let stat = parse_stat(&format!("1 (a) 7 (b c) {}", rest.join(" "))).unwrap();
        assert_eq!((stat.cpu_ticks, stat.started_ticks, stat.virtual_bytes), (29, 22, 23));
    }

    #[test]
    fn a_limit_may_be_none() {
        assert_eq!(parse_limit("Max processes 1 2 x\nMax open files   1024   4096  files"), Some(1024));
        assert_eq!(parse_limit("Max open files   unlimited   unlimited  files"), None);
    }
}
