//! libFuzzer on [`tollgate_fuzz::authority`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tollgate_fuzz::authority(bytes));
