//! Every limit, with its reason. A usual tool's schema has some 50 values, 5 levels and no pattern.

/// Longest schema, in bytes.
pub const SCHEMA_BYTES_MAX: usize = 64 << 10;

/// Most JSON values in a schema: objects, lists, texts, numbers and the like, all counted.
pub const SCHEMA_VALUES_MAX: usize = 10_000;

/// Most steps of a schema for one value with all references followed: `$ref` must not make much of a short text.
pub const SCHEMA_SIZE_MAX: u64 = 10_000;

/// Most levels of a schema with all references followed: each is a frame on the stack.
pub const SCHEMA_DEPTH_MAX: usize = 100;

/// Most values of one `enum`.
pub const ENUM_VALUES_MAX: usize = 1_024;

/// Most patterns in a schema.
pub const PATTERNS_MAX: usize = 64;

/// Longest pattern, in bytes.
pub const PATTERN_BYTES_MAX: usize = 1_024;

/// Most bytes of one compiled pattern: `^\p{L}{1,16}$` takes half of it.
pub const PATTERN_MEMORY_MAX: usize = 512 << 10;

/// Most bytes of all compiled patterns of a schema.
pub const PATTERNS_MEMORY_MAX: usize = 2 << 20;

/// Steps that one value may cost, whatever the clock says: some tenths of a second, and a hundred times what a mebibyte of
/// arguments costs under a usual schema.
pub const WORK_MAX: u64 = 1 << 26;

/// Most JSON values in arguments: their memory is some fifty times that many bytes.
pub const ARGUMENT_VALUES_MAX: usize = 1 << 20;

/// Problems with a value that are listed: a language model mends a few at a time.
pub const PROBLEMS_MAX: usize = 8;

/// Longest part of a value, and of a path, that a problem shows, in bytes.
pub const SHOWN_BYTES_MAX: usize = 120;
