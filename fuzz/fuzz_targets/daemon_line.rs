//! libFuzzer on [`tollgate_fuzz::daemon_line`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tollgate_fuzz::daemon_line(bytes));
