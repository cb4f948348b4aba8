//! libFuzzer on [`tollgate_fuzz::first_bytes`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tollgate_fuzz::first_bytes(bytes));
