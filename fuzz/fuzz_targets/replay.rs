//! libFuzzer on [`tollgate_fuzz::replay`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tollgate_fuzz::replay(bytes));
