//! libFuzzer on [`tollgate_fuzz::receipt`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tollgate_fuzz::receipt(bytes));
