//! What stands in the guest's memory for host calls to name: addresses that make sense.

use proxy_wasm_host::serialize_map;

/// Where the texts start.
const AT: u32 = 1024;

/// Names that the host or the mock proxy knows, maps, and arguments of foreign functions.
fn texts() -> Vec<Vec<u8>> {
    let map = |pairs: &[(&[u8], &[u8])]| {
        serialize_map(|visit| pairs.iter().for_each(|(key, value)| visit(key, value)))
    };
    let request: &[(&[u8], &[u8])] = &[
        (b":method", b"GET"),
        (b":path", b"/"),
        (b":authority", b"a"),
    ];
    let mut texts: Vec<Vec<u8>> = [
        &b""[..],
        b"a text\n",
        b":path",
        b":status",
        b"x-name",
        b"bad\r\nname: \0\xff",
        b"unknown",
        b"broken",
        b"service.of.it",
        b"Method",
        b"a queue",
        b"the vm",
        b"a key",
        b"a metric",
        b"request\0path",
        b"filter_state\0wasm.name",
        b"plugin_root_id",
        b"call\0error\0",
        b"a\0\0b",
        b"node\0id",
        b"declared",
        b"wasm.declared",
        b"compress",
        b"uncompress",
        b"verify_signature",
        b"set_envoy_filter_state",
        b"declare_property",
        b"clear_route_cache",
        b"mock.reverse",
        b"mock.fail",
        // Envoy's DeclarePropertyArguments: name, type, schema, span.
        b"\x0a\x08declared\x10\x01\x1a\x01s\x22\x01x",
        // SetEnvoyFilterStateArguments: path, value, span.
        b"\x0a\x04name\x12\x05value\x18\x01",
        // VerifySignatureArguments-like: key, hash function, signature, text.
        b"\x0a\x0212\x12\x06sha256\x1a\x02ss\x22\x01t",
        // GrpcService: envoy_grpc { cluster_name }.
        b"\x0a\x04\x0a\x02up",
        // zlib's "aaaa".
        b"\x78\x9c\x4b\x4c\x4c\x4c\x04\x00\x03\xce\x01\x85",
    ]
    .iter()
    .map(|text| text.to_vec())
    .collect();
    texts.push(map(request));
    texts.push(map(&[
        (b"x-name", b"value"),
        (b"x-name", b""),
        (b"", b"\r\n\0"),
    ]));
    let mut cut = map(request);
    cut.truncate(20);
    texts.push(cut);
    // An iovec list of two, the second out of range.
    texts.push(
        [1024_u32, 4, 0xffff_fff0, 32]
            .iter()
            .flat_map(|n| n.to_le_bytes())
            .collect(),
    );
    texts
}

/// The texts in a row, and each one's address and length.
pub struct Texts {
    pub bytes: Vec<u8>,
    places: Vec<(u32, u32)>,
}

impl Texts {
    pub const AT: u32 = AT;

    #[expect(clippy::new_without_default, reason = "it is made once")]
    pub fn new() -> Texts {
        let (mut bytes, mut places) = (Vec::new(), Vec::new());
        for text in texts() {
            // Iovec lists are read as numbers.
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            places.push((AT + bytes.len() as u32, text.len() as u32));
            bytes.extend(text);
        }
        Texts { bytes, places }
    }

    /// Address and length of some text, whatever the number.
    pub fn place(&self, number: u8) -> (u32, u32) {
        self.places[usize::from(number) % self.places.len()]
    }
}
