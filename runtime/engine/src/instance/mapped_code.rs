//! Runs machine code where its memory file is mapped: it is not copied, and its pages are never writable. Must only be used for
//! files that can no longer be changed.

use std::io;
use std::os::fd::OwnedFd;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap, mprotect};
use rustix::param::page_size;
use wasmtime::{Config, CustomCodeMemory};

/// Has the engine run code where it is mapped. Asks for the page size now, since a sealed process cannot.
pub(crate) fn run_where_it_is_mapped(config: &mut Config) {
    config.with_custom_code_memory(Some(Arc::new(MappedCode { page_bytes: page_size() })));
}

/// Maps `file` for reading until this process ends, so that code loaded from it stays valid.
pub(crate) fn map(file: &OwnedFd) -> io::Result<NonNull<[u8]>> {
    let bytes = usize::try_from(rustix::fs::fstat(file)?.st_size).map_err(io::Error::other)?;
    #[allow(unsafe_code, reason = "memory is mapped by address")]
    // SAFETY: maps fresh memory where the kernel likes, over nothing that is in use.
    let mapped = unsafe { mmap(ptr::null_mut(), bytes, ProtFlags::READ, MapFlags::PRIVATE, file, 0) }?;
    let mapped = NonNull::new(mapped.cast()).ok_or_else(|| io::Error::other("it is mapped at 0"))?;
    Ok(NonNull::slice_from_raw_parts(mapped, bytes))
}

/// Makes pages executable and takes that back. None of them is ever writable.
#[derive(Debug)]
struct MappedCode {
    page_bytes: usize,
}

impl MappedCode {
    fn protect(code: *const u8, bytes: usize, access: MprotectFlags) -> wasmtime::Result<()> {
        #[allow(unsafe_code, reason = "pages are protected by address")]
        // SAFETY: wasmtime gives the text of code that it was given to load, which it goes on using: mapped by `map`, or by
        // wasmtime itself. Reading it stays allowed.
        unsafe { mprotect(code.cast_mut().cast(), bytes, access) }.map_err(wasmtime::Error::from)
    }
}

impl CustomCodeMemory for MappedCode {
    fn required_alignment(&self) -> usize {
        self.page_bytes
    }

    /// Does nothing: the kernel makes data and instruction caches agree when it maps a file's pages.
    fn publish_executable(&self, code: *const u8, bytes: usize) -> wasmtime::Result<()> {
        Self::protect(code, bytes, MprotectFlags::READ | MprotectFlags::EXEC)
    }

    fn unpublish_executable(&self, code: *const u8, bytes: usize) -> wasmtime::Result<()> {
        Self::protect(code, bytes, MprotectFlags::READ)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a measurement that runs itself as a child, whose memory is its own")]
mod tests {
    use std::fs;
    use std::os::fd::AsRawFd as _;
    use std::process::Command;
    use std::time::Instant;

    use tollgate_ipc::memory_file;
    use wasmtime::component::Component;

    use super::*;
    use crate::Engine;

    const WAY: &str = "TOLLGATE_TEST_WAY";
    const CODE: &str = "TOLLGATE_TEST_CODE";

    #[test]
    fn mapped_code_is_never_writable_and_runs() {
        let engine = Engine::for_mapped_code(1).unwrap();
        let code = engine.0.precompile_component(&large(10, 1)).unwrap();
        let file = memory_file("tollgate-test-mapped", &code).unwrap();
        let component = crate::Component::from_memory_file(&engine, &file).unwrap();
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let access: Vec<&str> = maps
            .lines()
            .filter(|line| line.contains("tollgate-test-mapped"))
            .filter_map(|line| line.split(' ').nth(1))
            .collect();
        assert!(access.contains(&"r-xp") && access.iter().all(|access| !access.contains('w')), "{access:?}");
        drop(component);
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let executable = |line: &&str| line.contains("tollgate-test-mapped") && line.contains("r-xp");
        assert_eq!(maps.lines().find(executable), None);
    }

    #[test]
    fn code_is_not_loaded_from_a_file_that_can_be_changed_or_by_another_engine() {
        let engine = Engine::for_mapped_code(1).unwrap();
        let code = engine.0.precompile_component(&large(1, 1)).unwrap();
        let load =
            |engine: &Engine, file: &OwnedFd| crate::Component::from_memory_file(engine, file).unwrap_err().to_string();
        let open = rustix::fs::memfd_create("code", rustix::fs::MemfdFlags::ALLOW_SEALING).unwrap();
        rustix::io::write(&open, &code).unwrap();
        assert!(load(&engine, &open).contains("can still be changed"));
        let error = load(&Engine::new(1).unwrap(), &memory_file("code", &code).unwrap());
        assert!(error.contains("virtual memory"), "{error}");
        assert!(load(&engine, &memory_file("code", b"").unwrap()).contains("cannot be mapped"));
    }

    /// A component with so many functions, and so many 64 KiB of data.
    fn large(functions: usize, data: usize) -> Vec<u8> {
        let one =
            "(func (param i32) (result i32) local.get 0 i32.const 3 i32.mul local.get 0 i32.xor i32.const 7 i32.add)";
        let pages = "x".repeat(data << 16);
        let text = format!(
            "(component (core module {} (memory {}) (data (i32.const 0) \"{pages}\")))",
            one.repeat(functions),
            data + 1
        );
        wat::parse_str(text).unwrap()
    }

    /// What each way to load code costs a process. Run by
    /// `cargo test --release --workspace --lib ways_to_load_code -- --ignored --nocapture`.
    #[test]
    #[ignore = "a measurement"]
    fn ways_to_load_code() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::new(1).unwrap();
        let tool = tollgate_example_tools::ALL.iter().find(|guest| guest.name == "json-query").unwrap();
        let components = [
            ("json-query", fs::read(tool.component).unwrap()),
            ("much code", large(200_000, 1)),
            ("much data", large(100, 256)),
        ];
        println!("| component | way | load, \u{b5}s p50 | private memory, KiB | shared memory, KiB | images, KiB |");
        println!("|---|---|---|---|---|---|");
        for (name, component) in components {
            let code = folder.path().join("code");
            fs::write(&code, engine.0.precompile_component(&component).unwrap()).unwrap();
            let mut figures = [const { Vec::new() }; 3];
            for _round in 0..31 {
                for (way, figures) in ["mapped", "copied", "reopened"].iter().zip(&mut figures) {
                    figures.push(measured(way, &code));
                }
            }
            for (way, mut figures) in ["mapped", "copied", "reopened"].iter().zip(figures) {
                figures.sort_unstable();
                let [micros, anon, shared, images] = figures[figures.len() / 2];
                let kib = fs::metadata(&code).unwrap().len() >> 10;
                println!("| {name}, {kib} KiB | {way} | {micros} | {anon} | {shared} | {images} |");
            }
        }
    }

    fn measured(way: &str, code: &std::path::Path) -> [u64; 4] {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "instance::mapped_code::tests::child_loads_code", "--ignored", "--nocapture"])
            .env(WAY, way)
            .env(CODE, code)
            .output()
            .unwrap();
        let said = String::from_utf8(child.stdout).unwrap();
        let line = said.lines().find_map(|line| line.strip_prefix("figures ")).unwrap_or_else(|| panic!("{said}"));
        let figures: Vec<u64> = line.split(' ').map(|figure| figure.parse().unwrap()).collect();
        figures.try_into().unwrap()
    }

    #[test]
    #[ignore = "run as a child"]
    #[allow(unsafe_code, reason = "wasmtime's only way to load compiled code")]
    fn child_loads_code() {
        let way = std::env::var(WAY).unwrap();
        let file = memory_file("code", &fs::read(std::env::var_os(CODE).unwrap()).unwrap()).unwrap();
        let engine = if way == "mapped" { Engine::for_mapped_code(1) } else { Engine::new(1) }.unwrap();
        let (anon, shared) = (status("RssAnon"), status("RssShmem"));
        let before = Instant::now();
        let component = match way.as_str() {
            // SAFETY: this process compiled the code, and nobody changes it.
            "mapped" => unsafe { Component::deserialize_raw(&engine.0, map(&file).unwrap()) },
            "copied" => {
                let mapped = map(&file).unwrap();
                // SAFETY: mapped until this process ends.
                let bytes = unsafe { mapped.as_ref() };
                // SAFETY: as for the first.
                unsafe { Component::deserialize(&engine.0, bytes) }
            }
            // SAFETY: as for the first.
            _reopened => unsafe {
                Component::deserialize_file(&engine.0, format!("/proc/self/fd/{}", file.as_raw_fd()))
            },
        };
        let component = component.unwrap();
        component.initialize_copy_on_write_image().unwrap();
        let micros = before.elapsed().as_micros();
        let images: u64 = fs::read_dir("/proc/self/fd")
            .unwrap()
            .filter_map(|fd| {
                let path = fd.ok()?.path();
                let is_image = fs::read_link(&path).ok()?.to_string_lossy().contains("wasm-memory-image");
                is_image.then(|| fs::metadata(&path).unwrap().len() >> 10)
            })
            .sum();
        println!("figures {micros} {} {} {images}", status("RssAnon") - anon, status("RssShmem") - shared);
        // Whatever it is, it stays until here.
        drop(component);
    }

    /// A line of `/proc/self/status`, in KiB.
    fn status(name: &str) -> u64 {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}
