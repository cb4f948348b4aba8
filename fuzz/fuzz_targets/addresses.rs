//! libFuzzer on [`tollgate_fuzz::addresses`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tollgate_fuzz::addresses(bytes));
