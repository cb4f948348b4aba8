//! libFuzzer on [`tollgate_fuzz::host_frames`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tollgate_fuzz::host_frames(bytes));
