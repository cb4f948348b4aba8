//! Functions that no grant allows and that have no facts: further functions of `wasi:sockets`, none of which can be reached
//! without a socket, and every function of `wasi:http`.

use super::facts::{Facts, FactsError, Unread};
use super::table::Kind;

/// A call that is refused whatever it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedCall {
    /// The WIT name of the function, one of [`SOCKET_METHODS`] or [`HTTP_FUNCTIONS`].
    pub function: &'static str,
}

impl Kind for RefusedCall {
    fn function(&self) -> &'static str {
        self.function
    }

    fn acquires(&self) -> bool {
        true
    }

    fn tell<'a>(&'a self, _facts: &mut Facts<'a>) {}

    fn read(function: &str, _facts: &mut Unread<'_>) -> Result<Option<Self>, FactsError> {
        let known = SOCKET_METHODS.into_iter().chain(HTTP_FUNCTIONS).find(|name| *name == function);
        Ok(known.map(|function| Self { function }))
    }
}

/// The methods of `wasi:sockets`, which [`RefusedCall`] stands for.
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

/// The functions of `wasi:http`, which [`RefusedCall`] stands for too.
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
