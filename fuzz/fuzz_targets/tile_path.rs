//! libFuzzer on [`tollgate_fuzz::tile_path`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tollgate_fuzz::tile_path(bytes));
