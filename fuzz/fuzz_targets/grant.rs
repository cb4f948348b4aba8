//! libFuzzer on [`tollgate_fuzz::grant`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tollgate_fuzz::grant(bytes));
