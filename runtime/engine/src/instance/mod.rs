//! One guest instance: the engine it runs on, its store, the caps on it.

mod caps;
mod engine;
mod event_loop;
pub(crate) mod mapped_code;
mod state;
mod ticker;

pub(crate) use caps::Caps;
pub(crate) use engine::engine_reserves_bytes;
pub use engine::{EPOCH_TICK, engine_config};
pub use event_loop::EventLoop;
pub(crate) use state::{CallState, bindings};
pub(crate) use ticker::Ticker;
