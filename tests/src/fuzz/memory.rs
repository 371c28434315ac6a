//! An allocator that counts what a thread holds, and refuses what goes beyond a limit.
#![allow(unsafe_code, reason = "an allocator cannot be written without; this one only counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// To be made the `#[global_allocator]` of a test that fuzzes.
pub struct Guarded;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
    static LIMIT: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Runs something that may hold so many bytes at once, and tells how many it did. More is refused, which ends the process
/// unless the code that asks can do without.
pub fn within<T>(limit: usize, run: impl FnOnce() -> T) -> (T, usize) {
    HELD.set(0);
    PEAK.set(0);
    LIMIT.set(limit);
    let result = run();
    lift();
    (result, PEAK.get())
}

/// Takes the limit of this thread away.
pub fn lift() {
    LIMIT.set(usize::MAX);
}

/// Whether a thread may hold so much more; it is counted when it may.
fn take(bytes: usize) -> bool {
    // A thread that ends has no counters any more.
    let allowed = HELD.try_with(|held| {
        let now = held.get().saturating_add(bytes);
        if now > LIMIT.get() {
            return false;
        }
        held.set(now);
        PEAK.set(PEAK.get().max(now));
        true
    });
    allowed.unwrap_or(true)
}

fn give(bytes: usize) {
    // What was taken elsewhere, or before it was counted, may be given back here.
    let _ = HELD.try_with(|held| held.set(held.get().saturating_sub(bytes)));
}

// SAFETY: every call goes to the system's allocator with the arguments it came with, or answers null, which means "no".
unsafe impl GlobalAlloc for Guarded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !take(layout.size()) {
            return std::ptr::null_mut();
        }
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !take(layout.size()) {
            return std::ptr::null_mut();
        }
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        give(layout.size());
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if size > layout.size() && !take(size - layout.size()) {
            return std::ptr::null_mut();
        }
        if size < layout.size() {
            give(layout.size() - size);
        }
        unsafe { System.realloc(pointer, layout, size) }
    }
}
