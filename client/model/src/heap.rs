//! What the allocator does with memory that training gives back.
//!
//! Every step takes and frees tensors of the same sizes. glibc by default returns memory at the end
//! of its heap to the system as soon as a little of it is free, so that every step has the system
//! clear the same pages again: a quarter to a third of the CPU time of a small network (the MLP of
//! `cargo run --release --bin training`). It learns from what it sees: after a large block was
//! freed, blocks up to that size come from the heap, and twice as much of it may be free before any
//! is returned (`mallopt(3)`, `M_MMAP_THRESHOLD`).

use std::hint::black_box;
use std::sync::Once;

/// Just below the largest block that glibc learns from, 32 MiB with its own header. Nothing is
/// written to it, so it takes no memory.
const LESSON_BYTES: usize = (32 << 20) - (64 << 10);

/// Has the allocator keep up to 64 MiB of what is freed. Does nothing where it is another than
/// glibc's.
pub(crate) fn keep() {
    static TAUGHT: Once = Once::new();
    TAUGHT.call_once(|| drop(black_box(Vec::<u8>::with_capacity(LESSON_BYTES))));
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;

    /// Pages that the system has cleared for this thread.
    fn cleared_pages() -> u64 {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("Linux tells");
        // The name, in parentheses, may hold anything; the tenth field is the eighth after it.
        let (_, fields) = stat.rsplit_once(')').expect("a name");
        fields.split_whitespace().nth(7).and_then(|field| field.parse().ok()).expect("a number")
    }

    #[test]
    fn memory_that_is_freed_is_not_cleared_again_for_every_step() {
        const STEPS: u64 = 50;
        const STEP_BYTES: usize = 4 << 20;
        keep();
        let step = || drop(black_box(vec![1u8; STEP_BYTES]));
        step();
        let before = cleared_pages();
        (0..STEPS).for_each(|_| step());
        let each = (cleared_pages() - before) / STEPS;
        // 4 MiB are 1024 pages.
        assert!(each < 100, "{each} pages were cleared in each step");
    }
}
