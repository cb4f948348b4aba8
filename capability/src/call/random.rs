//! Calls for random bytes.

use super::table::calls;

calls! {
    /// A call of `wasi:random`.
    pub enum RandomCall {
        /// `wasi:random/random.get-random-bytes` (and `get-random-u64`: 8 bytes).
        RandomBytes "wasi:random/random.get-random-bytes" counted {
            /// How many.
            bytes: u64 = "bytes",
        },
        /// `wasi:random/insecure.get-insecure-random-bytes` (and `get-insecure-random-u64`: 8 bytes).
        InsecureRandomBytes "wasi:random/insecure.get-insecure-random-bytes" counted {
            /// How many.
            bytes: u64 = "bytes",
        },
    }
}
