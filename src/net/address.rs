//! Addresses of sockets.

use std::fmt;
use std::mem::{offset_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use ngx::ffi::{sockaddr, socklen_t};

/// An IP address and port, or a Unix socket, with the text that shows it in messages and tells
/// idle connections apart.
#[derive(Clone)]
pub struct Address {
    storage: libc::sockaddr_storage,
    len: socklen_t,
    text: String,
}

impl Address {
    pub fn ip(address: SocketAddr) -> Address {
        match address {
            SocketAddr::V4(v4) => Address::new(v4_raw(v4), address.to_string()),
            SocketAddr::V6(v6) => Address::new(v6_raw(v6), address.to_string()),
        }
    }

    /// `None` when the path is empty, has a NUL, or is too long for a socket's (107 bytes).
    pub fn unix(path: &[u8]) -> Option<Address> {
        // SAFETY: all zeroes is a valid `sockaddr_un`.
        let mut raw: libc::sockaddr_un = unsafe { zeroed() };
        if path.is_empty() || path.len() >= raw.sun_path.len() || path.contains(&0) {
            return None;
        }
        raw.sun_family = libc::AF_UNIX as libc::sa_family_t;
        for (to, from) in raw.sun_path.iter_mut().zip(path) {
            *to = *from as libc::c_char;
        }
        let mut address = Address::new(raw, format!("unix:{}", String::from_utf8_lossy(path)));
        address.len = (offset_of!(libc::sockaddr_un, sun_path) + path.len() + 1) as socklen_t;
        Some(address)
    }

    /// Copies an address of nginx's; `None` when it is none that a socket can have.
    ///
    /// # Safety
    /// `raw` points at `len` bytes.
    pub unsafe fn copy(raw: *const sockaddr, len: socklen_t, text: String) -> Option<Address> {
        // SAFETY: all zeroes is a valid `sockaddr_storage`, and it has room for `len` bytes.
        unsafe {
            let mut storage: libc::sockaddr_storage = zeroed();
            if raw.is_null() || len as usize > size_of_val(&storage) {
                return None;
            }
            std::ptr::copy_nonoverlapping(
                raw.cast::<u8>(),
                (&raw mut storage).cast::<u8>(),
                len as usize,
            );
            Some(Address { storage, len, text })
        }
    }

    fn new<T: Copy>(raw: T, text: String) -> Address {
        const { assert!(size_of::<T>() <= size_of::<libc::sockaddr_storage>()) };
        // SAFETY: all zeroes is a valid `sockaddr_storage`, into which any kind of address fits.
        let storage = unsafe {
            let mut storage: libc::sockaddr_storage = zeroed();
            (&raw mut storage).cast::<T>().write_unaligned(raw);
            storage
        };
        Address {
            storage,
            len: size_of::<T>() as socklen_t,
            text,
        }
    }

    /// The same host with this port; other than IP addresses have none.
    pub fn with_port(self, port: u16) -> Address {
        match self.to_ip() {
            Some(ip) => Address::ip(SocketAddr::new(ip, port)),
            None => self,
        }
    }

    /// The IP address, if it is one.
    pub fn to_ip(&self) -> Option<IpAddr> {
        match i32::from(self.storage.ss_family) {
            libc::AF_INET => {
                // SAFETY: the family says what it is.
                let raw = unsafe { &*(&raw const self.storage).cast::<libc::sockaddr_in>() };
                Some(Ipv4Addr::from(u32::from_be(raw.sin_addr.s_addr)).into())
            }
            libc::AF_INET6 => {
                // SAFETY: the family says what it is.
                let raw = unsafe { &*(&raw const self.storage).cast::<libc::sockaddr_in6>() };
                Some(Ipv6Addr::from(raw.sin6_addr.s6_addr).into())
            }
            _ => None,
        }
    }

    pub fn as_ptr(&self) -> *const sockaddr {
        (&raw const self.storage).cast()
    }

    pub fn len(&self) -> socklen_t {
        self.len
    }

    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn v4_raw(address: SocketAddrV4) -> libc::sockaddr_in {
    // SAFETY: all zeroes is a valid `sockaddr_in`.
    let mut raw: libc::sockaddr_in = unsafe { zeroed() };
    raw.sin_family = libc::AF_INET as libc::sa_family_t;
    raw.sin_port = address.port().to_be();
    raw.sin_addr.s_addr = u32::from(*address.ip()).to_be();
    raw
}

fn v6_raw(address: SocketAddrV6) -> libc::sockaddr_in6 {
    // SAFETY: all zeroes is a valid `sockaddr_in6`.
    let mut raw: libc::sockaddr_in6 = unsafe { zeroed() };
    raw.sin6_family = libc::AF_INET6 as libc::sa_family_t;
    raw.sin6_port = address.port().to_be();
    raw.sin6_addr.s6_addr = address.ip().octets();
    raw
}
