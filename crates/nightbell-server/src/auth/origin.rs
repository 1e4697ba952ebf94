/*!
Where a request comes from: its connection, or, where that is a proxy's that the operator trusts, what the proxy says.

`X-Forwarded-For` is read from its end, as far as trusted proxies wrote it: what a client writes into it stands before that and counts
for nothing.
*/

use std::net::IpAddr;

use http::HeaderMap;
use nightbell_core::cidr::Cidr;
use serde::{Deserialize, Serialize};

/// Addresses of `X-Forwarded-For` that are read, from its end.
const HOPS_MAX: usize = 16;

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// The address.
    pub(crate) address: IpAddr,
    /// Whether it came over TLS, or did not leave this machine.
    pub(crate) is_secure: bool,
}

impl Origin {
    /// The origin of a request that came over a connection from `peer`.
    pub(crate) fn of(peer: IpAddr, headers: &HeaderMap, trusted: &[Cidr]) -> Self {
        let peer = peer.to_canonical();
        let is_trusted = |address: IpAddr| trusted.iter().any(|range| range.contains(address));
        // What does not leave the machine needs no TLS; what comes from elsewhere comes without.
        let direct = Self { address: peer, is_secure: peer.is_loopback() };
        if !is_trusted(peer) {
            return direct;
        }
        let told =
            |name: &str| headers.get_all(name).iter().rev().map(|value| value.to_str().unwrap_or_default());
        let mut address = peer;
        let hops = told("x-forwarded-for").flat_map(|line| line.rsplit(','));
        for hop in hops.take(HOPS_MAX) {
            // What cannot be read was not written by a proxy that works: the one behind it stands for it.
            let Some(before) = read(hop.trim()) else { break };
            address = before;
            if !is_trusted(before) {
                break;
            }
        }
        let protocol = told("x-forwarded-proto").next().and_then(|line| line.rsplit(',').next());
        let is_secure = match protocol.map(str::trim) {
            Some(protocol) => protocol.eq_ignore_ascii_case("https"),
            None => direct.is_secure,
        };
        Self { address, is_secure }
    }
}

/// An address, with or without a port: `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]:4711`.
fn read(text: &str) -> Option<IpAddr> {
    let address = text.parse().ok().or_else(|| {
        let socket: std::net::SocketAddr = text.parse().ok()?;
        Some(socket.ip())
    });
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    address.or_else(bracketed).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trusted_proxies_are_believed() {
        let trusted = [Cidr::parse("127.0.0.0/8").unwrap(), Cidr::parse("10.0.0.0/8").unwrap()];
        for (peer, forwarded, protocol, address, is_secure) in [
            ("192.0.2.9", &["198.51.100.7"][..], Some("https"), "192.0.2.9", false),
            ("127.0.0.1", &[], None, "127.0.0.1", true),
            ("127.0.0.1", &["198.51.100.7"], Some("https"), "198.51.100.7", true),
            ("127.0.0.1", &["198.51.100.7"], Some("http"), "198.51.100.7", false),
            ("::ffff:127.0.0.1", &["198.51.100.7:443"], None, "198.51.100.7", true),
            ("10.1.1.1", &["198.51.100.7, 10.0.0.3"], Some("HTTPS"), "198.51.100.7", true),
            ("10.1.1.1", &["6.6.6.6, 198.51.100.7, 10.0.0.3"], None, "198.51.100.7", false),
            ("10.1.1.1", &["6.6.6.6", "198.51.100.7", "10.0.0.3"], None, "198.51.100.7", false),
            ("10.1.1.1", &["10.0.0.4, 10.0.0.3"], None, "10.0.0.4", false),
            ("10.1.1.1", &["6.6.6.6, nonsense"], None, "10.1.1.1", false),
            ("10.1.1.1", &["[2001:db8::1]:4711"], None, "2001:db8::1", false),
            ("10.1.1.1", &["[2001:db8::1]"], Some("http, https"), "2001:db8::1", true),
        ] {
            let mut headers = HeaderMap::new();
            for line in forwarded {
                headers.append("x-forwarded-for", line.parse().unwrap());
            }
            if let Some(protocol) = protocol {
                headers.append("x-forwarded-proto", protocol.parse().unwrap());
            }
            let expected = Origin { address: address.parse().unwrap(), is_secure };
            assert_eq!(
                Origin::of(peer.parse().unwrap(), &headers, &trusted),
                expected,
                "{peer} {forwarded:?}"
            );
        }
    }

    #[test]
    fn without_trusted_proxies_nothing_is_believed() {
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", "198.51.100.7".parse().unwrap());
        let origin = Origin::of("127.0.0.1".parse().unwrap(), &headers, &[]);
        assert_eq!(origin, Origin { address: "127.0.0.1".parse().unwrap(), is_secure: true });
    }
}
