//! libFuzzer on [`tollgate_fuzz::manifest`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tollgate_fuzz::manifest(bytes));
