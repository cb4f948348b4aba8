//! libFuzzer on [`tollgate_fuzz::lowering`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tollgate_fuzz::lowering(bytes));
