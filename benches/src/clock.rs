//! Time spent by this thread, which other jobs on the machine disturb less than wall time.

/// What [`median_ns`] measures.
pub const CLOCK: &str = if cfg!(unix) { "thread CPU time" } else { "wall time" };

/// The clock, in nanoseconds.
#[must_use]
#[cfg(unix)]
pub fn now_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The clock, in nanoseconds.
#[must_use]
#[cfg(not(unix))]
pub fn now_ns() -> u64 {
    use std::sync::LazyLock;
    use std::time::Instant;
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_nanos() as u64
}

/// CPU time of all threads of this process, in nanoseconds.
#[must_use]
#[cfg(unix)]
pub fn process_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Wall time, where the CPU time of a process is not told, in nanoseconds.
#[must_use]
#[cfg(not(unix))]
pub fn process_ns() -> u64 {
    now_ns()
}

/// The median time of `repeats` runs of `work`, in nanoseconds.
pub fn median_ns(repeats: usize, mut work: impl FnMut()) -> f64 {
    let once = |_| {
        let start = now_ns();
        work();
        now_ns().saturating_sub(start)
    };
    let mut times: Vec<u64> = (0..repeats.max(1)).map(once).collect();
    times.sort_unstable();
    times[times.len() / 2] as f64
}
