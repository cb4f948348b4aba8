//! The WIT names of the guarded functions, each in this one place: [`HostCall::function`](crate::HostCall::function)
//! writes them, [`HostCall::from_facts`](crate::HostCall::from_facts) reads them. No two kinds of call may share a name.

pub(crate) const PREOPEN: &str = "wasi:filesystem/preopens.get-directories";
pub(crate) const OPEN_AT: &str = "wasi:filesystem/types.[method]descriptor.open-at";
pub(crate) const STAT_AT: &str = "wasi:filesystem/types.[method]descriptor.stat-at";
pub(crate) const METADATA_HASH_AT: &str = "wasi:filesystem/types.[method]descriptor.metadata-hash-at";
pub(crate) const READLINK_AT: &str = "wasi:filesystem/types.[method]descriptor.readlink-at";
pub(crate) const SET_TIMES_AT: &str = "wasi:filesystem/types.[method]descriptor.set-times-at";
pub(crate) const CREATE_DIRECTORY_AT: &str = "wasi:filesystem/types.[method]descriptor.create-directory-at";
pub(crate) const REMOVE_DIRECTORY_AT: &str = "wasi:filesystem/types.[method]descriptor.remove-directory-at";
pub(crate) const UNLINK_FILE_AT: &str = "wasi:filesystem/types.[method]descriptor.unlink-file-at";
pub(crate) const RENAME_AT: &str = "wasi:filesystem/types.[method]descriptor.rename-at";
pub(crate) const LINK_AT: &str = "wasi:filesystem/types.[method]descriptor.link-at";
pub(crate) const SYMLINK_AT: &str = "wasi:filesystem/types.[method]descriptor.symlink-at";
pub(crate) const READ: &str = "wasi:filesystem/types.[method]descriptor.read";
pub(crate) const WRITE: &str = "wasi:filesystem/types.[method]descriptor.write";
pub(crate) const APPEND: &str = "wasi:filesystem/types.[method]descriptor.append-via-stream";
pub(crate) const SET_SIZE: &str = "wasi:filesystem/types.[method]descriptor.set-size";
pub(crate) const SET_TIMES: &str = "wasi:filesystem/types.[method]descriptor.set-times";
pub(crate) const SYNC: &str = "wasi:filesystem/types.[method]descriptor.sync";
pub(crate) const READ_DIRECTORY: &str = "wasi:filesystem/types.[method]descriptor.read-directory";
pub(crate) const STAT: &str = "wasi:filesystem/types.[method]descriptor.stat";
pub(crate) const METADATA_HASH: &str = "wasi:filesystem/types.[method]descriptor.metadata-hash";
pub(crate) const GET_ENVIRONMENT: &str = "wasi:cli/environment.get-environment";
pub(crate) const GET_ARGUMENTS: &str = "wasi:cli/environment.get-arguments";
pub(crate) const GET_STDIN: &str = "wasi:cli/stdin.get-stdin";
pub(crate) const GET_STDOUT: &str = "wasi:cli/stdout.get-stdout";
pub(crate) const GET_STDERR: &str = "wasi:cli/stderr.get-stderr";
pub(crate) const WRITE_STDIO: &str = "wasi:io/streams.[method]output-stream.write";
pub(crate) const WALL_CLOCK: &str = "wasi:clocks/wall-clock.now";
pub(crate) const MONOTONIC_CLOCK: &str = "wasi:clocks/monotonic-clock.now";
pub(crate) const RANDOM_BYTES: &str = "wasi:random/random.get-random-bytes";
pub(crate) const INSECURE_RANDOM_BYTES: &str = "wasi:random/insecure.get-insecure-random-bytes";
pub(crate) const GET_CONTEXT: &str = "tollgate:tool/call.get-context";
pub(crate) const CREATE_TCP_SOCKET: &str = "wasi:sockets/tcp-create-socket.create-tcp-socket";
pub(crate) const CREATE_UDP_SOCKET: &str = "wasi:sockets/udp-create-socket.create-udp-socket";
pub(crate) const RESOLVE_ADDRESSES: &str = "wasi:sockets/ip-name-lookup.resolve-addresses";

/// The methods of `wasi:sockets`, which [`HostCall::SocketMethod`](crate::HostCall::SocketMethod) stands for.
pub const SOCKET_METHODS: [&str; 48] = [
    "wasi:sockets/ip-name-lookup.[method]resolve-address-stream.resolve-next-address",
    "wasi:sockets/ip-name-lookup.[method]resolve-address-stream.subscribe",
    "wasi:sockets/tcp.[method]tcp-socket.accept",
    "wasi:sockets/tcp.[method]tcp-socket.address-family",
    "wasi:sockets/tcp.[method]tcp-socket.finish-bind",
    "wasi:sockets/tcp.[method]tcp-socket.finish-connect",
    "wasi:sockets/tcp.[method]tcp-socket.finish-listen",
    "wasi:sockets/tcp.[method]tcp-socket.hop-limit",
    "wasi:sockets/tcp.[method]tcp-socket.is-listening",
    "wasi:sockets/tcp.[method]tcp-socket.keep-alive-count",
    "wasi:sockets/tcp.[method]tcp-socket.keep-alive-enabled",
    "wasi:sockets/tcp.[method]tcp-socket.keep-alive-idle-time",
    "wasi:sockets/tcp.[method]tcp-socket.keep-alive-interval",
    "wasi:sockets/tcp.[method]tcp-socket.local-address",
    "wasi:sockets/tcp.[method]tcp-socket.receive-buffer-size",
    "wasi:sockets/tcp.[method]tcp-socket.remote-address",
    "wasi:sockets/tcp.[method]tcp-socket.send-buffer-size",
    "wasi:sockets/tcp.[method]tcp-socket.set-hop-limit",
    "wasi:sockets/tcp.[method]tcp-socket.set-keep-alive-count",
    "wasi:sockets/tcp.[method]tcp-socket.set-keep-alive-enabled",
    "wasi:sockets/tcp.[method]tcp-socket.set-keep-alive-idle-time",
    "wasi:sockets/tcp.[method]tcp-socket.set-keep-alive-interval",
    "wasi:sockets/tcp.[method]tcp-socket.set-listen-backlog-size",
    "wasi:sockets/tcp.[method]tcp-socket.set-receive-buffer-size",
    "wasi:sockets/tcp.[method]tcp-socket.set-send-buffer-size",
    "wasi:sockets/tcp.[method]tcp-socket.shutdown",
    "wasi:sockets/tcp.[method]tcp-socket.start-bind",
    "wasi:sockets/tcp.[method]tcp-socket.start-connect",
    "wasi:sockets/tcp.[method]tcp-socket.start-listen",
    "wasi:sockets/tcp.[method]tcp-socket.subscribe",
    "wasi:sockets/udp.[method]incoming-datagram-stream.receive",
    "wasi:sockets/udp.[method]incoming-datagram-stream.subscribe",
    "wasi:sockets/udp.[method]outgoing-datagram-stream.check-send",
    "wasi:sockets/udp.[method]outgoing-datagram-stream.send",
    "wasi:sockets/udp.[method]outgoing-datagram-stream.subscribe",
    "wasi:sockets/udp.[method]udp-socket.address-family",
    "wasi:sockets/udp.[method]udp-socket.finish-bind",
    "wasi:sockets/udp.[method]udp-socket.local-address",
    "wasi:sockets/udp.[method]udp-socket.receive-buffer-size",
    "wasi:sockets/udp.[method]udp-socket.remote-address",
    "wasi:sockets/udp.[method]udp-socket.send-buffer-size",
    "wasi:sockets/udp.[method]udp-socket.set-receive-buffer-size",
    "wasi:sockets/udp.[method]udp-socket.set-send-buffer-size",
    "wasi:sockets/udp.[method]udp-socket.set-unicast-hop-limit",
    "wasi:sockets/udp.[method]udp-socket.start-bind",
    "wasi:sockets/udp.[method]udp-socket.stream",
    "wasi:sockets/udp.[method]udp-socket.subscribe",
    "wasi:sockets/udp.[method]udp-socket.unicast-hop-limit",
];

/// The functions of `wasi:http`, which [`HostCall::SocketMethod`](crate::HostCall::SocketMethod) stands for too.
pub const HTTP_FUNCTIONS: [&str; 52] = [
    "wasi:http/outgoing-handler.handle",
    "wasi:http/types.[constructor]fields",
    "wasi:http/types.[constructor]outgoing-request",
    "wasi:http/types.[constructor]outgoing-response",
    "wasi:http/types.[constructor]request-options",
    "wasi:http/types.[method]fields.append",
    "wasi:http/types.[method]fields.clone",
    "wasi:http/types.[method]fields.delete",
    "wasi:http/types.[method]fields.entries",
    "wasi:http/types.[method]fields.get",
    "wasi:http/types.[method]fields.has",
    "wasi:http/types.[method]fields.set",
    "wasi:http/types.[method]future-incoming-response.get",
    "wasi:http/types.[method]future-incoming-response.subscribe",
    "wasi:http/types.[method]future-trailers.get",
    "wasi:http/types.[method]future-trailers.subscribe",
    "wasi:http/types.[method]incoming-body.stream",
    "wasi:http/types.[method]incoming-request.authority",
    "wasi:http/types.[method]incoming-request.consume",
    "wasi:http/types.[method]incoming-request.headers",
    "wasi:http/types.[method]incoming-request.method",
    "wasi:http/types.[method]incoming-request.path-with-query",
    "wasi:http/types.[method]incoming-request.scheme",
    "wasi:http/types.[method]incoming-response.consume",
    "wasi:http/types.[method]incoming-response.headers",
    "wasi:http/types.[method]incoming-response.status",
    "wasi:http/types.[method]outgoing-body.write",
    "wasi:http/types.[method]outgoing-request.authority",
    "wasi:http/types.[method]outgoing-request.body",
    "wasi:http/types.[method]outgoing-request.headers",
    "wasi:http/types.[method]outgoing-request.method",
    "wasi:http/types.[method]outgoing-request.path-with-query",
    "wasi:http/types.[method]outgoing-request.scheme",
    "wasi:http/types.[method]outgoing-request.set-authority",
    "wasi:http/types.[method]outgoing-request.set-method",
    "wasi:http/types.[method]outgoing-request.set-path-with-query",
    "wasi:http/types.[method]outgoing-request.set-scheme",
    "wasi:http/types.[method]outgoing-response.body",
    "wasi:http/types.[method]outgoing-response.headers",
    "wasi:http/types.[method]outgoing-response.set-status-code",
    "wasi:http/types.[method]outgoing-response.status-code",
    "wasi:http/types.[method]request-options.between-bytes-timeout",
    "wasi:http/types.[method]request-options.connect-timeout",
    "wasi:http/types.[method]request-options.first-byte-timeout",
    "wasi:http/types.[method]request-options.set-between-bytes-timeout",
    "wasi:http/types.[method]request-options.set-connect-timeout",
    "wasi:http/types.[method]request-options.set-first-byte-timeout",
    "wasi:http/types.[static]fields.from-list",
    "wasi:http/types.[static]incoming-body.finish",
    "wasi:http/types.[static]outgoing-body.finish",
    "wasi:http/types.[static]response-outparam.set",
    "wasi:http/types.http-error-code",
];

/// The name in [`SOCKET_METHODS`] or [`HTTP_FUNCTIONS`] that `function` is.
pub(crate) fn socket_method(function: &str) -> Option<&'static str> {
    SOCKET_METHODS.into_iter().chain(HTTP_FUNCTIONS).find(|name| *name == function)
}
