//! The methods of sockets. No guest gets a socket to call them on, so they are called here as the engine would call them,
//! on sockets that do not exist: the gate denies each by its own name before anything is looked up.

use std::fmt::Debug;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tollgate_audit::Record as _;
use tollgate_capability::CapabilitySet;
use tollgate_notary::{CallTrail, Room};
use tollgate_wasi_proxy::{CallFacts, Gate, GateCtx, GateInput, GateView};
use tollgate_workspace::forgets::{Forgets, start};
use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::HostResolveAddressStream as Lookup;
use wasmtime_wasi::p2::bindings::sockets::network::{IpSocketAddress, Ipv4SocketAddress};
use wasmtime_wasi::p2::bindings::sockets::tcp::{HostTcpSocket as Tcp, ShutdownType};
use wasmtime_wasi::p2::bindings::sockets::udp::{
    HostIncomingDatagramStream as Incoming, HostOutgoingDatagramStream as Outgoing, HostUdpSocket as Udp,
};

/// Calls a method, and says how it was refused, if it was.
type Method = fn(&mut GateView<'_>) -> Option<String>;

#[test]
fn the_methods_of_sockets_are_denied_by_their_own_names() {
    let mut called = Vec::new();
    for (resource, methods) in METHODS {
        for (method, call) in *methods {
            let name = format!("{resource}.{method}");
            let (refused, counted) = behind_a_gate(*call);
            let refused = refused.unwrap_or_else(|| panic!("{name} was done"));
            assert!(refused.contains("denied"), "{name}: {refused}");
            assert_eq!(counted, [(name.clone(), 1)], "what passed the gate");
            called.push(name);
        }
    }
    called.sort_unstable();
    let mut expected = super::socket_methods();
    expected.sort_unstable();
    assert_eq!(called, expected);
}

const ROOM: Room = Room { entries: 1_000, bytes: 1 << 20 };

/// How a call was refused, and what the gate counted.
fn behind_a_gate(call: Method) -> (Option<String>, Vec<(String, u64)>) {
    let gate = Gate::new(Arc::new(CapabilitySet::default()), CallTrail::begin(Arc::new(Forgets), start(ROOM)));
    let now = Instant::now();
    let facts = CallFacts { id: Forgets.next_call(1), session: None, deadline: now + Duration::from_secs(3_600) };
    let input = GateInput { stdin: Default::default(), wall_start: Duration::ZERO, monotonic_start: now, call: facts };
    let (mut ctx, mut table) = (GateCtx::new(gate, input), ResourceTable::new());
    let refused = call(&mut GateView { ctx: &mut ctx, table: &mut table });
    let (_trail, counters, _output) = ctx.finish();
    (refused, counters.iter().map(|counter| (counter.function.to_owned(), counter.calls)).collect())
}

const METHODS: &[(&str, &[(&str, Method)])] = &[
    (
        "wasi:sockets/tcp.[method]tcp-socket",
        &[
            ("start-bind", |view| later(Tcp::start_bind(view, none(), none(), address()))),
            ("finish-bind", |view| now(Tcp::finish_bind(view, none()))),
            ("start-connect", |view| now(Tcp::start_connect(view, none(), none(), address()))),
            ("finish-connect", |view| now(Tcp::finish_connect(view, none()))),
            ("start-listen", |view| later(Tcp::start_listen(view, none()))),
            ("finish-listen", |view| now(Tcp::finish_listen(view, none()))),
            ("accept", |view| now(Tcp::accept(view, none()))),
            ("local-address", |view| now(Tcp::local_address(view, none()))),
            ("remote-address", |view| now(Tcp::remote_address(view, none()))),
            ("is-listening", |view| now(Tcp::is_listening(view, none()))),
            ("address-family", |view| now(Tcp::address_family(view, none()))),
            ("set-listen-backlog-size", |view| now(Tcp::set_listen_backlog_size(view, none(), 1))),
            ("keep-alive-enabled", |view| now(Tcp::keep_alive_enabled(view, none()))),
            ("set-keep-alive-enabled", |view| now(Tcp::set_keep_alive_enabled(view, none(), true))),
            ("keep-alive-idle-time", |view| now(Tcp::keep_alive_idle_time(view, none()))),
            ("set-keep-alive-idle-time", |view| now(Tcp::set_keep_alive_idle_time(view, none(), 1))),
            ("keep-alive-interval", |view| now(Tcp::keep_alive_interval(view, none()))),
            ("set-keep-alive-interval", |view| now(Tcp::set_keep_alive_interval(view, none(), 1))),
            ("keep-alive-count", |view| now(Tcp::keep_alive_count(view, none()))),
            ("set-keep-alive-count", |view| now(Tcp::set_keep_alive_count(view, none(), 1))),
            ("hop-limit", |view| now(Tcp::hop_limit(view, none()))),
            ("set-hop-limit", |view| now(Tcp::set_hop_limit(view, none(), 1))),
            ("receive-buffer-size", |view| now(Tcp::receive_buffer_size(view, none()))),
            ("set-receive-buffer-size", |view| now(Tcp::set_receive_buffer_size(view, none(), 1))),
            ("send-buffer-size", |view| now(Tcp::send_buffer_size(view, none()))),
            ("set-send-buffer-size", |view| now(Tcp::set_send_buffer_size(view, none(), 1))),
            ("subscribe", |view| now(Tcp::subscribe(view, none()))),
            ("shutdown", |view| now(Tcp::shutdown(view, none(), ShutdownType::Both))),
        ],
    ),
    (
        "wasi:sockets/udp.[method]udp-socket",
        &[
            ("start-bind", |view| later(Udp::start_bind(view, none(), none(), address()))),
            ("finish-bind", |view| now(Udp::finish_bind(view, none()))),
            ("stream", |view| later(Udp::stream(view, none(), None))),
            ("local-address", |view| now(Udp::local_address(view, none()))),
            ("remote-address", |view| now(Udp::remote_address(view, none()))),
            ("address-family", |view| now(Udp::address_family(view, none()))),
            ("unicast-hop-limit", |view| now(Udp::unicast_hop_limit(view, none()))),
            ("set-unicast-hop-limit", |view| now(Udp::set_unicast_hop_limit(view, none(), 1))),
            ("receive-buffer-size", |view| now(Udp::receive_buffer_size(view, none()))),
            ("set-receive-buffer-size", |view| now(Udp::set_receive_buffer_size(view, none(), 1))),
            ("send-buffer-size", |view| now(Udp::send_buffer_size(view, none()))),
            ("set-send-buffer-size", |view| now(Udp::set_send_buffer_size(view, none(), 1))),
            ("subscribe", |view| now(Udp::subscribe(view, none()))),
        ],
    ),
    (
        "wasi:sockets/udp.[method]incoming-datagram-stream",
        &[
            ("receive", |view| now(Incoming::receive(view, none(), 1))),
            ("subscribe", |view| now(Incoming::subscribe(view, none()))),
        ],
    ),
    (
        "wasi:sockets/udp.[method]outgoing-datagram-stream",
        &[
            ("check-send", |view| now(Outgoing::check_send(view, none()))),
            ("send", |view| now(Outgoing::send(view, none(), Vec::new()))),
            ("subscribe", |view| now(Outgoing::subscribe(view, none()))),
        ],
    ),
    (
        "wasi:sockets/ip-name-lookup.[method]resolve-address-stream",
        &[
            ("resolve-next-address", |view| now(Lookup::resolve_next_address(view, none()))),
            ("subscribe", |view| now(Lookup::subscribe(view, none()))),
        ],
    ),
];

/// A resource that is not there.
fn none<T: 'static>() -> Resource<T> {
    Resource::new_own(u32::MAX)
}

fn address() -> IpSocketAddress {
    IpSocketAddress::Ipv4(Ipv4SocketAddress { port: 9, address: (127, 0, 0, 1) })
}

fn now<T, E: Debug>(answer: Result<T, E>) -> Option<String> {
    answer.err().map(|error| format!("{error:?}"))
}

/// The answer of a method that could wait, and does not.
fn later<T, E: Debug>(answer: impl Future<Output = Result<T, E>>) -> Option<String> {
    match pin!(answer).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => now(answer),
        Poll::Pending => panic!("it waits for something"),
    }
}
