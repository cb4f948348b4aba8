//! libFuzzer on [`tollgate_fuzz::verifier_key`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tollgate_fuzz::verifier_key(bytes));
