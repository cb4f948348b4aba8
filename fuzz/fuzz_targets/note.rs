//! libFuzzer on [`tollgate_fuzz::note`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tollgate_fuzz::note(bytes));
