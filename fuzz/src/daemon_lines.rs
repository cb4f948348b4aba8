//! A daemon's stream, cut into lines by a client.

use tollgate_client::parse::daemon_lines as read;

/// The first byte says how long a line may be, the second how the rest comes in pieces. However it comes, the same lines are heard, each
/// whole and none too long, up to the first that is.
pub fn daemon_lines(bytes: &[u8]) {
    let [most, step, stream @ ..] = bytes else { return };
    let (most, step) = (usize::from(*most % 64), usize::from(*step % 32) + 1);
    let mut expected = Vec::new();
    let mut is_too_long = false;
    let mut lines = stream.split(|byte| *byte == b'\n').peekable();
    while let Some(line) = lines.next() {
        is_too_long = line.len() > most;
        if is_too_long {
            break;
        }
        // Behind the last end of a line nothing is whole.
        if lines.peek().is_some() {
            expected.push(line.to_vec());
        }
    }
    let expected = (expected, is_too_long);
    assert_eq!(read(most, [stream]), expected, "at once");
    assert_eq!(read(most, stream.chunks(step)), expected, "by {step}");
}
