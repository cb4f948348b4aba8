//! libFuzzer on [`tollgate_fuzz::checkpoint`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tollgate_fuzz::checkpoint(bytes));
