//! libFuzzer on [`tollgate_fuzz::target`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tollgate_fuzz::target(bytes));
