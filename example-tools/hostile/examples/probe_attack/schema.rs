//! The input schema, for whose text there is room in the component: `cargo xtask attack` writes others there, since a tool
//! that is asked for its operations can be told nothing.

use std::hint::black_box;

/// The schema. `cargo xtask attack` finds it by this text.
const TEXT: &[u8] = br#"{"type": "object", "$comment": "the room for a schema begins here"}"#;

/// The longest schema that a host takes, and some more.
const ROOM: usize = (64 << 10) + 64;

#[allow(clippy::indexing_slicing, reason = "evaluated when this is compiled")]
static SCHEMA: [u8; ROOM] = {
    let mut room = [b' '; ROOM];
    let mut at = 0;
    while at < TEXT.len() {
        room[at] = TEXT[at];
        at += 1;
    }
    room
};

/// What stands in the room, without the blanks behind it.
pub(crate) fn of_input() -> String {
    // Else the compiler would know the text, and the room be gone.
    let room = black_box(&SCHEMA);
    String::from_utf8_lossy(room).trim_end().to_owned()
}
