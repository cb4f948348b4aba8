//! libFuzzer on [`tollgate_fuzz::client_call`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tollgate_fuzz::client_call(bytes));
