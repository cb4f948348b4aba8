//! What bytes of clients mean, and nothing else: no socket, no clock, no state. A fuzz target feeds each part.

mod call;
mod first;
mod json;
mod mcp;
mod rpc;

pub use self::call::{CLAIM_BYTES_MAX, CallRequest, NAME_BYTES_MAX, is_call_id};
pub use self::first::{Spoken, TOKEN_LINE_BYTES_MAX, TokenLine, sniff, token_line};
pub use self::json::{NESTING_MAX, is_json};
pub use self::mcp::{Does, MESSAGE_BYTES_MAX, McpMessage, Opens, opens};
pub use self::rpc::{Asks, ID_BYTES_MAX, Id, Message, RpcError};
