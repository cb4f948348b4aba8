//! libFuzzer on [`tollgate_fuzz::schema`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tollgate_fuzz::schema(bytes));
