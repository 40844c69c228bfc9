//! The guard: only public addresses are connected to. It is asked where a name is
//! resolved for the connection itself, so the name cannot change in between.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::Name;
use tower_service::Service;

/// IPv4 networks that are not of the public internet, by the registry of special-purpose
/// addresses; and 168.63.129.16, by which each machine on Azure reaches its host.
const INTERNAL_V4: [(Ipv4Addr, u32); 17] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
    (Ipv4Addr::new(255, 255, 255, 255), 32),
];

/// The IPv6 network that public addresses are given out of. Outside it are loopback,
/// unique local, link-local and multicast addresses, and NAT64.
const PUBLIC_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// What is not public within it: protocols such as Teredo, documentation, and 6to4,
/// which leads to any IPv4 address.
const INTERNAL_V6: [(Ipv6Addr, u32); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// Whether an address is one of the public internet.
pub(super) fn is_public(address: IpAddr) -> bool {
    let v4 = |address: Ipv4Addr| {
        let is_in = |(network, length): &(Ipv4Addr, u32)| {
            (address.to_bits() ^ network.to_bits()).leading_zeros() >= *length
        };
        !INTERNAL_V4.iter().any(is_in)
    };
    let v6 = |address: Ipv6Addr| {
        let is_in = |(network, length): &(Ipv6Addr, u32)| {
            (address.to_bits() ^ network.to_bits()).leading_zeros() >= *length
        };
        is_in(&PUBLIC_V6) && !INTERNAL_V6.iter().any(is_in)
    };
    match address {
        IpAddr::V4(address) => v4(address),
        IpAddr::V6(address) => address.to_ipv4_mapped().map_or_else(|| v6(address), v4),
    }
}

/// The address that a host is written as, where it is no name.
pub(super) fn literal(host: &str) -> Option<IpAddr> {
    host.trim_matches(['[', ']']).parse().ok()
}

/// Resolves names, and keeps the addresses that may be connected to.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    pub(super) allow_private: bool,
}

/// A name was not resolved to an address that may be connected to.
#[derive(Debug)]
pub(super) enum ResolveError {
    Unknown(io::Error),
    Internal { name: String, address: Option<IpAddr> },
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(_) => f.write_str("the name cannot be resolved"),
            Self::Internal { name, address: Some(address) } => write!(
                f,
                "{name} is {address}, which is not a public address; for a receiver \
                 inside your own network, set `allow_private`"
            ),
            Self::Internal { name, address: None } => {
                write!(f, "{name} has no address")
            }
        }
    }
}

impl Error for ResolveError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unknown(error) => Some(error),
            Self::Internal { .. } => None,
        }
    }
}

impl Guard {
    async fn resolve(
        self,
        name: String,
    ) -> Result<std::vec::IntoIter<SocketAddr>, ResolveError> {
        let found = tokio::net::lookup_host((name.as_str(), 0)).await;
        let found: Vec<SocketAddr> = found.map_err(ResolveError::Unknown)?.collect();
        let first = found.first().map(SocketAddr::ip);
        let may_be = |address: &SocketAddr| self.allow_private || is_public(address.ip());
        let allowed: Vec<SocketAddr> = found.into_iter().filter(may_be).collect();
        if allowed.is_empty() {
            return Err(ResolveError::Internal { name, address: first });
        }
        Ok(allowed.into_iter())
    }
}

impl Service<Name> for Guard {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = ResolveError;
    type Future =
        Pin<Box<dyn Future<Output = Result<Self::Response, ResolveError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ResolveError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(self.clone().resolve(name.as_str().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every network that is not public, and every form that leads to one.
    #[test]
    fn an_internal_address_is_one_in_every_form() {
        for internal in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.0.1",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "[::]",
            "[::1]",
            "[::7f00:1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:169.254.169.254]",
            "[::ffff:10.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[64:ff9b:1::a00:1]",
            "[100::1]",
            "[2001::1]",
            "[2001:db8::1]",
            "[2002:7f00:1::]",
            "[3fff::1]",
            "[fc00::1]",
            "[fd00::1]",
            "[fe80::1]",
            "[fec0::1]",
            "[ff02::1]",
        ] {
            assert_eq!(literal(internal).map(is_public), Some(false), "{internal}");
        }
        for public in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.0",
            "168.63.129.15",
            "168.63.129.17",
            "172.15.0.1",
            "172.32.0.1",
            "192.167.1.1",
            "198.17.0.1",
            "198.20.0.0",
            "223.255.255.255",
            "[::ffff:1.1.1.1]",
            "[2606:4700::1111]",
            "[2a00:1450:4001::1]",
            "[2001:4860:4860::8888]",
        ] {
            assert_eq!(literal(public).map(is_public), Some(true), "{public}");
        }
    }

    /// The names and spellings that only a resolver reads.
    #[tokio::test]
    async fn what_the_resolver_makes_an_internal_address_of_is_refused() {
        for name in ["localhost", "2130706433", "0x7f.1", "0177.0.0.1", "127.1"] {
            let guarded = Guard { allow_private: false }.resolve(name.to_owned()).await;
            assert!(
                matches!(guarded, Err(ResolveError::Internal { .. })),
                "{name}: {guarded:?}"
            );
            let open = Guard { allow_private: true }.resolve(name.to_owned()).await;
            assert!(open.is_ok_and(|mut all| all.all(|one| one.ip().is_loopback())));
        }
    }

    proptest! {
        #[test]
        fn an_address_and_its_mapped_form_are_judged_alike(bits: u32) {
            let address = Ipv4Addr::from_bits(bits);
            prop_assert_eq!(
                is_public(address.into()),
                is_public(address.to_ipv6_mapped().into())
            );
            let is_known_to_be_internal = address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_multicast()
                || address.is_broadcast()
                || address.is_documentation()
                || address.is_unspecified();
            prop_assert!(!(is_known_to_be_internal && is_public(address.into())));
        }
    }
}
