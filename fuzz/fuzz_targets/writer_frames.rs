//! libFuzzer on [`tollgate_fuzz::writer_frames`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tollgate_fuzz::writer_frames(bytes));
