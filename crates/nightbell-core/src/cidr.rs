/*!
Ranges of IP addresses in CIDR notation, as policies of all kinds write them: `203.0.113.0/24`, `2001:db8::/32`.
*/

use std::net::IpAddr;

/// A range; an address alone is the range of itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cidr {
    address: IpAddr,
    bits: u8,
}

impl Cidr {
    /// Reads an address or a range.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(width);
        (bits <= width).then_some(Self { address, bits })
    }

    /// Whether the address lies in the range; both are of one family, or it does not.
    pub fn contains(&self, address: IpAddr) -> bool {
        let bits = u32::from(self.bits);
        match (address.to_canonical(), self.address) {
            (IpAddr::V4(address), IpAddr::V4(range)) => {
                (address.to_bits() ^ range.to_bits()).checked_shr(32 - bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(address), IpAddr::V6(range)) => {
                (address.to_bits() ^ range.to_bits()).checked_shr(128 - bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}
