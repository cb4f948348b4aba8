//! libFuzzer on [`tollgate_fuzz::daemon_lines`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tollgate_fuzz::daemon_lines(bytes));
