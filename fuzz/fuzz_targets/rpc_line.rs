//! libFuzzer on [`tollgate_fuzz::rpc_line`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tollgate_fuzz::rpc_line(bytes));
