//! Engine settings, in one place, so that benches measure what runs.

use std::time::Duration;

use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

/// How often the epoch advances while a call runs: a busy guest ends within this of its deadline.
pub const EPOCH_TICK: Duration = Duration::from_millis(5);

/// Linear memories of one component; composed components have a few.
const MEMORIES_PER_TOOL_MAX: u32 = 8;
/// Tables of one component.
const TABLES_PER_TOOL_MAX: u32 = 16;
/// Core instances of one component: the module, its shims, composed parts. Python's interpreter is linked of some forty.
const CORE_INSTANCES_PER_TOOL_MAX: u32 = 64;
/// Elements of one table: virtual room of 8 MiB; the memory cap usually ends growth before.
const TABLE_ELEMENTS_MAX: usize = 1 << 20;
/// Bytes of one linear memory: all that 32 bits address; the memory cap is what counts.
const MEMORY_BYTES_MAX: usize = 1 << 32;
/// Bytes of a memory slot that stay resident between calls, cleared page by page where they are dirty.
const KEEP_RESIDENT_BYTES: usize = 4 << 20;
/// Bytes of WebAssembly stack before `stack overflow`.
const WASM_STACK_BYTES: usize = 512 << 10;
/// Bytes of the native stack a guest and its host calls run on.
const NATIVE_STACK_BYTES: usize = 2 << 20;

/// The settings every tool runs under: fuel and epochs on, instances from a pool with room for `concurrent_calls`.
#[must_use]
pub fn engine_config(concurrent_calls: u32) -> Config {
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(NATIVE_STACK_BYTES)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(concurrent_calls)));
    config
}

/// Addresses that an engine with room for `concurrent_calls` calls reserves at its start, in bytes: what `RLIMIT_AS` (`ulimit -v`)
/// must leave beside the program itself. No memory stands behind most of them.
pub(crate) fn engine_reserves_bytes(concurrent_calls: u32) -> u64 {
    const GUARD_BYTES: u64 = 32 << 20;
    const ELEMENT_BYTES: u64 = 8;
    let memories = u64::from(MEMORIES_PER_TOOL_MAX) * (MEMORY_BYTES_MAX as u64 + GUARD_BYTES);
    let tables = u64::from(TABLES_PER_TOOL_MAX) * TABLE_ELEMENTS_MAX as u64 * ELEMENT_BYTES;
    let stack = NATIVE_STACK_BYTES as u64;
    (memories + tables + stack).saturating_mul(u64::from(concurrent_calls.max(1))).saturating_add(GUARD_BYTES)
}

fn pool(concurrent_calls: u32) -> PoolingAllocationConfig {
    let calls = concurrent_calls.max(1);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(calls)
        .total_core_instances(calls.saturating_mul(CORE_INSTANCES_PER_TOOL_MAX))
        .max_core_instances_per_component(CORE_INSTANCES_PER_TOOL_MAX)
        .total_memories(calls.saturating_mul(MEMORIES_PER_TOOL_MAX))
        .max_memories_per_component(MEMORIES_PER_TOOL_MAX)
        .max_memories_per_module(MEMORIES_PER_TOOL_MAX)
        .total_tables(calls.saturating_mul(TABLES_PER_TOOL_MAX))
        .max_tables_per_component(TABLES_PER_TOOL_MAX)
        .max_tables_per_module(TABLES_PER_TOOL_MAX)
        .total_stacks(calls)
        .table_elements(TABLE_ELEMENTS_MAX)
        .max_memory_size(MEMORY_BYTES_MAX)
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(KEEP_RESIDENT_BYTES)
        .pagemap_scan(Enabled::Auto);
    pool
}
