//! libFuzzer on [`tollgate_fuzz::network_grants`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tollgate_fuzz::network_grants(bytes));
