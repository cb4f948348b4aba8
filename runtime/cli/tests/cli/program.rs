//! The files of the programs themselves.

use std::fs;

/// A process starts from each of them, so that their size counts.
#[test]
fn the_programs_have_no_table_of_symbols() {
    for program in [env!("CARGO_BIN_EXE_tollgate"), env!("CARGO_BIN_EXE_tollgate-drill")] {
        let elf = fs::read(program).unwrap();
        // `Elf64_Ehdr` and `Elf64_Shdr` (elf(5)).
        let u16_at = |at: usize| usize::from(u16::from_le_bytes(elf[at..at + 2].try_into().unwrap()));
        let sections = usize::try_from(u64::from_le_bytes(elf[0x28..0x30].try_into().unwrap())).unwrap();
        let (bytes, count) = (u16_at(0x3a), u16_at(0x3c));
        let types: Vec<u32> = (0..count)
            .map(|section| sections + section * bytes + 4)
            .map(|at| u32::from_le_bytes(elf[at..at + 4].try_into().unwrap()))
            .collect();
        assert!(types.contains(&DYNSYM) && !types.contains(&SYMTAB), "{program}: {types:?}");
    }
}

const SYMTAB: u32 = 2;
const DYNSYM: u32 = 11;
