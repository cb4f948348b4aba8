//! `wasi:sockets`: linked and denied. No capability grants the network, so no socket ever comes to be; the methods of
//! sockets go through the gate all the same.

use tollgate_capability::{AddressFamily, Call, RefusedCall, SocketCall};
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::sockets::network::{IpAddress, IpAddressFamily, IpSocketAddress, Network};
use wasmtime_wasi::p2::bindings::sockets::{
    instance_network, ip_name_lookup, network, tcp, tcp_create_socket, udp, udp_create_socket,
};
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, DynPollable, SocketError, SocketResult, TcpSocket, UdpSocket,
};

use crate::handle::Held;
use crate::view::GateView;

type Tcp = Resource<TcpSocket>;
type Udp = Resource<UdpSocket>;
type Incoming = Resource<udp::IncomingDatagramStream>;
type Outgoing = Resource<udp::OutgoingDatagramStream>;
type Lookup = Resource<ip_name_lookup::ResolveAddressStream>;
type Pollable = Resource<DynPollable>;

impl GateView<'_> {
    /// Passes a socket call by the gate, which has no rule that allows it.
    fn socket_call<T>(&mut self, call: Call) -> SocketResult<T> {
        let permit = self.ctx.gate.admit(call)?;
        self.ctx.gate.settle(permit.spend(), "not-supported");
        Err(network::ErrorCode::NotSupported.into())
    }

    fn socket_method<T>(&mut self, function: &'static str) -> SocketResult<T> {
        self.socket_call(Call::Refused(RefusedCall { function }))
    }

    /// For the functions without an error code of their own: the violation ends the instance.
    pub(super) fn socket_trap<T>(&mut self, function: &'static str) -> wasmtime::Result<T> {
        let permit = self.ctx.gate.admit(Call::Refused(RefusedCall { function }))?;
        self.ctx.gate.settle(permit.spend(), "not-supported");
        Err(wasmtime::format_err!("{function} is not supported"))
    }
}

impl network::Host for GateView<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<network::ErrorCode> {
        error.downcast()
    }

    fn network_error_code(&mut self, error: Resource<wasmtime::Error>) -> wasmtime::Result<Option<network::ErrorCode>> {
        network::Host::network_error_code(&mut self.wasi_sockets(), error)
    }
}

impl network::HostNetwork for GateView<'_> {
    fn drop(&mut self, network: Resource<Network>) -> wasmtime::Result<()> {
        self.ctx.release(network.rep());
        network::HostNetwork::drop(&mut self.wasi_sockets(), network)
    }
}

impl instance_network::Host for GateView<'_> {
    /// A token without use: every call that takes it is denied.
    fn instance_network(&mut self) -> wasmtime::Result<Resource<Network>> {
        let network = instance_network::Host::instance_network(&mut self.wasi_sockets())?;
        self.ctx.handles.hold(network.rep(), Held::Other)?;
        Ok(network)
    }
}

impl tcp_create_socket::Host for GateView<'_> {
    fn create_tcp_socket(&mut self, family: IpAddressFamily) -> SocketResult<Tcp> {
        self.socket_call(Call::Socket(SocketCall::CreateTcpSocket { family: address_family(family) }))
    }
}

impl udp_create_socket::Host for GateView<'_> {
    async fn create_udp_socket(&mut self, family: IpAddressFamily) -> SocketResult<Udp> {
        self.socket_call(Call::Socket(SocketCall::CreateUdpSocket { family: address_family(family) }))
    }
}

impl ip_name_lookup::Host for GateView<'_> {
    fn resolve_addresses(&mut self, _network: Resource<Network>, name: String) -> SocketResult<Lookup> {
        self.socket_call(Call::Socket(SocketCall::ResolveAddresses { name }))
    }
}

impl ip_name_lookup::HostResolveAddressStream for GateView<'_> {
    fn resolve_next_address(&mut self, _lookup: Lookup) -> SocketResult<Option<IpAddress>> {
        self.socket_method("wasi:sockets/ip-name-lookup.[method]resolve-address-stream.resolve-next-address")
    }

    fn subscribe(&mut self, _lookup: Lookup) -> wasmtime::Result<Pollable> {
        self.socket_trap("wasi:sockets/ip-name-lookup.[method]resolve-address-stream.subscribe")
    }

    fn drop(&mut self, lookup: Lookup) -> wasmtime::Result<()> {
        self.table.delete(lookup)?;
        Ok(())
    }
}

impl tcp::Host for GateView<'_> {}

impl tcp::HostTcpSocket for GateView<'_> {
    async fn start_bind(
        &mut self,
        _this: Tcp,
        _network: Resource<Network>,
        _address: IpSocketAddress,
    ) -> SocketResult<()> {
        self.socket_method("wasi:sockets/tcp.[method]tcp-socket.start-bind")
    }

    fn finish_bind(&mut self, _this: Tcp) -> SocketResult<()> {
        self.socket_method("wasi:sockets/tcp.[method]tcp-socket.finish-bind")
    }

    fn start_connect(
        &mut self,
        _this: Tcp,
        _network: Resource<Network>,
        _address: IpSocketAddress,
    ) -> SocketResult<()> {
        self.socket_method("wasi:sockets/tcp.[method]tcp-socket.start-connect")
    }

    fn finish_connect(&mut self, _this: Tcp) -> SocketResult<(Resource<DynInputStream>, Resource<DynOutputStream>)> {
        self.socket_method("wasi:sockets/tcp.[method]tcp-socket.finish-connect")
    }

    async fn start_listen(&mut self, _this: Tcp) -> SocketResult<()> {
        self.socket_method("wasi:sockets/tcp.[method]tcp-socket.start-listen")
    }

    fn finish_listen(&mut self, _this: Tcp) -> SocketResult<()> {
        self.socket_method("wasi:sockets/tcp.[method]tcp-socket.finish-listen")
    }

    fn accept(&mut self, _this: Tcp) -> SocketResult<(Tcp, Resource<DynInputStream>, Resource<DynOutputStream>)> {
        self.socket_method("wasi:sockets/tcp.[method]tcp-socket.accept")
    }

    fn local_address(&mut self, _this: Tcp) -> SocketResult<IpSocketAddress> {
        self.socket_method("wasi:sockets/tcp.[method]tcp-socket.local-address")
    }

    fn remote_address(&mut self, _this: Tcp) -> SocketResult<IpSocketAddress> {
        self.socket_method("wasi:sockets/tcp.[method]tcp-socket.remote-address")
    }

    fn set_listen_backlog_size(&mut self, _this: Tcp, _size: u64) -> SocketResult<()> {
        self.socket_method("wasi:sockets/tcp.[method]tcp-socket.set-listen-backlog-size")
    }

    fn keep_alive_enabled(&mut self, _this: Tcp) -> SocketResult<bool> {
        self.socket_method("wasi:sockets/tcp.[method]tcp-socket.keep-alive-enabled")
    }

    fn set_keep_alive_enabled(&mut self, _this: Tcp, _enabled: bool) -> SocketResult<()> {
        self.socket_method("wasi:sockets/tcp.[method]tcp-socket.set-keep-alive-enabled")
    }

    fn keep_alive_idle_time(&mut self, _this: Tcp) -> SocketResult<u64> {
        self.socket_method("wasi:sockets/tcp.[method]tcp-socket.keep-alive-idle-time")
    }

    fn set_keep_alive_idle_time(&mut self, _this: Tcp, _time: u64) -> SocketResult<()> {
        self.socket_method("wasi:sockets/tcp.[method]tcp-socket.set-keep-alive-idle-time")
    }

    fn keep_alive_interval(&mut self, _this: Tcp) -> SocketResult<u64> {
        self.socket_method("wasi:sockets/tcp.[method]tcp-socket.keep-alive-interval")
    }

    fn set_keep_alive_interval(&mut self, _this: Tcp, _interval: u64) -> SocketResult<()> {
        self.socket_method("wasi:sockets/tcp.[method]tcp-socket.set-keep-alive-interval")
    }

    fn keep_alive_count(&mut self, _this: Tcp) -> SocketResult<u32> {
        self.socket_method("wasi:sockets/tcp.[method]tcp-socket.keep-alive-count")
    }

    fn set_keep_alive_count(&mut self, _this: Tcp, _count: u32) -> SocketResult<()> {
        self.socket_method("wasi:sockets/tcp.[method]tcp-socket.set-keep-alive-count")
    }

    fn hop_limit(&mut self, _this: Tcp) -> SocketResult<u8> {
        self.socket_method("wasi:sockets/tcp.[method]tcp-socket.hop-limit")
    }

    fn set_hop_limit(&mut self, _this: Tcp, _limit: u8) -> SocketResult<()> {
        self.socket_method("wasi:sockets/tcp.[method]tcp-socket.set-hop-limit")
    }

    fn receive_buffer_size(&mut self, _this: Tcp) -> SocketResult<u64> {
        self.socket_method("wasi:sockets/tcp.[method]tcp-socket.receive-buffer-size")
    }

    fn set_receive_buffer_size(&mut self, _this: Tcp, _size: u64) -> SocketResult<()> {
        self.socket_method("wasi:sockets/tcp.[method]tcp-socket.set-receive-buffer-size")
    }

    fn send_buffer_size(&mut self, _this: Tcp) -> SocketResult<u64> {
        self.socket_method("wasi:sockets/tcp.[method]tcp-socket.send-buffer-size")
    }

    fn set_send_buffer_size(&mut self, _this: Tcp, _size: u64) -> SocketResult<()> {
        self.socket_method("wasi:sockets/tcp.[method]tcp-socket.set-send-buffer-size")
    }

    fn shutdown(&mut self, _this: Tcp, _how: tcp::ShutdownType) -> SocketResult<()> {
        self.socket_method("wasi:sockets/tcp.[method]tcp-socket.shutdown")
    }

    fn is_listening(&mut self, _this: Tcp) -> wasmtime::Result<bool> {
        self.socket_trap("wasi:sockets/tcp.[method]tcp-socket.is-listening")
    }

    fn address_family(&mut self, _this: Tcp) -> wasmtime::Result<IpAddressFamily> {
        self.socket_trap("wasi:sockets/tcp.[method]tcp-socket.address-family")
    }

    fn subscribe(&mut self, _this: Tcp) -> wasmtime::Result<Pollable> {
        self.socket_trap("wasi:sockets/tcp.[method]tcp-socket.subscribe")
    }

    fn drop(&mut self, this: Tcp) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl udp::Host for GateView<'_> {}

impl udp::HostUdpSocket for GateView<'_> {
    async fn start_bind(
        &mut self,
        _this: Udp,
        _network: Resource<Network>,
        _address: IpSocketAddress,
    ) -> SocketResult<()> {
        self.socket_method("wasi:sockets/udp.[method]udp-socket.start-bind")
    }

    fn finish_bind(&mut self, _this: Udp) -> SocketResult<()> {
        self.socket_method("wasi:sockets/udp.[method]udp-socket.finish-bind")
    }

    async fn stream(&mut self, _this: Udp, _remote: Option<IpSocketAddress>) -> SocketResult<(Incoming, Outgoing)> {
        self.socket_method("wasi:sockets/udp.[method]udp-socket.stream")
    }

    fn local_address(&mut self, _this: Udp) -> SocketResult<IpSocketAddress> {
        self.socket_method("wasi:sockets/udp.[method]udp-socket.local-address")
    }

    fn remote_address(&mut self, _this: Udp) -> SocketResult<IpSocketAddress> {
        self.socket_method("wasi:sockets/udp.[method]udp-socket.remote-address")
    }

    fn unicast_hop_limit(&mut self, _this: Udp) -> SocketResult<u8> {
        self.socket_method("wasi:sockets/udp.[method]udp-socket.unicast-hop-limit")
    }

    fn set_unicast_hop_limit(&mut self, _this: Udp, _limit: u8) -> SocketResult<()> {
        self.socket_method("wasi:sockets/udp.[method]udp-socket.set-unicast-hop-limit")
    }

    fn receive_buffer_size(&mut self, _this: Udp) -> SocketResult<u64> {
        self.socket_method("wasi:sockets/udp.[method]udp-socket.receive-buffer-size")
    }

    fn set_receive_buffer_size(&mut self, _this: Udp, _size: u64) -> SocketResult<()> {
        self.socket_method("wasi:sockets/udp.[method]udp-socket.set-receive-buffer-size")
    }

    fn send_buffer_size(&mut self, _this: Udp) -> SocketResult<u64> {
        self.socket_method("wasi:sockets/udp.[method]udp-socket.send-buffer-size")
    }

    fn set_send_buffer_size(&mut self, _this: Udp, _size: u64) -> SocketResult<()> {
        self.socket_method("wasi:sockets/udp.[method]udp-socket.set-send-buffer-size")
    }

    fn address_family(&mut self, _this: Udp) -> wasmtime::Result<IpAddressFamily> {
        self.socket_trap("wasi:sockets/udp.[method]udp-socket.address-family")
    }

    fn subscribe(&mut self, _this: Udp) -> wasmtime::Result<Pollable> {
        self.socket_trap("wasi:sockets/udp.[method]udp-socket.subscribe")
    }

    fn drop(&mut self, this: Udp) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl udp::HostIncomingDatagramStream for GateView<'_> {
    fn receive(&mut self, _this: Incoming, _max: u64) -> SocketResult<Vec<udp::IncomingDatagram>> {
        self.socket_method("wasi:sockets/udp.[method]incoming-datagram-stream.receive")
    }

    fn subscribe(&mut self, _this: Incoming) -> wasmtime::Result<Pollable> {
        self.socket_trap("wasi:sockets/udp.[method]incoming-datagram-stream.subscribe")
    }

    fn drop(&mut self, this: Incoming) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl udp::HostOutgoingDatagramStream for GateView<'_> {
    fn check_send(&mut self, _this: Outgoing) -> SocketResult<u64> {
        self.socket_method("wasi:sockets/udp.[method]outgoing-datagram-stream.check-send")
    }

    fn send(&mut self, _this: Outgoing, _datagrams: Vec<udp::OutgoingDatagram>) -> SocketResult<u64> {
        self.socket_method("wasi:sockets/udp.[method]outgoing-datagram-stream.send")
    }

    fn subscribe(&mut self, _this: Outgoing) -> wasmtime::Result<Pollable> {
        self.socket_trap("wasi:sockets/udp.[method]outgoing-datagram-stream.subscribe")
    }

    async fn drop(&mut self, this: Outgoing) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

fn address_family(family: IpAddressFamily) -> AddressFamily {
    match family {
        IpAddressFamily::Ipv4 => AddressFamily::Ipv4,
        IpAddressFamily::Ipv6 => AddressFamily::Ipv6,
    }
}
