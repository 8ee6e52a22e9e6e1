//! One number for a whole state, the same on every replica.
//!
//! The standard hasher promises nothing about its results from one release to the next; FNV-1a is written down and
//! needs ten lines. It finds differences between honest replicas; it is not a defence against anybody.

use std::hash::{Hash, Hasher};

/// The 64-bit FNV-1a hash of `value`.
pub fn of(value: &impl Hash) -> u64 {
    // Offset basis and prime of the 64-bit variant (RFC 9923).
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    value.hash(&mut hasher);
    hasher.finish()
}

struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
