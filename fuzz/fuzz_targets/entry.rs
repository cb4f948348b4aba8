//! libFuzzer on [`tollgate_fuzz::entry`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tollgate_fuzz::entry(bytes));
