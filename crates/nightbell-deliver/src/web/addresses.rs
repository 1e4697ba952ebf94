/*!
Addresses that a web endpoint may not have: what lies behind them is for this machine alone.

Loopback and private addresses are allowed, since that is where the hooks of a network of one's own are.
*/

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Where clouds keep the metadata of their machines, beside the link-local address that most of them use.
const METADATA: [IpAddr; 3] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
];

/// Whether an address is never asked.
pub(super) fn is_refused(address: IpAddr) -> bool {
    let address = address.to_canonical();
    if METADATA.contains(&address) || address.is_multicast() || address.is_unspecified() {
        return true;
    }
    match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast() || v4.octets()[0] == 0,
        IpAddr::V6(v6) => {
            // The first form of IPv4 in IPv6, and the one of translators (RFC 6052).
            let within = match v6.segments() {
                [0, 0, 0, 0, 0, 0, high, _] if high != 0 => true,
                [0x64, 0xff9b, 0, 0, 0, 0, _, _] => true,
                _ => false,
            };
            let [.., a, b, c, d] = v6.octets();
            v6.is_unicast_link_local() || (within && is_refused(IpAddr::V4(Ipv4Addr::new(a, b, c, d))))
        }
    }
}

/// Looks names up and leaves out the addresses that are never asked.
#[derive(Debug)]
pub(super) struct Guarded;

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<_> = found.filter(|address| !is_refused(address.ip())).collect();
            if allowed.is_empty() {
                return Err("the host's name leads to no address that may be asked".into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_this_machine_should_reach_is_refused_in_every_form() {
        let rows = [
            ("169.254.169.254", true),
            ("::ffff:169.254.169.254", true),
            ("::169.254.169.254", true),
            ("64:ff9b::a9fe:a9fe", true),
            ("fe80::1", true),
            ("febf::1", true),
            ("fd00:ec2::254", true),
            ("100.100.100.200", true),
            ("168.63.129.16", true),
            ("0.0.0.0", true),
            ("0.1.2.3", true),
            ("::", true),
            ("255.255.255.255", true),
            ("ff02::1", true),
            ("239.1.2.3", true),
            ("127.0.0.1", false),
            ("::1", false),
            ("10.1.2.3", false),
            ("192.168.0.9", false),
            ("fd12::1", false),
            ("203.0.113.9", false),
        ];
        for (text, refused) in rows {
            assert_eq!(is_refused(text.parse().unwrap()), refused, "{text}");
        }
    }

    #[tokio::test]
    async fn names_are_looked_up() {
        let found = Guarded.resolve("localhost".parse().unwrap()).await.ok().unwrap();
        assert!(found.into_iter().all(|address| address.ip().is_loopback()));
    }
}
