//! An allocator that counts.
#![allow(dead_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// The system's allocator, counting.
pub struct Counting;

/// Allocations so far.
pub static ALL: AtomicUsize = AtomicUsize::new(0);
/// Those of [`LARGE_BYTES`] or more.
pub static LARGE: AtomicUsize = AtomicUsize::new(0);

/// Bytes held now.
pub static HELD: AtomicUsize = AtomicUsize::new(0);
/// Most bytes held so far, since it was last set.
pub static PEAK: AtomicUsize = AtomicUsize::new(0);

/// From here on an allocation is large: rayon's own lists are smaller.
pub const LARGE_BYTES: usize = 4096;

fn count(bytes: usize) {
    ALL.fetch_add(1, SeqCst);
    LARGE.fetch_add(usize::from(bytes >= LARGE_BYTES), SeqCst);
    PEAK.fetch_max(HELD.fetch_add(bytes, SeqCst) + bytes, SeqCst);
}

// SAFETY: every call is handed on to the system's allocator as it came; counting touches atomics only.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps `alloc_zeroed`'s contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, data: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        HELD.fetch_sub(layout.size(), SeqCst);
        // SAFETY: the caller keeps `realloc`'s contract.
        unsafe { System.realloc(data, layout, size) }
    }

    unsafe fn dealloc(&self, data: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), SeqCst);
        // SAFETY: the caller keeps `dealloc`'s contract.
        unsafe { System.dealloc(data, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
