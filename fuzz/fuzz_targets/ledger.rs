//! libFuzzer on [`tollgate_fuzz::ledger`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tollgate_fuzz::ledger(bytes));
