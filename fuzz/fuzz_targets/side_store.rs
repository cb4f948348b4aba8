//! libFuzzer on [`tollgate_fuzz::side_store`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tollgate_fuzz::side_store(bytes));
